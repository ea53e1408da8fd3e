//! What a JWT says of its bearer.

use std::collections::BTreeMap;
use std::fmt;

use jiff::{SignedDuration, Timestamp};
use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::Refused;
use crate::task::Identifier;

/// The claims of a JWT, each there once: of two of one name every reader may take
/// another.
#[derive(Debug)]
pub(super) struct Claims(BTreeMap<String, Value>);

impl Claims {
    /// A claim that is text.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name)?.as_str()
    }

    /// A claim that is an id.
    pub(super) fn identifier(&self, name: &str) -> Option<Identifier> {
        self.text(name)?.parse().ok()
    }

    /// Refuses what has expired by `now`, is not yet valid, or has no end. An issuer's
    /// clock may be `skew` ahead or behind.
    pub(super) fn hold_at(&self, now: Timestamp, skew: SignedDuration) -> Result<(), Refused> {
        let (now, skew) = (now.as_duration().as_secs_f64(), skew.as_secs_f64());
        let end = self.moment("exp")?.ok_or(Refused::NoEnd)?;
        if end + skew <= now {
            return Err(Refused::Expired);
        }
        match self.moment("nbf")? {
            Some(start) if start - skew > now => Err(Refused::NotYetValid),
            _ => Ok(()),
        }
    }

    /// A claim that is a moment, in seconds since 1970.
    fn moment(&self, name: &str) -> Result<Option<f64>, Refused> {
        let Some(value) = self.0.get(name) else {
            return Ok(None);
        };
        value.as_f64().map(Some).ok_or(Refused::BadTime)
    }

    /// What the bearer is called where the token's use is told: `jwt-` and the
    /// subject; where the subject is no [`Identifier`] of at most 60 characters, `jwt_`
    /// and the start of its SHA-256.
    pub(super) fn credential(&self) -> Option<Identifier> {
        let subject = self.text("sub").filter(|subject| !subject.is_empty())?;
        format!("jwt-{subject}").parse().ok().or_else(|| {
            let digest = Sha256::digest(subject);
            let start = digest.first_chunk::<16>()?;
            format!("jwt_{}", hex::encode(start)).parse().ok()
        })
    }
}

impl<'de> Deserialize<'de> for Claims {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ClaimsVisitor)
    }
}

struct ClaimsVisitor;

impl<'de> Visitor<'de> for ClaimsVisitor {
    type Value = Claims;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("claims, each there once")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Claims, A::Error> {
        let mut claims = BTreeMap::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            if claims.insert(name, value).is_some() {
                return Err(Error::custom("a claim is there twice"));
            }
        }
        Ok(Claims(claims))
    }
}
