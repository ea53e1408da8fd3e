//! Idempotency: what makes two create requests one.
//!
//! Contract: `api.md`, "`Idempotency-Key`"; after the IETF draft "The
//! Idempotency-Key HTTP Header Field".

use jiff::{SignedDuration, Timestamp};
use sha2::{Digest as _, Sha256};

use super::TenantId;

/// How long the first answer stands for its key.
pub const WINDOW: SignedDuration = SignedDuration::from_hours(24);

/// The first 128 bits of a SHA-256.
pub type Digest = [u8; 16];

/// Where a key comes from: one kind can never be mistaken for the other.
#[derive(Debug, Clone, Copy)]
pub enum Key<'a> {
    /// The `Idempotency-Key` header.
    Header(&'a [u8]),
    /// The signature of a signed request without that header, so that a
    /// client's automatic retry never creates a second task.
    Signature(&'a [u8; 32]),
}

/// What a store keeps of a request to recognise it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Idempotency {
    /// Of the tenant and the key.
    pub key: Digest,
    /// Of the tenant and the signature, where a signed request carries a key
    /// besides: one signature never makes two tasks, whatever key comes with it.
    pub signature: Option<Digest>,
    /// Of the body, to the byte.
    pub body: Digest,
}

impl Idempotency {
    /// The idempotency of `tenant_id`'s request with this key and body.
    #[must_use]
    pub fn new(tenant_id: &TenantId, key: Key<'_>, body_sha256: &[u8; 32]) -> Self {
        Self {
            key: digest(tenant_id, key),
            signature: None,
            body: first_half(body_sha256),
        }
    }

    /// The same, of a request that is signed as well.
    #[must_use]
    pub fn and_signature(self, tenant_id: &TenantId, signature: &[u8; 32]) -> Self {
        Self {
            signature: Some(digest(tenant_id, Key::Signature(signature))),
            ..self
        }
    }

    /// Everything that stands for the task: the key, and the signature.
    pub fn keys(&self) -> impl Iterator<Item = Digest> {
        self.each_key().copied()
    }

    pub(crate) fn each_key(&self) -> impl Iterator<Item = &Digest> {
        [Some(&self.key), self.signature.as_ref()]
            .into_iter()
            .flatten()
    }
}

fn digest(tenant_id: &TenantId, key: Key<'_>) -> Digest {
    let (kind, bytes): (&[u8], &[u8]) = match key {
        Key::Header(bytes) => (b"\0header\0", bytes),
        Key::Signature(bytes) => (b"\0signature\0", bytes),
    };
    let hash = Sha256::new()
        .chain_update(tenant_id.as_str())
        .chain_update(kind)
        .chain_update(bytes)
        .finalize();
    first_half(&hash.into())
}

/// The time before which a key first used has expired at `now`.
#[must_use]
pub fn expiry(now: Timestamp) -> Timestamp {
    now.checked_sub(WINDOW).unwrap_or(Timestamp::MIN)
}

fn first_half(hash: &[u8; 32]) -> Digest {
    let (half, _) = hash.split_first_chunk().unwrap_or((&[0; 16], &[]));
    *half
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tenant_kind_and_key_each_make_another_key() {
        let tenant = |id: &str| TenantId::from(id.parse::<crate::task::Identifier>().unwrap());
        let (one, other) = (tenant("one"), tenant("other"));
        let key = [7; 32];
        let of = |tenant, key| Idempotency::new(tenant, key, &[0; 32]).key;
        let keys = [
            of(&one, Key::Header(&key)),
            of(&one, Key::Signature(&key)),
            of(&other, Key::Header(&key)),
            of(&one, Key::Header(b"another")),
        ];
        for (i, a) in keys.iter().enumerate() {
            assert!(keys.iter().skip(i + 1).all(|b| a != b));
        }
    }
}
