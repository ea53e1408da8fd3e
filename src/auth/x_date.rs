//! `X-Date`: `YYYYMMDD'T'HHMMSS'Z'`, always UTC.

use jiff::{SignedDuration, Timestamp};

use crate::web::error::X_DATE_FORM;

/// How old an `X-Date` may be; a signature stands no longer than this.
pub const MAX_AGE: SignedDuration = SignedDuration::from_mins(15);

const LENGTH: usize = "20251103T070140Z".len();

/// The moment that `text` names; `None` if it has not exactly the form above or
/// there is no such moment.
#[must_use]
pub fn parse(text: &[u8]) -> Option<Timestamp> {
    let text: &[u8; LENGTH] = text.try_into().ok()?;
    let of_the_form = text
        .iter()
        .enumerate()
        .all(|(position, byte)| match position {
            8 => *byte == b'T',
            15 => *byte == b'Z',
            _ => byte.is_ascii_digit(),
        });
    // The shape is ours, the calendar is jiff's: the basic form of ISO 8601.
    if of_the_form {
        std::str::from_utf8(text).ok()?.parse().ok()
    } else {
        None
    }
}

/// `time` in the form above; fractions of a second are dropped.
#[must_use]
pub fn format(time: Timestamp) -> String {
    time.strftime(X_DATE_FORM).to_string()
}

/// Whether a request dated `date` is acceptable at `now`: at most [`MAX_AGE`]
/// old and at most `clock_skew` ahead.
#[must_use]
pub fn is_current(date: Timestamp, now: Timestamp, clock_skew: SignedDuration) -> bool {
    let age = now.duration_since(date);
    age <= MAX_AGE && age.saturating_add(clock_skew) >= SignedDuration::ZERO
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_contracts_example_is_read() {
        assert_eq!(
            parse(b"20251103T070140Z"),
            Some("2025-11-03T07:01:40Z".parse().unwrap())
        );
    }

    #[test]
    fn other_forms_and_impossible_moments_are_refused() {
        for text in [
            "",
            "20251103T070140",
            "20251103T070140z",
            "2025-11-03T07:01:40Z",
            "20251103 070140Z",
            "20251303T070140Z",
            "20250230T070140Z",
            "20251103T250140Z",
            "20251103T076040Z",
            "20251103T070140Z ",
        ] {
            assert_eq!(parse(text.as_bytes()), None, "{text}");
        }
    }

    #[test]
    fn the_window_is_fifteen_minutes_back_and_the_skew_ahead() {
        let now: Timestamp = "2025-11-03T07:00:00Z".parse().unwrap();
        let skew = SignedDuration::from_secs(5);
        let current = |offset| is_current(now + SignedDuration::from_secs(offset), now, skew);
        assert!(current(0) && current(-900) && current(5));
        assert!(!current(-901) && !current(6));
    }

    proptest! {
        #[test]
        fn what_is_formatted_is_read_back(seconds in 0_i64..4_102_444_800) {
            let time = Timestamp::from_second(seconds).unwrap();
            prop_assert_eq!(parse(format(time).as_bytes()), Some(time));
        }
    }
}
