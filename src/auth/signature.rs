//! KooDrive's app authentication: the canonical request, the string to sign and
//! the signature.
//!
//! Contract: `app-auth.md`; its vectors are verified in `tests/`.

use std::borrow::Cow;
use std::fmt;

use hmac::{Hmac, KeyInit, Mac};
use http::HeaderMap;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, percent_encode};
use secrecy::{ExposeSecret, SecretString};
use sha2::{Digest, Sha256};

use crate::task::Identifier;
use crate::web::query;

/// The headers that every signature must cover.
pub const REQUIRED_HEADERS: [&str; 3] = ["host", "x-date", "x-user-id"];

/// The most headers that a signature may cover.
const MAX_SIGNED_HEADERS: usize = 32;

/// All but the unreserved characters of RFC 3986, section 2.3.
const RESERVED: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~');

/// A signature header: `HMAC-SHA256 AppId=…,SignedHeaders=…,Signature=…`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureHeader<'a> {
    /// The app that claims to have signed.
    pub app_id: Identifier,
    /// The lower-case names of the signed headers, sorted, joined by `;`.
    pub signed_headers: &'a str,
    /// The signature.
    pub signature: [u8; 32],
}

impl<'a> SignatureHeader<'a> {
    /// The name of the scheme.
    pub const SCHEME: &'static str = crate::web::envelope::SIGNATURE_SCHEME;

    /// Reads what follows the scheme. Each parameter must be there exactly
    /// once; `None` if anything is out of form.
    #[must_use]
    pub fn parse(parameters: &'a str) -> Option<Self> {
        let (mut app_id, mut signed_headers, mut signature) = (None, None, None);
        for parameter in parameters.split(',') {
            let (name, value) = parameter.trim().split_once('=')?;
            let slot = match name {
                "AppId" => &mut app_id,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return None,
            };
            if slot.replace(value).is_some() {
                return None;
            }
        }
        Some(Self {
            app_id: app_id?.parse().ok()?,
            signed_headers: signed_headers.filter(|names| are_signable(names))?,
            signature: lower_case_hex(signature?)?,
        })
    }
}

impl fmt::Display for SignatureHeader<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            formatter,
            "{} AppId={},SignedHeaders={},Signature={}",
            Self::SCHEME,
            self.app_id,
            self.signed_headers,
            hex::encode(self.signature)
        )
    }
}

/// Whether `names` is a sorted list of lower-case names that holds all of
/// [`REQUIRED_HEADERS`].
fn are_signable(names: &str) -> bool {
    // What nearly every client signs needs no closer look.
    names == "host;x-date;x-user-id" || are_signable_names(names)
}

fn are_signable_names(names: &str) -> bool {
    names.split(';').is_sorted_by(|a, b| a < b)
        && names.split(';').count() <= MAX_SIGNED_HEADERS
        && !names.bytes().any(|byte| byte.is_ascii_uppercase())
        && REQUIRED_HEADERS
            .iter()
            .all(|required| names.split(';').any(|name| name == *required))
}

fn lower_case_hex(text: &str) -> Option<[u8; 32]> {
    let mut bytes = [0; 32];
    let is_lower_case = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    (is_lower_case && hex::decode_to_slice(text, &mut bytes).is_ok()).then_some(bytes)
}

/// What of a request a signature covers.
#[derive(Debug, Clone, Copy)]
pub struct SignableRequest<'a> {
    /// The method, upper case.
    pub method: &'a str,
    /// The path as sent.
    pub path: &'a str,
    /// The query as sent, without `?`.
    pub query: &'a str,
    /// The `Host` header or `:authority`.
    pub host: &'a str,
    /// The headers; `host` is taken from the field above.
    pub headers: &'a HeaderMap,
    /// The SHA-256 of the body as sent.
    pub body_sha256: &'a [u8; 32],
}

impl SignableRequest<'_> {
    /// The canonical request for these signed headers; `None` if one of them is
    /// absent, not text, or there more than once.
    #[must_use]
    pub fn canonical(&self, signed_headers: &str) -> Option<String> {
        let mut canonical = String::with_capacity(512);
        canonical.push_str(self.method);
        canonical.push('\n');
        push_canonical_uri(&mut canonical, self.path);
        canonical.push('\n');
        push_canonical_query(&mut canonical, self.query);
        canonical.push('\n');
        for name in signed_headers.split(';') {
            canonical.push_str(name);
            canonical.push(':');
            // The white space of HTTP, which is not that of Unicode.
            canonical.push_str(self.signed_value(name)?.trim_matches([' ', '\t']));
            canonical.push('\n');
        }
        canonical.push('\n');
        canonical.push_str(signed_headers);
        canonical.push('\n');
        push_hex(&mut canonical, self.body_sha256);
        Some(canonical)
    }

    fn signed_value(&self, name: &str) -> Option<&str> {
        if name == "host" {
            return Some(self.host);
        }
        let mut values = self.headers.get_all(name).iter();
        match (values.next(), values.next()) {
            (Some(value), None) => std::str::from_utf8(value.as_bytes()).ok(),
            _ => None,
        }
    }
}

/// The string to sign for a canonical request.
#[must_use]
pub fn string_to_sign(canonical_request: &str) -> String {
    let mut text = String::with_capacity(80);
    text.push_str(SignatureHeader::SCHEME);
    text.push('\n');
    push_hex(&mut text, &Sha256::digest(canonical_request).into());
    text
}

/// An app secret, ready to sign with.
///
/// ```
/// use http::HeaderMap;
/// use kootask::auth::signature::{SignableRequest, SignatureHeader, SigningKey, string_to_sign};
/// use sha2::{Digest, Sha256};
///
/// let mut headers = HeaderMap::new();
/// headers.insert("X-Date", "20261125T120000Z".parse()?);
/// headers.insert("X-User-Id", "1505084218764547200".parse()?);
/// let request = SignableRequest {
///     method: "GET",
///     path: "/koodrive/ose/v1/task",
///     query: "limit=10&offset=0",
///     host: "tasks.example.com",
///     headers: &headers,
///     body_sha256: &Sha256::digest("").into(),
/// };
/// let signed_headers = "host;x-date;x-user-id";
/// let canonical = request.canonical(signed_headers).ok_or("a header is missing")?;
/// let text = string_to_sign(&canonical);
///
/// let key = SigningKey::new(&"the app's secret".into());
/// let signature = key.sign(&text);
/// assert!(key.verifies(&text, &signature));
/// assert!(!SigningKey::new(&"another".into()).verifies(&text, &signature));
/// let header = SignatureHeader { app_id: "console".parse()?, signed_headers, signature };
/// assert!(header.to_string().starts_with("HMAC-SHA256 AppId=console,SignedHeaders=host;"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct SigningKey(Hmac<Sha256>);

impl SigningKey {
    /// The key of this secret. Its pads are hashed once, here.
    #[must_use]
    pub fn new(secret: &SecretString) -> Self {
        Self::from_bytes(secret.expose_secret().as_bytes())
    }

    /// A key that no signature is made with: what an unknown app is checked
    /// against, so that it costs the same.
    #[must_use]
    pub fn decoy() -> Self {
        let random: [u8; 32] = rand::random();
        Self::from_bytes(&random)
    }

    fn from_bytes(secret: &[u8]) -> Self {
        // HMAC takes a key of any length; the default is never reached.
        Self(Hmac::new_from_slice(secret).unwrap_or_else(|_| Hmac::new(&Default::default())))
    }

    /// Signs a [`string_to_sign`].
    #[must_use]
    pub fn sign(&self, string_to_sign: &str) -> [u8; 32] {
        let mac = self.0.clone().chain_update(string_to_sign);
        mac.finalize().into_bytes().into()
    }

    /// Whether `signature` is this key's; in constant time.
    #[must_use]
    pub fn verifies(&self, string_to_sign: &str, signature: &[u8; 32]) -> bool {
        let mac = self.0.clone().chain_update(string_to_sign);
        mac.verify_slice(signature).is_ok()
    }
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("SigningKey([REDACTED])")
    }
}

fn push_hex(text: &mut String, bytes: &[u8; 32]) {
    let mut digits = [0; 64];
    // The buffer has the right length and hex digits are UTF-8.
    if hex::encode_to_slice(bytes, &mut digits).is_ok()
        && let Ok(digits) = std::str::from_utf8(&digits)
    {
        text.push_str(digits);
    }
}

/// Appends text that was percent-decoded, percent-encoded once.
fn push_encoded(canonical: &mut String, decoded: &[u8]) {
    canonical.extend(percent_encode(decoded, RESERVED));
}

/// Appends the path with redundant and relative parts removed, each segment
/// percent-encoded once, and a `/` at the end.
fn push_canonical_uri(canonical: &mut String, path: &str) {
    let mut segments: Vec<Cow<'_, [u8]>> = Vec::with_capacity(8);
    for segment in path.split('/') {
        let decoded: Cow<'_, [u8]> = percent_decode_str(segment).into();
        match decoded.as_ref() {
            b"" | b"." => {}
            b".." => {
                segments.pop();
            }
            _ => segments.push(decoded),
        }
    }
    canonical.push('/');
    for segment in segments {
        push_encoded(canonical, &segment);
        canonical.push('/');
    }
}

/// Appends `name=value` pairs, percent-encoded once, sorted by name in
/// character-code order and then by value; `=` is there even without a value.
fn push_canonical_query(canonical: &mut String, query: &str) {
    let mut pairs: Vec<_> = query::pairs(query).collect();
    pairs.sort_unstable();
    for (index, (name, value)) in pairs.iter().enumerate() {
        if index > 0 {
            canonical.push('&');
        }
        push_encoded(canonical, name);
        canonical.push('=');
        push_encoded(canonical, value);
    }
}
