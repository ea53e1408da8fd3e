//! The keys of an issuer: a JSON Web Key Set (RFC 7517).

use jsonwebtoken::jwk::{
    AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse,
};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, DecodingKeyKind};
use serde::Deserialize;

/// The most keys of a set.
const MOST_KEYS: usize = 100;
/// The RSA moduli that are taken, in bits. A shorter one can be factored.
const RSA_BITS: std::ops::RangeInclusive<usize> = 2048..=8192;

/// Keys to verify JWTs with.
#[derive(Debug)]
pub(super) struct KeySet {
    keys: Vec<Key>,
    /// How many there were beside them: for other uses, or too weak.
    left_out: usize,
}

/// A public key.
#[derive(Debug)]
struct Key {
    id: Option<String>,
    /// The algorithms that it may be used with.
    algorithms: Vec<Algorithm>,
    key: DecodingKey,
}

/// Why a set is refused as a whole. It tells no content.
#[derive(Debug, thiserror::Error)]
pub enum BadKeySet {
    /// It is something else.
    #[error("it is no JSON Web Key Set: no JSON object with a list «keys»")]
    NotASet,
    /// It is too long to be read through for each token.
    #[error("it has more than {MOST_KEYS} keys")]
    TooManyKeys,
    /// It has nothing to verify with.
    #[error(
        "none of its keys can verify: RSA of 2048 to 8192 bits, P-256, P-384 or Ed25519, for signatures"
    )]
    NoUsableKey,
    /// A token's `kid` would name two keys.
    #[error("two of its keys have one kid")]
    RepeatedKid,
}

#[derive(Deserialize)]
struct Document {
    keys: Vec<serde_json::Value>,
}

impl KeySet {
    /// The keys in this text. Those that cannot verify are left out, as RFC 7517,
    /// section 5, has it.
    pub(super) fn parse(text: &[u8]) -> Result<Self, BadKeySet> {
        let document: Document = serde_json::from_slice(text).map_err(|_| BadKeySet::NotASet)?;
        if document.keys.len() > MOST_KEYS {
            return Err(BadKeySet::TooManyKeys);
        }
        let all = document.keys.len();
        let keys: Vec<_> = document.keys.into_iter().filter_map(Key::of).collect();
        if keys.is_empty() {
            return Err(BadKeySet::NoUsableKey);
        }
        for (number, key) in keys.iter().enumerate() {
            let mut before = keys.iter().take(number);
            if key.id.is_some() && before.any(|other| other.is_mistaken_for(key)) {
                return Err(BadKeySet::RepeatedKid);
            }
        }
        Ok(Self {
            left_out: all.saturating_sub(keys.len()),
            keys,
        })
    }

    /// How many keys there are, and how many were left out.
    pub(super) const fn counts(&self) -> (usize, usize) {
        (self.keys.len(), self.left_out)
    }

    /// The key for a token of this `kid` and algorithm, if exactly one fits.
    pub(super) fn find(&self, id: Option<&str>, algorithm: Algorithm) -> Option<&DecodingKey> {
        let mut fitting = self.keys.iter().filter(|key| {
            key.algorithms.contains(&algorithm) && (id.is_none() || key.id.as_deref() == id)
        });
        match (fitting.next(), fitting.next()) {
            (Some(key), None) => Some(&key.key),
            _ => None,
        }
    }
}

impl Key {
    /// The key of a JWK; `None` if no signature can be verified with it.
    fn of(jwk: serde_json::Value) -> Option<Self> {
        let jwk = Jwk::deserialize(jwk).ok()?;
        let common = &jwk.common;
        let is_for_signatures = match &common.public_key_use {
            Some(usage) => *usage == PublicKeyUse::Signature,
            None => true,
        };
        let verifies = match &common.key_operations {
            Some(operations) => operations.contains(&KeyOperations::Verify),
            None => true,
        };
        if !is_for_signatures || !verifies {
            return None;
        }
        let mut algorithms = algorithms_of(&jwk.algorithm)?;
        if let Some(own) = common.key_algorithm {
            algorithms.retain(|algorithm| KeyAlgorithm::from(*algorithm) == own);
        }
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        let is_usable = !algorithms.is_empty() && is_strong(&key);
        is_usable.then_some(Self {
            id: jwk.common.key_id,
            algorithms,
            key,
        })
    }

    /// Whether a token could name the one and mean the other.
    fn is_mistaken_for(&self, other: &Self) -> bool {
        let shared = |algorithm| other.algorithms.contains(algorithm);
        self.id == other.id && self.algorithms.iter().any(shared)
    }
}

/// What a key of these parameters can be used with: never a shared secret.
fn algorithms_of(parameters: &AlgorithmParameters) -> Option<Vec<Algorithm>> {
    match parameters {
        AlgorithmParameters::RSA(_) => Some(AlgorithmFamily::Rsa.algorithms().to_vec()),
        AlgorithmParameters::EllipticCurve(key) => match key.curve {
            EllipticCurve::P256 => Some(vec![Algorithm::ES256]),
            EllipticCurve::P384 => Some(vec![Algorithm::ES384]),
            _ => None,
        },
        AlgorithmParameters::OctetKeyPair(key) => {
            (key.curve == EllipticCurve::Ed25519).then(|| vec![Algorithm::EdDSA])
        }
        _ => None,
    }
}

/// Whether ring takes a key of this size. It looks at points of curves itself.
fn is_strong(key: &DecodingKey) -> bool {
    match key.kind() {
        DecodingKeyKind::RsaModulusExponent { n, .. } => {
            let zeros = n.first().map_or(0, |byte| byte.leading_zeros() as usize);
            RSA_BITS.contains(&n.len().saturating_mul(8).saturating_sub(zeros))
        }
        DecodingKeyKind::SecretOrDer(_) => true,
    }
}
