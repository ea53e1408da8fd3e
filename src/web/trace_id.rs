//! The trace id of a request (`X-Traceid`): taken from the client or made.

use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;
use uuid::fmt::Simple;

use super::error::{Reason, Violation};

/// The header that carries a trace id in both directions.
pub const X_TRACEID: HeaderName = HeaderName::from_static("x-traceid");

/// The length of a generated id, KooDrive's "58位".
const GENERATED_LENGTH: usize = 58;
/// The longest id accepted from a client.
pub const MAX_LENGTH: usize = 128;

/// 1–128 visible ASCII characters that name a request in every log line.
#[derive(Debug, Clone)]
pub struct TraceId(HeaderValue);

impl TraceId {
    /// Makes a new id: 58 lower-case hexadecimal digits, of two random UUIDs.
    #[must_use]
    pub fn generate() -> Self {
        let mut digits = [0_u8; 2 * Simple::LENGTH];
        for half in digits.chunks_exact_mut(Simple::LENGTH) {
            Uuid::new_v4().simple().encode_lower(half);
        }
        let id = digits.get(..GENERATED_LENGTH).unwrap_or_default();
        // Cannot fail: hexadecimal digits are visible ASCII.
        Self(HeaderValue::from_bytes(id).unwrap_or(HeaderValue::from_static("-")))
    }

    /// The id that `headers` carry, if any.
    ///
    /// # Errors
    ///
    /// A [`Violation`] when the header is malformed or given twice.
    pub fn of(headers: &HeaderMap) -> Result<Option<Self>, Violation> {
        let mut values = headers.get_all(X_TRACEID).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(Violation::new("X-Traceid", Reason::Repeated));
        }
        let bytes = value.as_bytes();
        if (1..=MAX_LENGTH).contains(&bytes.len()) && bytes.iter().all(u8::is_ascii_graphic) {
            Ok(Some(Self(value.clone())))
        } else {
            Err(Violation::new("X-Traceid", Reason::NotATraceId))
        }
    }

    /// The id as a header value.
    #[must_use]
    pub const fn header_value(&self) -> &HeaderValue {
        &self.0
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or("-")
    }
}
