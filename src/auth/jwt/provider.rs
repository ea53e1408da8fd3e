//! Signatures of JWTs, verified by ring. There is nothing here that signs, that knows
//! a shared secret, or that panics.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{self, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::error::Unspecified;
use ring::signature as primitives;

/// Has `jsonwebtoken` verify with ring. The crate knows one provider a process, and
/// panics where it knows none.
pub(super) fn install() {
    // Once installed it stays, so that a second time changes nothing.
    let _ = PROVIDER.install_default();
}

/// Whether there are signatures of this algorithm that can be verified.
pub(super) fn verifies(algorithm: Algorithm) -> bool {
    Method::of(algorithm).is_some()
}

static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: no_signer,
    verifier_factory: verifier,
    // Of use for making keys alone. `KeyUtils::new_unimplemented` would panic.
    key_utils: KeyUtils {
        rsa_pub_components_from_private_key: |_| unsupported(),
        rsa_pub_components_from_public_key: |_| unsupported(),
        ec_pub_components_from_private_key: |_, _| unsupported(),
        ed_pub_components_from_private_key: |_, _| unsupported(),
        compute_digest: |_, _| unsupported(),
    },
};

fn unsupported<T>() -> Result<T> {
    Err(ErrorKind::UnsupportedAlgorithm.into())
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    unsupported()
}

fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    let Some(method) = Method::of(*algorithm) else {
        return unsupported();
    };
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(RingVerifier {
        algorithm: *algorithm,
        method,
        key: key.clone(),
    }))
}

/// How ring verifies an algorithm.
enum Method {
    /// With a modulus of 2,048 to 8,192 bits, and its exponent.
    Rsa(&'static primitives::RsaParameters),
    /// With a point of a curve.
    Curve(&'static dyn primitives::VerificationAlgorithm),
}

impl Method {
    /// `None` for what is symmetric, or not known.
    fn of(algorithm: Algorithm) -> Option<Self> {
        Some(match algorithm {
            Algorithm::RS256 => Self::Rsa(&primitives::RSA_PKCS1_2048_8192_SHA256),
            Algorithm::RS384 => Self::Rsa(&primitives::RSA_PKCS1_2048_8192_SHA384),
            Algorithm::RS512 => Self::Rsa(&primitives::RSA_PKCS1_2048_8192_SHA512),
            Algorithm::PS256 => Self::Rsa(&primitives::RSA_PSS_2048_8192_SHA256),
            Algorithm::PS384 => Self::Rsa(&primitives::RSA_PSS_2048_8192_SHA384),
            Algorithm::PS512 => Self::Rsa(&primitives::RSA_PSS_2048_8192_SHA512),
            Algorithm::ES256 => Self::Curve(&primitives::ECDSA_P256_SHA256_FIXED),
            Algorithm::ES384 => Self::Curve(&primitives::ECDSA_P384_SHA384_FIXED),
            Algorithm::EdDSA => Self::Curve(&primitives::ED25519),
            _ => return None,
        })
    }
}

struct RingVerifier {
    algorithm: Algorithm,
    method: Method,
    key: DecodingKey,
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(
        &self,
        message: &[u8],
        signature: &Vec<u8>,
    ) -> std::result::Result<(), signature::Error> {
        let verified = match (&self.method, self.key.kind()) {
            (Method::Rsa(parameters), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                primitives::RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Method::Curve(algorithm), DecodingKeyKind::SecretOrDer(point)) => {
                primitives::UnparsedPublicKey::new(*algorithm, point).verify(message, signature)
            }
            _ => Err(Unspecified),
        };
        verified.map_err(|_| signature::Error::new())
    }
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}
