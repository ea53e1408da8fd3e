//! Which requests are meant: by the fields of a journal entry and of the body.

use std::borrow::Cow;
use std::collections::BTreeMap;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

/// The fields that may be asked for, beside `headers.NAME`, `query.NAME` and
/// `body.NAME`.
const FIELDS: [&str; 18] = [
    "call",
    "method",
    "path",
    "query",
    "tenant",
    "user",
    "credential",
    "traceId",
    "status",
    "code",
    "taskId",
    "outcome",
    "rule",
    "taskType",
    "srcUserId",
    "dstUserId",
    "resultId",
    "orgId",
];
const MORE_FIELDS: [&str; 1] = ["orgUserId"];

/// Something that has fields to be matched.
pub trait Fields {
    /// The field of this name as text, if it is there.
    fn field(&self, name: &str) -> Option<Cow<'_, str>>;
}

/// Texts and numbers by the names of fields; `*` in a text stands for any
/// characters.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Matcher(BTreeMap<String, Value>);

/// A field that is not as wanted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Its name.
    pub field: String,
    /// What it should be.
    pub wanted: String,
    /// What it is; absent if it is not there.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub got: Option<String>,
}

impl Matcher {
    /// Whether everything is as wanted.
    #[must_use]
    pub fn matches(&self, fields: &dyn Fields) -> bool {
        self.0.iter().all(|(name, wanted)| {
            let got = fields.field(name);
            got.is_some_and(|got| glob(&text(wanted), &got))
        })
    }

    /// What is not as wanted.
    #[must_use]
    pub fn differences(&self, fields: &dyn Fields) -> Vec<Difference> {
        let differing = self.0.iter().filter_map(|(name, wanted)| {
            let (wanted, got) = (text(wanted), fields.field(name));
            let is_it = got.as_ref().is_some_and(|got| glob(&wanted, got));
            (!is_it).then(|| Difference {
                field: name.clone(),
                wanted: wanted.into_owned(),
                got: got.map(Cow::into_owned),
            })
        });
        differing.collect()
    }
}

impl<'de> Deserialize<'de> for Matcher {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let fields = BTreeMap::<String, Value>::deserialize(deserializer)?;
        for (name, value) in &fields {
            let is_below = ["headers.", "query.", "body."]
                .iter()
                .any(|head| name.strip_prefix(head).is_some_and(|rest| !rest.is_empty()));
            let known = FIELDS.iter().chain(&MORE_FIELDS);
            if !is_below && !known.clone().any(|known| known == name) {
                let known: Vec<_> = known.copied().collect();
                let known = known.join(", ");
                return Err(D::Error::custom(format!(
                    "there is no field {name} to match; there are {known}, and headers.NAME, \
                     query.NAME and body.NAME"
                )));
            }
            if !matches!(value, Value::String(_) | Value::Number(_) | Value::Bool(_)) {
                return Err(D::Error::custom(format!(
                    "{name} must be matched by a text, a number or a boolean"
                )));
            }
        }
        Ok(Self(fields))
    }
}

/// A JSON value as the text that is matched.
#[must_use]
pub fn text(value: &Value) -> Cow<'_, str> {
    match value {
        Value::String(text) => text.into(),
        other => other.to_string().into(),
    }
}

/// Whether `text` is of the form, in which `*` stands for any characters.
fn glob(form: &str, text: &str) -> bool {
    let Some((head, rest)) = form.split_once('*') else {
        return form == text;
    };
    let Some(mut left) = text.strip_prefix(head) else {
        return false;
    };
    let mut parts: Vec<&str> = rest.split('*').collect();
    let last = parts.pop().unwrap_or_default();
    for part in parts {
        let Some((_, after)) = left.split_once(part) else {
            return false;
        };
        left = after;
    }
    left.ends_with(last)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_star_stands_for_any_characters() {
        for (form, text, matches) in [
            ("139*", "139", true),
            ("139*", "1390", true),
            ("139*", "1380", false),
            ("*39", "139", true),
            ("1*9*", "1399", true),
            ("a*b*a", "aba", true),
            ("ab*ba", "aba", false),
            ("**", "", true),
            ("", "", true),
            ("", "a", false),
        ] {
            assert_eq!(glob(form, text), matches, "{form} {text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_with_parts_left_out_is_of_the_form(parts in proptest::collection::vec("[ab]{0,3}", 1..5), left_out in "[abc]{0,4}") {
            let (form, text) = (parts.join("*"), parts.join(&left_out));
            prop_assert!(glob(&form, &text), "{} {}", form, text);
        }
    }
}
