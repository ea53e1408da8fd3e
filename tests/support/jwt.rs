//! An issuer of JWTs: keys, tokens, and what an attacker would make of them.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ring::rand::SystemRandom;
use ring::rsa;
use ring::signature::{
    ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair,
    KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA384,
    RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use serde_json::{Value, json};

use super::command::command;

/// The issuer that [`trust`] names.
pub const ISSUER: &str = "https://login.example.com/";
/// Whom its tokens are for.
pub const AUDIENCE: &str = "koodrive-tasks";

/// The text of bytes, as JOSE writes them.
pub fn base64url(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// `[auth.jwt]` that takes tokens of [`ISSUER`]; further keys can be appended.
pub fn trust(keys: &str) -> String {
    format!(
        "[auth.jwt]\nissuer = \"{ISSUER}\"\naudience = \"{AUDIENCE}\"\n\
         tenant_claim = \"tenant\"\n{keys}\n"
    )
}

/// Good claims of somebody of the tenant `acme`.
pub fn claims() -> Value {
    json!({
        "iss": ISSUER,
        "aud": AUDIENCE,
        "sub": "alice",
        "tenant": "acme",
        "exp": jiff::Timestamp::now().as_second() + 300,
    })
}

/// The same, but for this one, which is left out where it is null.
pub fn claims_with(name: &str, value: Value) -> Value {
    let mut claims = claims();
    if value.is_null() {
        claims.as_object_mut().unwrap().remove(name);
    } else {
        claims[name] = value;
    }
    claims
}

/// A set of these keys.
pub fn jwks<'a>(keys: impl IntoIterator<Item = &'a TestKey>) -> String {
    let keys: Vec<_> = keys.into_iter().map(TestKey::jwk).collect();
    json!({"keys": keys}).to_string()
}

/// The private key of a pair.
enum Private {
    Ec(EcdsaKeyPair),
    Ed(Ed25519KeyPair),
    Rsa(RsaKeyPair, &'static dyn RsaEncoding),
}

/// A key pair of an issuer's, for one algorithm.
pub struct TestKey {
    pub algorithm: &'static str,
    pub kid: &'static str,
    private: Private,
}

impl TestKey {
    /// A key of `ES256`.
    pub fn new(kid: &'static str) -> Self {
        Self::of("ES256", kid)
    }

    /// A key of this algorithm.
    pub fn of(algorithm: &'static str, kid: &'static str) -> Self {
        let random = SystemRandom::new();
        let ec = |signing| {
            let document = EcdsaKeyPair::generate_pkcs8(signing, &random).unwrap();
            Private::Ec(EcdsaKeyPair::from_pkcs8(signing, document.as_ref(), &random).unwrap())
        };
        let rsa = |encoding| {
            let document = rsa_der(2048);
            // OpenSSL writes the one or the other, as its version has it.
            let pair =
                RsaKeyPair::from_der(&document).or_else(|_| RsaKeyPair::from_pkcs8(&document));
            Private::Rsa(pair.unwrap(), encoding)
        };
        let private = match algorithm {
            "ES256" => ec(&ECDSA_P256_SHA256_FIXED_SIGNING),
            "ES384" => ec(&ECDSA_P384_SHA384_FIXED_SIGNING),
            "EdDSA" => {
                let document = Ed25519KeyPair::generate_pkcs8(&random).unwrap();
                Private::Ed(Ed25519KeyPair::from_pkcs8(document.as_ref()).unwrap())
            }
            "RS256" => rsa(&RSA_PKCS1_SHA256),
            "RS384" => rsa(&RSA_PKCS1_SHA384),
            "RS512" => rsa(&RSA_PKCS1_SHA512),
            "PS256" => rsa(&RSA_PSS_SHA256),
            "PS384" => rsa(&RSA_PSS_SHA384),
            "PS512" => rsa(&RSA_PSS_SHA512),
            _ => panic!("{algorithm}"),
        };
        Self {
            algorithm,
            kid,
            private,
        }
    }

    /// The public key, as bytes: an RSA key in DER, a point of a curve.
    pub fn public(&self) -> &[u8] {
        match &self.private {
            Private::Ec(pair) => pair.public_key().as_ref(),
            Private::Ed(pair) => pair.public_key().as_ref(),
            Private::Rsa(pair, _) => pair.public_key().as_ref(),
        }
    }

    /// The public key as JOSE writes it.
    pub fn jwk(&self) -> Value {
        let mut jwk = json!({"kid": self.kid, "use": "sig", "alg": self.algorithm});
        let parameters = match &self.private {
            Private::Ec(_) => {
                let (x, y) = self.public()[1..].split_at(self.public().len() / 2);
                let curve = if x.len() == 32 { "P-256" } else { "P-384" };
                json!({"kty": "EC", "crv": curve, "x": base64url(x), "y": base64url(y)})
            }
            Private::Ed(_) => {
                json!({"kty": "OKP", "crv": "Ed25519", "x": base64url(self.public())})
            }
            Private::Rsa(pair, _) => {
                let rsa::PublicKeyComponents::<Vec<u8>> { n, e } = pair.public().into();
                json!({"kty": "RSA", "n": base64url(n), "e": base64url(e)})
            }
        };
        let parameters = parameters.as_object().unwrap().clone();
        jwk.as_object_mut().unwrap().extend(parameters);
        jwk
    }

    /// The signature of a message.
    pub fn sign(&self, message: &[u8]) -> Vec<u8> {
        let random = SystemRandom::new();
        match &self.private {
            Private::Ec(pair) => pair.sign(&random, message).unwrap().as_ref().to_vec(),
            Private::Ed(pair) => pair.sign(message).as_ref().to_vec(),
            Private::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public().modulus_len()];
                pair.sign(*encoding, &random, message, &mut signature)
                    .unwrap();
                signature
            }
        }
    }

    /// The header of its tokens.
    pub fn header(&self) -> Value {
        json!({"alg": self.algorithm, "typ": "JWT", "kid": self.kid})
    }

    /// A token of these claims.
    pub fn token(&self, claims: &Value) -> String {
        self.token_of(&self.header(), &claims.to_string())
    }

    /// A token of this header and this payload, well signed whatever they say.
    pub fn token_of(&self, header: &Value, payload: &str) -> String {
        compact(&header.to_string(), payload, |message| self.sign(message))
    }
}

/// A token of these parts.
pub fn compact(header: &str, payload: &str, sign: impl FnOnce(&[u8]) -> Vec<u8>) -> String {
    let message = format!("{}.{}", base64url(header), base64url(payload));
    let signature = base64url(sign(message.as_bytes()));
    format!("{message}.{signature}")
}

/// An RSA key of so many bits, in DER.
pub fn rsa_der(bits: usize) -> Vec<u8> {
    let made = command("openssl")
        .args(["genpkey", "-algorithm", "RSA", "-outform", "DER"])
        .args(["-pkeyopt", &format!("rsa_keygen_bits:{bits}")])
        .output()
        .unwrap();
    assert!(made.status.success(), "{made:?}");
    made.stdout
}
