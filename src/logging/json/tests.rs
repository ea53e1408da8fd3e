//! What logging writes, read as JSON.

use std::fmt;
use std::sync::{Arc, Mutex};

use proptest::prelude::*;
use serde_json::{Value, json};
use tracing_subscriber::layer::SubscriberExt;

use super::fields::LINE_LIMIT;
use super::text::ELLIPSIS;
use super::{JsonLines, SpanFields};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

/// The object that logging makes of what `log` does.
fn logged(log: impl FnOnce()) -> Value {
    let lines = Lines::default();
    let writer = lines.clone();
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(move || writer.clone())
        .fmt_fields(SpanFields)
        .event_format(JsonLines);
    let subscriber = tracing_subscriber::registry().with(layer);
    tracing::subscriber::with_default(subscriber, log);
    let written = lines.0.lock().unwrap();
    let written = std::str::from_utf8(&written).unwrap();
    assert!(written.len() <= LINE_LIMIT, "{} bytes", written.len());
    let line = written.strip_suffix('\n').unwrap();
    let hidden = |char: &char| char.is_control() || "\u{2028}\u{2029}".contains(*char);
    assert_eq!(line.chars().find(hidden), None);
    let turning = [0x61c, 0x200e, 0x200f].into_iter().chain(0x202a..=0x202e);
    for mark in turning.chain(0x2066..=0x2069) {
        assert!(
            !line.contains(char::from_u32(mark).unwrap()),
            "U+{mark:04X}"
        );
    }
    // A name that stands there twice is an error of this type.
    serde_json::from_str::<Members>(line).unwrap().0
}

/// A JSON object, each name of which stands there once.
struct Members(Value);

impl<'de> serde::Deserialize<'de> for Members {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;
        impl<'de> serde::de::Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("an object")
            }

            fn visit_map<A>(self, mut map: A) -> Result<Members, A::Error>
            where
                A: serde::de::MapAccess<'de>,
            {
                let mut object = serde_json::Map::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    assert_eq!(object.insert(name.clone(), value), None, "{name}");
                }
                Ok(Members(object.into()))
            }
        }
        deserializer.deserialize_map(Object)
    }
}

#[test]
fn fields_of_every_type_stand_beside_time_level_and_target() {
    let line = logged(|| {
        tracing::warn!(
            text = "a",
            number = -1,
            count = 2_u64,
            yes = true,
            ms = 0.25,
            absent = None::<&str>,
            "said"
        );
    });
    assert_eq!(line["level"], "WARN");
    assert_eq!(line["target"], "kootask::logging::json::tests");
    assert!(line["timestamp"].as_str().unwrap().ends_with('Z'));
    let fields = ["message", "text", "number", "count", "yes", "ms", "absent"];
    let values: Vec<_> = fields.iter().map(|field| line[field].clone()).collect();
    assert_eq!(
        Value::from(values),
        json!(["said", "a", -1, 2, true, 0.25, null])
    );
}

proptest! {
    #[test]
    fn any_text_is_kept_and_stays_on_one_line(text in any::<String>()) {
        let line = logged(|| tracing::info!(text, "said"));
        prop_assert_eq!(line["text"].as_str(), Some(text.as_str()));
    }

    #[test]
    fn no_character_leaves_its_value(char in any::<char>()) {
        let text = format!("a{char}b");
        let line = logged(|| tracing::info!(text, "said"));
        prop_assert_eq!(line["text"].as_str(), Some(text.as_str()));
    }

    #[test]
    fn a_line_is_bounded_and_says_that_it_was_cut(
        text in "[a\"\\n\u{85}\u{2028}\u{202e}王😀]{0,4}",
        times in 0_usize..10_000,
    ) {
        let long = text.repeat(times);
        let line = logged(|| {
            let _outer = tracing::info_span!("outer", one = long, two = long).entered();
            let _inner = tracing::info_span!("inner", three = %long, four = long).entered();
            tracing::info!(five = %long, six = ?long, last = 1, "said {long}");
        });
        let said = line["message"].as_str().unwrap();
        let cut = said.strip_suffix(ELLIPSIS);
        let whole = format!("said {long}");
        prop_assert!(whole.starts_with(cut.unwrap_or(said)));
        prop_assert_eq!(line["last"].as_i64(), Some(1));
        if cut.is_some() {
            prop_assert_eq!(line["truncated"].as_bool(), Some(true));
        }
        if times == 0 {
            prop_assert!(line.get("truncated").is_none());
        }
    }
}

#[test]
fn a_line_has_the_fields_of_the_spans_around_it() {
    let line = logged(|| {
        let outer = tracing::info_span!("outer", node = 1, role = "writer", at = 1);
        let _outer = outer.entered();
        let inner = tracing::info_span!("inner", task_id = tracing::field::Empty, at = 2);
        inner.record("task_id", 5);
        inner.record("task_id", 7);
        let _inner = inner.entered();
        tracing::info!(role = "event", "said");
    });
    let fields = ["node", "task_id", "at", "role"].map(|field| line[field].clone());
    assert_eq!(Value::from(fields.to_vec()), json!([1, 7, 2, "event"]));
}

#[test]
fn numbers_of_every_size_are_numbers() {
    for number in [
        0.0,
        -0.0,
        1.5e-300,
        -1e-7,
        0.25,
        1e15,
        f64::MAX,
        f64::MIN_POSITIVE,
    ] {
        let line = logged(|| tracing::info!(number, "said"));
        // The test's reader of numbers rounds.
        let off = (line["number"].as_f64().unwrap() - number).abs();
        assert!(off <= number.abs() * 1e-12, "{number}: {line}");
    }
    let line = logged(|| tracing::info!(number = f64::NAN, least = i64::MIN, "said"));
    assert_eq!(line["number"], 0.0);
    assert_eq!(line["least"], i64::MIN);
}
