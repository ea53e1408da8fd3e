//! Reading single settings so that each mistake is kept, not just the first.

use std::fmt::Display;
use std::str::FromStr;
use std::time::Duration;

use jiff::SignedDuration;
use serde::de::{Deserialize, Deserializer};

use super::InvalidSettings;

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

/// A value of any type, to be judged by its text.
#[derive(serde::Deserialize)]
#[serde(untagged)]
enum Scalar {
    Integer(i64),
    Boolean(bool),
    Float(f64),
    Text(String),
    Other(serde::de::IgnoredAny),
}

impl<'de, T: FromStr<Err: Display>> Deserialize<'de> for Setting<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match Scalar::deserialize(deserializer)? {
            Scalar::Integer(value) => Some(value.to_string()),
            Scalar::Boolean(value) => Some(value.to_string()),
            Scalar::Float(value) => Some(value.to_string()),
            Scalar::Text(text) => Some(text),
            Scalar::Other(_) => None,
        };
        let found = match text {
            Some(text) => text.parse().map_err(|error: T::Err| error.to_string()),
            None => Err("must be a single value".to_owned()),
        };
        Ok(Self { found: Some(found) })
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
