//! A request's object, whose fields are taken as they come, so that every one that
//! is wrong can be told and not just the first.

use std::borrow::Cow;
use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use serde::de::{IgnoredAny, MapAccess, Visitor};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use super::integer;
use crate::web::error::{ApiError, Malformed, Reason, Violation, Violations};

/// The fields of a JSON object, in their order, with those that are there twice.
/// Fields that nobody asks for are ignored.
#[derive(Debug)]
pub struct Object<'a>(Vec<(Cow<'a, str>, Value<'a>)>);

/// A field's value, as far as the contract tells values apart.
#[derive(Debug, Clone, PartialEq)]
enum Value<'a> {
    Null,
    Text(Cow<'a, str>),
    /// A string that is no Unicode text, such as half a surrogate pair.
    NotUnicode,
    Integer(i64),
    /// A number that is no `i64`.
    Number,
    Boolean(bool),
    /// As it stands.
    List(&'a str),
    Object,
}

impl<'a> Object<'a> {
    /// Reads a body.
    ///
    /// # Errors
    ///
    /// [`ApiError::Malformed`] if it is not UTF-8, not JSON or not an object.
    pub fn parse(body: &'a [u8]) -> Result<Self, ApiError> {
        let malformed = |why| Err(ApiError::Malformed(why));
        let Ok(text) = std::str::from_utf8(body) else {
            return malformed(Malformed::NotUtf8);
        };
        if body.trim_ascii_start().first() == Some(&b'{') {
            return serde_json::from_str(text).or(malformed(Malformed::NotJson));
        }
        match serde_json::from_str::<IgnoredAny>(text) {
            Ok(_) => malformed(Malformed::NotAnObject),
            Err(_) => malformed(Malformed::NotJson),
        }
    }

    /// The identifier that this field must be, a string; `otherwise` is what is
    /// wrong with a string that is none.
    ///
    /// # Errors
    ///
    /// Why it is none. Absent, null, empty and blank are missing.
    pub fn identifier<T: FromStr>(
        &self,
        field: &'static str,
        otherwise: Reason,
    ) -> Result<T, Violation> {
        let reason = match self.value(field)? {
            None => Reason::Missing,
            Some(Value::Text(text)) if text.trim().is_empty() => Reason::Missing,
            Some(Value::Text(text)) => match text.parse() {
                Ok(identifier) => return Ok(identifier),
                Err(_) => otherwise,
            },
            Some(Value::NotUnicode) => otherwise,
            Some(Value::Integer(_) | Value::Number) => Reason::NumberForIdentifier,
            Some(_) => Reason::NotAString,
        };
        Err(Violation::new(field, reason))
    }

    /// The integer that this field must be; `None` if it is absent or null.
    ///
    /// # Errors
    ///
    /// [`Reason::NotAnInteger`], also for one that is no `i64`.
    pub fn integer(&self, field: &'static str) -> Result<Option<i64>, Violation> {
        match self.value(field)? {
            None => Ok(None),
            Some(Value::Integer(number)) => Ok(Some(*number)),
            Some(_) => Err(Violation::new(field, Reason::NotAnInteger)),
        }
    }

    /// As [`Object::integer`], and of this range.
    ///
    /// # Errors
    ///
    /// [`Reason::NotInRange`].
    pub fn integer_within(
        &self,
        field: &'static str,
        range: RangeInclusive<i64>,
    ) -> Result<Option<i64>, Violation> {
        let (lowest, highest) = range.into_inner();
        match self.integer(field) {
            Ok(None) => Ok(None),
            Ok(Some(number)) if (lowest..=highest).contains(&number) => Ok(Some(number)),
            Err(violation) if violation.reason == Reason::Repeated => Err(violation),
            _ => Err(Violation::new(
                field,
                Reason::NotInRange { lowest, highest },
            )),
        }
    }

    /// What this field must be: `true` or `false`; `None` if it is absent or null.
    ///
    /// # Errors
    ///
    /// [`Reason::NotABoolean`].
    pub fn boolean(&self, field: &'static str) -> Result<Option<bool>, Violation> {
        match self.value(field)? {
            None => Ok(None),
            Some(Value::Boolean(value)) => Ok(Some(*value)),
            Some(_) => Err(Violation::new(field, Reason::NotABoolean)),
        }
    }

    /// The text that this field must be, of at most `most` characters; it may be
    /// empty, but not absent or null.
    ///
    /// # Errors
    ///
    /// Why it is none. U+0000 is refused: databases keep no such text.
    pub fn text(&self, field: &'static str, most: usize) -> Result<String, Violation> {
        let reason = match self.value(field)? {
            None => Reason::Missing,
            Some(Value::Text(text)) if text.contains('\0') || text.chars().nth(most).is_some() => {
                Reason::NotAText { most }
            }
            Some(Value::Text(text)) => return Ok(text.clone().into_owned()),
            Some(Value::NotUnicode) => Reason::NotAText { most },
            Some(_) => Reason::NotAString,
        };
        Err(Violation::new(field, reason))
    }

    /// The integers in the list that this field must be; `None` if it is absent or
    /// null.
    ///
    /// # Errors
    ///
    /// As [`Object::objects`], and [`Reason::NotAnInteger`] if an entry is none.
    pub fn integers(
        &self,
        field: &'static str,
        counts: RangeInclusive<usize>,
    ) -> Result<Option<Vec<i64>>, Violation> {
        let Some(entries) = self.entries(field, counts)? else {
            return Ok(None);
        };
        let numbers = entries.into_iter().map(|entry| integer(entry.get()));
        numbers
            .collect::<Option<_>>()
            .map(Some)
            .ok_or(Violation::new(field, Reason::NotAnInteger))
    }

    /// What `read` makes of each object in the list that this field must be. `read`
    /// notes what is wrong with an object; of a list with such a one there is
    /// nothing.
    ///
    /// # Errors
    ///
    /// Every violation: of the list, or of its objects.
    pub fn objects<T>(
        &self,
        field: &'static str,
        counts: RangeInclusive<usize>,
        read: impl Fn(&Object<'a>, &mut Violations) -> Option<T>,
    ) -> Result<Vec<T>, Vec<Violation>> {
        let entries = match self.entries(field, counts) {
            Ok(Some(entries)) => entries,
            Ok(None) => return Err(vec![Violation::new(field, Reason::Missing)]),
            Err(violation) => return Err(vec![violation]),
        };
        let (mut all, mut violations) = (Vec::with_capacity(entries.len()), Vec::new());
        for (position, entry) in entries.into_iter().enumerate() {
            let mut wrong = Violations::default();
            match serde_json::from_str(entry.get()) {
                Ok(object) => all.extend(read(&object, &mut wrong)),
                Err(_) => wrong.add(Violation::new("", Reason::NotAnObject)),
            }
            let of_entry = |violation: Violation| violation.of_entry(field, position);
            violations.extend(wrong.into_iter().map(of_entry));
        }
        if violations.is_empty() {
            Ok(all)
        } else {
            Err(violations)
        }
    }

    /// The entries of the list that this field must be.
    fn entries(
        &self,
        field: &'static str,
        counts: RangeInclusive<usize>,
    ) -> Result<Option<Vec<&'a RawValue>>, Violation> {
        let list = match self.value(field)? {
            None => return Ok(None),
            Some(Value::List(list)) => list,
            Some(_) => return Err(Violation::new(field, Reason::NotAList)),
        };
        let entries: Vec<&RawValue> =
            serde_json::from_str(list).map_err(|_| Violation::new(field, Reason::NotAList))?;
        let (fewest, most) = counts.into_inner();
        if (fewest..=most).contains(&entries.len()) {
            Ok(Some(entries))
        } else {
            Err(Violation::new(field, Reason::NotThatMany { fewest, most }))
        }
    }

    /// The one value of this field that is not null.
    fn value(&self, field: &'static str) -> Result<Option<&Value<'a>>, Violation> {
        let mut values = self.0.iter().filter(|(name, _)| name == field);
        let value = values.next().map(|(_, value)| value);
        match values.next() {
            Some(_) => Err(Violation::new(field, Reason::Repeated)),
            None => Ok(value.filter(|value| **value != Value::Null)),
        }
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Object<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        struct Name<'a>(#[serde(borrow)] Cow<'a, str>);

        struct Fields;

        impl<'de> Visitor<'de> for Fields {
            type Value = Object<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object<'de>, A::Error> {
                let mut fields = Vec::with_capacity(4);
                while let Some((Name(name), value)) = map.next_entry()? {
                    fields.push((name, value));
                }
                Ok(Object(fields))
            }
        }

        deserializer.deserialize_map(Fields)
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Value<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text as it stands: a number of any size is a number.
        let json = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match json.bytes().next() {
            Some(b'n') => Self::Null,
            Some(b'"') => serde_json::from_str(json).map_or(Self::NotUnicode, Self::Text),
            Some(b't') => Self::Boolean(true),
            Some(b'f') => Self::Boolean(false),
            Some(b'[') => Self::List(json),
            Some(b'-' | b'0'..=b'9') => integer(json).map_or(Self::Number, Self::Integer),
            _ => Self::Object,
        })
    }
}
