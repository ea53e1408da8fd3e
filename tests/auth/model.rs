//! What a request means to a signature, and the many ways to write it.

use axum::body::Body;
use http::{HeaderMap, HeaderValue, Request};
use kootask::auth::signature::{SignableRequest, SignatureHeader, SigningKey, string_to_sign};
use proptest::collection::vec;
use proptest::prelude::*;
use rand::rngs::StdRng;
use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use sha2::{Digest, Sha256};

use super::gate::{APP_ID, DATE, SECRET};

pub const SIGNED_HEADERS: &str = "host;x-date;x-extra;x-user-id";

/// A request by its meaning: two that differ in any part are different.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Meaning {
    pub method: String,
    pub segments: Vec<Vec<u8>>,
    /// Sorted.
    pub parameters: Vec<(Vec<u8>, Vec<u8>)>,
    pub host: String,
    pub user: String,
    pub extra: String,
    pub body: Vec<u8>,
}

pub fn segment() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 1..6).prop_filter("a relative part", |text| text != b"." && text != b"..")
}

pub fn parameter() -> impl Strategy<Value = (Vec<u8>, Vec<u8>)> {
    (vec(any::<u8>(), 0..4), vec(any::<u8>(), 0..4))
}

/// A header's value: visible characters with spaces between.
pub fn value() -> impl Strategy<Value = String> {
    "([!-~é中]([ -~]{0,8}[!-~é中])?)?"
}

pub fn meaning() -> impl Strategy<Value = Meaning> {
    (
        "[A-Z]{1,8}",
        vec(segment(), 0..4),
        vec(parameter(), 0..4),
        "[a-z0-9.]{1,12}(:[1-9][0-9]{0,3})?",
        "[A-Za-z0-9_-]{1,64}",
        value(),
        vec(any::<u8>(), 0..40),
    )
        .prop_map(
            |(method, segments, mut parameters, host, user, extra, body)| {
                parameters.sort();
                Meaning {
                    method,
                    segments,
                    parameters,
                    host,
                    user,
                    extra,
                    body,
                }
            },
        )
}

/// A request as sent.
#[derive(Debug, Clone)]
pub struct Writing {
    pub path: String,
    pub query: String,
    headers: HeaderMap,
    meaning: Meaning,
}

impl Meaning {
    /// One of the ways to write it, chosen by `seed`.
    pub fn written(&self, seed: u64) -> Writing {
        let mut pen = StdRng::seed_from_u64(seed);
        let mut headers = HeaderMap::new();
        let padded = |pen: &mut StdRng, text: &str| {
            let (left, right) = (pen.random_range(0..3), pen.random_range(0..3));
            let text = format!("{}{text}{}", " ".repeat(left), "\t".repeat(right));
            HeaderValue::from_bytes(text.as_bytes()).unwrap()
        };
        headers.insert("x-date", DATE.parse().unwrap());
        headers.insert("host", self.host.parse().unwrap());
        headers.insert("x-user-id", padded(&mut pen, &self.user));
        headers.insert("x-extra", padded(&mut pen, &self.extra));
        Writing {
            path: self.path(&mut pen),
            query: self.query(&mut pen),
            headers,
            meaning: self.clone(),
        }
    }

    fn path(&self, pen: &mut StdRng) -> String {
        let mut path = String::new();
        for segment in &self.segments {
            for (detour, chance) in [("/", 0.1), ("/.", 0.1), ("/a/..", 0.1), ("/%2E", 0.05)] {
                if pen.random_bool(chance) {
                    path.push_str(detour);
                }
            }
            path.push('/');
            write(&mut path, segment, b"!$'()*+,;:@=&", pen);
        }
        if path.is_empty() || pen.random_bool(0.5) {
            path.push('/');
        }
        path
    }

    fn query(&self, pen: &mut StdRng) -> String {
        let mut parameters = self.parameters.clone();
        parameters.shuffle(pen);
        let mut query = String::new();
        for (name, value) in &parameters {
            if !query.is_empty() || pen.random_bool(0.1) {
                query.push('&');
            }
            write(&mut query, name, b"!$'()*+,;:@/?", pen);
            if name.is_empty() || !value.is_empty() || pen.random_bool(0.5) {
                query.push('=');
            }
            write(&mut query, value, b"!$'()*+,;:@/?=", pen);
        }
        query
    }
}

/// Writes `text` percent-encoded, but here and there plain where it may be.
fn write(out: &mut String, text: &[u8], may_be_plain: &[u8], pen: &mut StdRng) {
    for byte in text {
        let unreserved = byte.is_ascii_alphanumeric() || b"-._~".contains(byte);
        if unreserved && pen.random_bool(0.8) || may_be_plain.contains(byte) && pen.random_bool(0.5)
        {
            out.push(char::from(*byte));
        } else if pen.random_bool(0.5) {
            out.push_str(&format!("%{byte:02X}"));
        } else {
            out.push_str(&format!("%{byte:02x}"));
        }
    }
}

impl Writing {
    pub fn canonical(&self) -> String {
        let request = SignableRequest {
            method: &self.meaning.method,
            path: &self.path,
            query: &self.query,
            host: &self.meaning.host,
            headers: &self.headers,
            body_sha256: &Sha256::digest(&self.meaning.body).into(),
        };
        request.canonical(SIGNED_HEADERS).unwrap()
    }

    /// The `Authorization` header that our signer makes.
    pub fn authorization(&self) -> String {
        let key = SigningKey::new(&SECRET.into());
        let header = SignatureHeader {
            app_id: APP_ID.parse().unwrap(),
            signed_headers: SIGNED_HEADERS,
            signature: key.sign(&string_to_sign(&self.canonical())),
        };
        header.to_string()
    }

    /// The request with this `Authorization`.
    pub fn request(&self, authorization: &str) -> Request<Body> {
        let mut request = Request::new(Body::from(self.meaning.body.clone()));
        *request.method_mut() = self.meaning.method.parse().unwrap();
        *request.uri_mut() = format!("{}?{}", self.path, self.query).parse().unwrap();
        *request.headers_mut() = self.headers.clone();
        let authorization = authorization.parse().unwrap();
        request.headers_mut().insert("authorization", authorization);
        request
    }
}
