//! Keys as scattered as those of requests.

use sha2::{Digest as _, Sha256};

pub(crate) type Digest = [u8; 32];

/// An idempotency key, the body it came with, and its task.
pub(crate) struct Key {
    pub(crate) digest: Digest,
    pub(crate) body: Digest,
    pub(crate) task_id: i64,
}

impl Key {
    /// The key that comes after `nth` others.
    pub(crate) fn new(nth: u64) -> Self {
        Self {
            digest: digest(b"key", nth),
            body: digest(b"body", nth),
            task_id: nth.cast_signed() + 1,
        }
    }
}

fn digest(of: &[u8], nth: u64) -> Digest {
    let hash = Sha256::new_with_prefix(of).chain_update(nth.to_be_bytes());
    hash.finalize().into()
}
