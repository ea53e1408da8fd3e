//! The form that all ids of users, organizations, results, tenants and apps
//! share.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// 1–64 characters of `A-Z a-z 0-9 _ -` (`api.md`).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String")]
pub struct Identifier(Box<str>);

/// The text is not an [`Identifier`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be 1 to 64 characters of A-Z a-z 0-9 _ -")]
pub struct NotAnIdentifier;

impl Identifier {
    /// The most characters an identifier may have.
    pub const MAX_LENGTH: usize = 64;

    /// The identifier as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Identifier {
    type Err = NotAnIdentifier;

    fn from_str(text: &str) -> Result<Self, NotAnIdentifier> {
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-';
        if (1..=Self::MAX_LENGTH).contains(&text.len()) && text.bytes().all(allowed) {
            Ok(Self(text.into()))
        } else {
            Err(NotAnIdentifier)
        }
    }
}

impl TryFrom<String> for Identifier {
    type Error = NotAnIdentifier;

    fn try_from(text: String) -> Result<Self, NotAnIdentifier> {
        text.parse()
    }
}

impl fmt::Display for Identifier {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_text_of_the_form_is_accepted_and_kept(text in "[A-Za-z0-9_-]{1,64}") {
            let identifier: Identifier = text.parse().unwrap();
            prop_assert_eq!(identifier.as_str(), text);
        }

        #[test]
        fn anything_else_is_refused(text in any::<String>()) {
            let of_the_form = (1..=64).contains(&text.chars().count())
                && text.chars().all(|c| c.is_ascii_alphanumeric() || "_-".contains(c));
            prop_assert_eq!(text.parse::<Identifier>().is_ok(), of_the_form);
        }
    }
}
