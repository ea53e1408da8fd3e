//! JSON values taken as they come, so that every field of a body can be judged
//! and not just the first one that is of the wrong type.

use std::borrow::Cow;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use crate::error::{Reason, Violation};
use crate::task::Identifier;

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
        deserializer.deserialize_any(LooseVisitor)
    }
}

struct LooseVisitor;

impl<'de> Visitor<'de> for LooseVisitor {
    type Value = Loose<'de>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("any JSON value")
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Ok(Loose::Missing)
    }

    fn visit_borrowed_str<E: de::Error>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Loose::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Loose::Integer(value))
    }

    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Ok(i64::try_from(value).map_or(Loose::Number, Loose::Integer))
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Loose::Number)
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Ok(Loose::Other)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Loose::Other)
    }
}
