//! Why a task failed.

use std::fmt;
use std::str::FromStr;

/// A KooDrive result code of a failure: `18` and six digits, as `18000205`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ResultCode(u32);

/// The text is not a [`ResultCode`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a result code is 18 and six more digits")]
pub struct NotAResultCode;

/// Our own codes (`worker.md`, "States"); KooDrive publishes only 18000205.
impl ResultCode {
    /// Every attempt that the task had is used up.
    pub const ATTEMPTS_USED_UP: Self = Self(18_990_001);
    /// Cancelled before it was started.
    pub const CANCELLED_BEFORE_START: Self = Self(18_990_002);
    /// Cancelled while it ran, and stopped by its worker.
    pub const CANCELLED_BY_WORKER: Self = Self(18_990_003);
    /// Cancelled while it ran, and its worker was lost: the outcome is unknown.
    pub const CANCELLED_WORKER_LOST: Self = Self(18_990_004);
    /// Its worker gave no code.
    pub const FAILED_WITHOUT_CODE: Self = Self(18_990_005);
}

impl ResultCode {
    const RANGE: std::ops::RangeInclusive<u32> = 18_000_000..=18_999_999;

    /// The code with this number; `None` outside 18,000,000–18,999,999.
    #[must_use]
    pub fn new(number: u32) -> Option<Self> {
        Self::RANGE.contains(&number).then_some(Self(number))
    }
}

impl FromStr for ResultCode {
    type Err = NotAResultCode;

    fn from_str(text: &str) -> Result<Self, NotAResultCode> {
        // `u32::from_str` would also take a sign.
        if text.len() == 8 && text.bytes().all(|byte| byte.is_ascii_digit()) {
            text.parse().ok().and_then(Self::new).ok_or(NotAResultCode)
        } else {
            Err(NotAResultCode)
        }
    }
}

impl fmt::Display for ResultCode {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn eighteen_and_six_digits_are_a_code_and_nothing_else_is() {
        assert_eq!(
            "18000205".parse(),
            ResultCode::new(18_000_205).ok_or(NotAResultCode)
        );
        for text in [
            "",
            "18",
            "1800020",
            "180002055",
            "19000205",
            "+8000205",
            "18 00205",
            "１8000205",
        ] {
            assert_eq!(text.parse::<ResultCode>(), Err(NotAResultCode), "{text}");
        }
    }
}
