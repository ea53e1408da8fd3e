//! Moments and durations.

use jiff::{SignedDuration, Timestamp};
use maud::{Markup, html};

/// A moment by its distance from now, with the moment itself for a title. The
/// script keeps it up to date, in the same words.
pub(super) fn ago(at: Timestamp, now: Timestamp) -> Markup {
    html! {
        time.ago datetime=(at) title=(utc(at)) { (distance(now.duration_since(at))) }
    }
}

/// A moment itself.
pub(super) fn utc(at: Timestamp) -> String {
    at.strftime("%Y-%m-%d %H:%M:%S%.3f UTC").to_string()
}

/// How long ago, or how far ahead.
fn distance(past: SignedDuration) -> String {
    let seconds = past.abs().as_secs();
    let long = match seconds {
        0 => return "now".to_owned(),
        1..60 => format!("{seconds} s"),
        60..3600 => format!("{} min", seconds.div_euclid(60)),
        3600..172_800 => format!("{} h", seconds.div_euclid(3600)),
        _ => format!("{} d", seconds.div_euclid(86_400)),
    };
    if past.is_negative() {
        format!("in {long}")
    } else {
        format!("{long} ago")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_distance_has_one_unit() {
        for (seconds, text) in [
            (0, "now"),
            (59, "59 s ago"),
            (60, "1 min ago"),
            (7_199, "1 h ago"),
            (172_800, "2 d ago"),
            (-61, "in 1 min"),
        ] {
            assert_eq!(distance(SignedDuration::from_secs(seconds)), text);
        }
    }
}
