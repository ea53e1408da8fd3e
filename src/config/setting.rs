//! Reading single settings so that each mistake is kept, not just the first.

use std::fmt::Display;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;
use jiff::{SignedDuration, Timestamp};
use serde::de::{Deserialize, Deserializer, IgnoredAny};

use super::InvalidSettings;
use crate::store::StoreUrl;
use crate::task::Identifier;

/// A value as found: from a file or, always as text, from the environment.
/// Reading one never fails, so that every mistake is seen.
#[derive(Debug, Clone)]
pub(super) struct Setting<T> {
    found: Option<Result<T, String>>,
}

impl<T> Default for Setting<T> {
    fn default() -> Self {
        Self { found: None }
    }
}

/// A type that settings have.
pub(super) trait SettingType: FromStr<Err: Display> {
    /// How the file may hold it, but for text.
    const FORM: Form = Form::Text;
}

/// How a file holds a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As text alone: a number such as `1.10` would be another text when written
    /// again.
    Text,
    /// Also as a number.
    Number,
    /// Also as `true` or `false`.
    Boolean,
}

impl SettingType for u16 {
    const FORM: Form = Form::Number;
}
impl SettingType for ByteSize {
    const FORM: Form = Form::Number;
}
impl SettingType for bool {
    const FORM: Form = Form::Boolean;
}
impl SettingType for SignedDuration {}
impl SettingType for SocketAddr {}
impl SettingType for PathBuf {}
impl SettingType for Timestamp {}
impl SettingType for Identifier {}
impl SettingType for StoreUrl {}

impl Form {
    /// What a value of another form is told.
    const fn demand(self) -> &'static str {
        match self {
            Self::Text => "must be text, in quotation marks",
            Self::Number => "must be a number",
            Self::Boolean => "must be true or false",
        }
    }
}

/// A value of any type.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Scalar {
    Integer(i64),
    Boolean(bool),
    Text(String),
    Other(IgnoredAny),
}

impl<'de, T: SettingType> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Scalar::deserialize(deserializer)? {
            Scalar::Text(text) => Ok(text),
            Scalar::Integer(value) if T::FORM == Form::Number => Ok(value.to_string()),
            Scalar::Boolean(value) if T::FORM == Form::Boolean => Ok(value.to_string()),
            _ => Err(T::FORM.demand().to_owned()),
        };
        let read = |text: String| {
            text.parse().map_err(|error: T::Err| match T::FORM {
                // What the standard library says is no sentence about a setting.
                Form::Boolean => T::FORM.demand().to_owned(),
                Form::Text | Form::Number => error.to_string(),
            })
        };
        Ok(Self {
            found: Some(text.and_then(read)),
        })
    }
}

impl<T> Setting<T> {
    /// The value, if it is set and right.
    pub(super) fn optional(self, key: &str, problems: &mut Problems) -> Option<T> {
        match self.found? {
            Ok(value) => Some(value),
            Err(problem) => {
                problems.add(key, problem);
                None
            }
        }
    }

    /// Whether there is a value, right or wrong.
    pub(super) const fn is_set(&self) -> bool {
        self.found.is_some()
    }

    /// The value, or `default` where it is not set.
    pub(super) fn or(self, key: &str, default: T, problems: &mut Problems) -> T {
        self.optional(key, problems).unwrap_or(default)
    }

    /// The value, which must be set.
    pub(super) fn required(self, key: &str, problems: &mut Problems) -> Option<T> {
        if self.found.is_none() {
            problems.add(key, "is missing");
        }
        self.optional(key, problems)
    }
}

impl Setting<SignedDuration> {
    /// The value, which must be more than nothing and at most a day.
    pub(super) fn duration_or(
        self,
        key: &str,
        default: Duration,
        problems: &mut Problems,
    ) -> Duration {
        let Some(duration) = self.optional(key, problems) else {
            return default;
        };
        if duration <= SignedDuration::ZERO || duration > SignedDuration::from_hours(24) {
            problems.add(key, "must be more than 0 s and at most 24 h");
        }
        Duration::try_from(duration).unwrap_or(default)
    }
}

/// The mistakes found so far.
#[derive(Debug, Default)]
pub(super) struct Problems(Vec<(String, String)>);

impl Problems {
    pub(super) fn add(&mut self, key: impl Into<String>, problem: impl Into<String>) {
        self.0.push((key.into(), problem.into()));
    }

    pub(super) fn into_result(self) -> Result<(), InvalidSettings> {
        if self.0.is_empty() {
            Ok(())
        } else {
            Err(InvalidSettings(self.0))
        }
    }
}
