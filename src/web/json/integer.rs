//! JSON numbers that are integers, however they are written.

use serde_json::value::RawValue;

/// The integer that this JSON number is the same as: `1`, `1.0` and `10e-1` are
/// one. `None` if it is no JSON number, no integer or no `i64`.
#[must_use]
pub fn integer(text: &str) -> Option<i64> {
    // Without white space around it, which JSON lets stand there.
    let number: &RawValue = serde_json::from_str(text).ok()?;
    if number.get() != text || !text.starts_with(|c: char| c == '-' || c.is_ascii_digit()) {
        return None;
    }
    let (mantissa, exponent) = text.split_once(['e', 'E']).unwrap_or((text, "0"));
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let digits = format!("{whole}{fraction}");
    let significant = digits.trim_end_matches('0');
    if significant.is_empty() || significant == "-" {
        return Some(0);
    }
    let zeros = i64::try_from(digits.len().checked_sub(significant.len())?).ok()?;
    let fraction = i64::try_from(fraction.len()).ok()?;
    let exponent: i64 = exponent.parse().ok()?;
    let power = exponent.checked_add(zeros)?.checked_sub(fraction)?;
    let factor = 10_i64.checked_pow(u32::try_from(power).ok()?)?;
    significant.parse::<i64>().ok()?.checked_mul(factor)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_number_with_the_value_of_an_integer_is_that_integer() {
        for (text, value) in [
            ("0", 0),
            ("-0", 0),
            ("0.0", 0),
            ("0e999999999999999999999", 0),
            ("1.0", 1),
            ("1e0", 1),
            ("10E-1", 1),
            ("0.1e+1", 1),
            ("-1.50e1", -15),
            ("1000", 1000),
            ("9223372036854775807", i64::MAX),
            ("9.223372036854775807e18", i64::MAX),
        ] {
            assert_eq!(integer(text), Some(value), "{text}");
        }
    }

    #[test]
    fn what_is_no_json_number_or_no_integer_is_none() {
        for text in [
            "",
            " 1",
            "1 ",
            "+5",
            "007",
            "1.",
            ".5",
            "1.5",
            "1e-1",
            "1e19",
            "0x1",
            "\"1\"",
            "null",
            "1.00000000000000000001",
            "9223372036854775808",
            "1e99999999999999999999",
            "١",
        ] {
            assert_eq!(integer(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn every_spelling_of_an_integer_is_that_integer(
            number in -1_000_000_000_i64..1_000_000_000, zeros in 1_usize..6
        ) {
            let shifted = format!("{number}{}e-{zeros}", "0".repeat(zeros));
            prop_assert_eq!(integer(&shifted), Some(number));
            prop_assert_eq!(integer(&format!("{number}.{}", "0".repeat(zeros))), Some(number));
        }
    }
}
