//! JSON values taken as they come, so that every field of a body can be judged
//! and not just the first one that is of the wrong type.

use std::borrow::Cow;

use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;

use crate::task::Identifier;
use crate::web::error::{Reason, Violation};

/// A field's value, as far as the contract tells values apart.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) enum Loose<'a> {
    /// Absent or null.
    #[default]
    Missing,
    Text(Cow<'a, str>),
    Integer(i64),
    /// A number that is no `i64`.
    Number,
    /// A boolean, an array or an object.
    Other,
}

impl Loose<'_> {
    /// The identifier that this value must be.
    pub(super) fn identifier(&self, field: &'static str) -> Result<Identifier, Violation> {
        let reason = match self {
            Self::Missing => Reason::Missing,
            Self::Text(text) if text.trim().is_empty() => Reason::Missing,
            Self::Text(text) => match text.parse() {
                Ok(identifier) => return Ok(identifier),
                Err(_) => Reason::NotAnIdentifier,
            },
            Self::Integer(_) | Self::Number => Reason::NumberForIdentifier,
            Self::Other => Reason::NotAString,
        };
        Err(Violation::new(field, reason))
    }
}

impl<'de: 'a, 'a> Deserialize<'de> for Loose<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // The text as it stands: a number of any size is a number.
        let json = <&RawValue>::deserialize(deserializer)?.get();
        Ok(match json.bytes().next() {
            Some(b'n') => Self::Missing,
            // A string that is no Unicode text, such as half a surrogate pair,
            // is none that anybody may be called by.
            Some(b'"') => {
                serde_json::from_str(json).map_or(Self::Text("\u{fffd}".into()), Self::Text)
            }
            Some(b'-' | b'0'..=b'9') => json.parse().map_or(Self::Number, Self::Integer),
            _ => Self::Other,
        })
    }
}
