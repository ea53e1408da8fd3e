//! The create request, the same for every contender but for its credential.
//!
//! The load shares the CPUs with the server, so a request is made by patching
//! one buffer in place: every part that changes has a fixed length.

use std::io::Write;
use std::ops::Range;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use kootask::auth::stand_in::{APP_ID, APP_SECRET};
use rand::Rng;
use sha2::{Digest, Sha256};

use crate::bare::CREATE_PATH;

/// A token that is taken at its word.
const TOKEN: &str = "bench-token";
/// The acting user.
const USER: &str = "1505084218764547200";
/// The recipient, in every body the same.
const DESTINATION: &str = "1507947856550550784";

/// How long an `X-Date` is used again; it stands for 15 minutes.
const DATE_KEPT: Duration = Duration::from_millis(500);

const DATE_LENGTH: usize = "20251103T070140Z".len();
const SOURCE_LENGTH: usize = 19;
const SIGNATURE_LENGTH: usize = 64;

/// The credential that a contender's requests carry.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Credential {
    /// `Authorization: Bearer …`, the same in every request.
    Bearer,
    /// App authentication, a fresh signature in every request.
    Signed,
}

impl Credential {
    /// The name on the load process's command line.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bearer => "bearer",
            Self::Signed => "signed",
        }
    }

    /// The credential of that [name](Self::name).
    pub(crate) fn named(name: &str) -> Option<Self> {
        [Self::Bearer, Self::Signed]
            .into_iter()
            .find(|credential| credential.name() == name)
    }
}

/// Makes one request after another, each from a fresh random source user.
pub(crate) struct RequestMaker {
    /// The whole request as it goes over the wire.
    request: Vec<u8>,
    date: Range<usize>,
    source: Range<usize>,
    body: Range<usize>,
    signing: Option<Signing>,
    /// When the date in the request is to be written anew.
    date_due: Instant,
    random: rand::rngs::ThreadRng,
}

/// What a signed request needs besides.
struct Signing {
    /// Keyed once; a clone of it signs one request.
    key: Hmac<Sha256>,
    host: String,
    /// Where the signature goes in the request.
    signature: Range<usize>,
}

impl RequestMaker {
    /// Lays the request out; `host` is the server's address with its port.
    pub(crate) fn new(host: &str, credential: Credential) -> Self {
        let mut request = Vec::with_capacity(1024);
        push(
            &mut request,
            &format!(
                "POST {CREATE_PATH} HTTP/1.1\r\nHost: {host}\r\nX-User-Id: {USER}\r\nX-Date: "
            ),
        );
        let date = push(&mut request, &"0".repeat(DATE_LENGTH));
        push(&mut request, "\r\nAuthorization: ");
        let signing = match credential {
            Credential::Bearer => {
                push(&mut request, &format!("Bearer {TOKEN}"));
                None
            }
            Credential::Signed => {
                push(
                    &mut request,
                    &format!(
                        "HMAC-SHA256 AppId={APP_ID},SignedHeaders=host;x-date;x-user-id,Signature="
                    ),
                );
                Some(Signing {
                    key: Hmac::new_from_slice(APP_SECRET.as_bytes())
                        .expect("a key of any length will do"),
                    host: host.to_owned(),
                    signature: push(&mut request, &"0".repeat(SIGNATURE_LENGTH)),
                })
            }
        };

        let before_source = r#"{"taskType":0,"srcUserId":""#;
        let after_source = format!(r#"","dstUserId":"{DESTINATION}"}}"#);
        let length = before_source.len() + SOURCE_LENGTH + after_source.len();
        push(
            &mut request,
            &format!("\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n"),
        );
        let body_start = push(&mut request, before_source).start;
        let source = push(&mut request, &"0".repeat(SOURCE_LENGTH));
        let body_end = push(&mut request, &after_source).end;

        Self {
            request,
            date,
            source,
            body: body_start..body_end,
            signing,
            date_due: Instant::now(),
            random: rand::rng(),
        }
    }

    /// The next request, complete; `now` saves it a look at the clock.
    pub(crate) fn next(&mut self, now: Instant) -> &[u8] {
        if now >= self.date_due {
            let date = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
            overwrite(&mut self.request[self.date.clone()], &date);
            self.date_due = now + DATE_KEPT;
        }

        let source: u64 = self
            .random
            .random_range(1_000_000_000_000_000_000..10_000_000_000_000_000_000);
        overwrite(&mut self.request[self.source.clone()], &source);

        if let Some(signing) = &self.signing {
            let signature = sign(
                &signing.key,
                signing.host.as_bytes(),
                &self.request[self.date.clone()],
                &self.request[self.body.clone()],
            );
            self.request[signing.signature.clone()].copy_from_slice(&signature);
        }
        &self.request
    }
}

/// The signature, in hex, of this one request: written out from the rule for a
/// fixed method, path and set of headers, it shares no code with the service
/// and so checks it too.
fn sign(key: &Hmac<Sha256>, host: &[u8], date: &[u8], body: &[u8]) -> [u8; SIGNATURE_LENGTH] {
    let canonical_request = Sha256::new()
        .chain_update("POST\n")
        .chain_update(CREATE_PATH)
        .chain_update("/\n\nhost:")
        .chain_update(host)
        .chain_update("\nx-date:")
        .chain_update(date)
        .chain_update("\nx-user-id:")
        .chain_update(USER)
        .chain_update("\n\nhost;x-date;x-user-id\n")
        .chain_update(hex(&Sha256::digest(body).into()))
        .finalize();
    let signature = key
        .clone()
        .chain_update("HMAC-SHA256\n")
        .chain_update(hex(&canonical_request.into()))
        .finalize();
    hex(&signature.into_bytes().into())
}

/// A digest in lower-case hex.
fn hex(digest: &[u8; 32]) -> [u8; SIGNATURE_LENGTH] {
    let mut digits = [0; SIGNATURE_LENGTH];
    hex::encode_to_slice(digest, &mut digits).expect("two digits a byte");
    digits
}

/// Appends a part, and tells where it came to lie.
fn push(request: &mut Vec<u8>, part: &str) -> Range<usize> {
    let start = request.len();
    request.extend_from_slice(part.as_bytes());
    start..request.len()
}

/// Writes a value over a part of exactly its length.
fn overwrite(mut part: &mut [u8], value: &impl std::fmt::Display) {
    write!(part, "{value}").expect("a part that holds its value");
    assert!(part.is_empty(), "a part longer than its value");
}
