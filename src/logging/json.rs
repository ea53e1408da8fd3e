//! A log line as one JSON object, of bounded length.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

/// The most bytes of a line.
const LINE_LIMIT: usize = 16 * 1024;
/// The most bytes of a value, as it is written. One long value must not push the
/// others out of the line.
const VALUE_LIMIT: usize = 4 * 1024;
/// What ends a line that was cut. In the value that was cut stands [`ELLIPSIS`].
const TRUNCATED: &str = ",\"truncated\":true";
const ELLIPSIS: char = '…';
/// Stands before each field of a span. Written JSON has no such character.
const SEPARATOR: &str = "\u{1e}";

/// `{"timestamp":…,"level":…,"target":…,` then the event's fields, flat, then
/// those of the spans around it. Of fields of one name the event's is written,
/// or the innermost span's.
pub(super) struct JsonLines;

/// The fields of spans, as [`JsonLines`] takes them.
pub(super) struct SpanFields;

impl<S> FormatEvent<S, SpanFields> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, SpanFields>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        writer.write_str("\",\"level\":\"")?;
        writer.write_str(event.metadata().level().as_str())?;
        // A target is a path of Rust's, or a text of ours.
        writer.write_str("\",\"target\":\"")?;
        writer.write_str(event.metadata().target())?;
        writer.write_char('"')?;
        let mut fields = Fields::new(writer, ",");
        event.record(&mut fields);
        fields.outcome?;
        write_spans(&mut fields, context, event)?;
        if fields.truncated {
            fields.writer.write_str(TRUNCATED)?;
        }
        fields.writer.write_str("}\n")
    }
}

/// Writes the fields of the spans around the event that have names of their own.
fn write_spans<S>(
    line: &mut Fields<'_>,
    context: &FmtContext<'_, S, SpanFields>,
    event: &Event<'_>,
) -> fmt::Result
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    let mut written: Vec<Box<str>> = Vec::new();
    for span in context.event_scope().into_iter().flatten() {
        let extensions = span.extensions();
        let Some(fields) = extensions.get::<FormattedFields<SpanFields>>() else {
            continue;
        };
        for (name, member) in members(&fields.fields) {
            if event.metadata().fields().field(name).is_some()
                || written.iter().any(|before| **before == *name)
            {
                continue;
            }
            written.push(name.into());
            if line.takes(member.len()) {
                line.writer.write_char(',')?;
                line.writer.write_str(member)?;
            }
        }
    }
    Ok(())
}

impl<'writer> FormatFields<'writer> for SpanFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = Fields::new(writer, SEPARATOR);
        fields.record(&mut visitor);
        visitor.outcome
    }

    /// A field that is recorded again has its new value alone.
    fn add_fields(
        &self,
        current: &'writer mut FormattedFields<Self>,
        fields: &Record<'_>,
    ) -> fmt::Result {
        let mut new = FormattedFields::<Self>::new(String::new());
        self.format_fields(new.as_writer(), fields)?;
        for (name, member) in members(&current.fields) {
            if members(&new.fields).all(|(again, _)| again != name) {
                write!(new.fields, "{SEPARATOR}{member}")?;
            }
        }
        current.fields = new.fields;
        Ok(())
    }
}

/// The fields of a span: the name of each, and `"name":value`.
fn members(fields: &str) -> impl Iterator<Item = (&str, &str)> {
    fields.split(SEPARATOR).filter_map(|member| {
        let (name, _) = member.strip_prefix('"')?.split_once('"')?;
        Some((name, member))
    })
}

/// Writes fields as they come; the first failure is kept.
struct Fields<'a> {
    writer: Writer<'a>,
    /// What stands before each.
    separator: &'static str,
    /// The bytes that the line still takes.
    left: usize,
    /// Something did not fit.
    truncated: bool,
    outcome: fmt::Result,
}

impl<'a> Fields<'a> {
    const fn new(writer: Writer<'a>, separator: &'static str) -> Self {
        /// What stands before the fields and after them.
        const AROUND: usize = 256;
        Self {
            writer,
            separator,
            left: LINE_LIMIT - AROUND,
            truncated: false,
            outcome: Ok(()),
        }
    }

    /// Whether so many bytes go into the line, which then has fewer left.
    fn takes(&mut self, bytes: usize) -> bool {
        // With its comma.
        let left = self.left.checked_sub(bytes.saturating_add(1));
        self.truncated |= left.is_none();
        self.left = left.unwrap_or(self.left);
        left.is_some()
    }

    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Self) -> fmt::Result) {
        /// Quotation marks and a colon, and the shortest text that was cut.
        const FORM: usize = 3 + 2 + ELLIPSIS.len_utf8();
        // A field's name is a Rust identifier.
        let name = field.name();
        if self.outcome.is_ok() && self.takes(name.len().saturating_add(FORM)) {
            self.outcome = self.name(name).and_then(|()| value(self));
        }
    }

    fn name(&mut self, name: &str) -> fmt::Result {
        self.writer.write_str(self.separator)?;
        self.writer.write_char('"')?;
        self.writer.write_str(name)?;
        self.writer.write_str("\":")
    }

    fn text(&mut self, value: impl FnOnce(&mut Text<'_, 'a>) -> fmt::Result) -> fmt::Result {
        self.writer.write_char('"')?;
        let limit = self.left.min(VALUE_LIMIT);
        let mut text = Text {
            writer: &mut self.writer,
            left: limit,
            full: false,
        };
        let outcome = value(&mut text);
        let Text { left, full, .. } = text;
        self.left = self.left.saturating_sub(limit.saturating_sub(left));
        if full {
            self.truncated = true;
            self.writer.write_char(ELLIPSIS)?;
        } else {
            outcome?;
        }
        self.writer.write_char('"')
    }

    fn number(&mut self, field: &Field, value: impl fmt::Display) {
        /// The longest number: an `i64`'s or, with an exponent, an `f64`'s.
        const LONGEST: usize = 26;
        self.field(field, |fields| {
            fields.left = fields.left.saturating_sub(LONGEST);
            write!(fields.writer, "{value}")
        });
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |fields| fields.text(|text| text.write_str(value)));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.number(field, value);
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.number(field, value);
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.number(field, value);
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities.
        let value = if value.is_finite() { value } else { 0.0 };
        // Others are hundreds of digits long when they are written out.
        if value == 0.0 || (1e-6..1e15).contains(&value.abs()) {
            self.number(field, value);
        } else {
            self.number(field, format_args!("{value:e}"));
        }
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // The message, too, comes this way.
        self.field(field, |fields| {
            fields.text(|text| write!(text, "{value:?}"))
        });
    }
}

/// The inside of a JSON string, up to a number of bytes.
struct Text<'a, 'writer> {
    writer: &'a mut Writer<'writer>,
    left: usize,
    /// There was more than could be taken.
    full: bool,
}

impl Write for Text<'_, '_> {
    /// Fails when it is full, so that what is written is not made in vain.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.left && text.bytes().all(stands_for_itself) {
            self.left = self.left.saturating_sub(text.len());
            return self.writer.write_str(text);
        }
        text.chars().try_for_each(|char| self.write_char(char))
    }

    /// Escapes, beyond what JSON demands, all that ends a line somewhere, or that
    /// moves or hides on a terminal what stands beside it: control characters,
    /// line and paragraph separator, and the marks that turn a text's direction.
    fn write_char(&mut self, char: char) -> fmt::Result {
        match char {
            '"' => self.put("\\\""),
            '\\' => self.put("\\\\"),
            '\n' => self.put("\\n"),
            '\r' => self.put("\\r"),
            '\t' => self.put("\\t"),
            '\0'..='\u{1f}'
            | '\u{7f}'..='\u{9f}'
            | '\u{61c}'
            | '\u{200e}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2066}'..='\u{2069}' => self.put(&format!("\\u{:04x}", u32::from(char))),
            char => self.put(char.encode_utf8(&mut [0; 4])),
        }
    }
}

impl Text<'_, '_> {
    /// Writes a character in its written form, whole or not at all.
    fn put(&mut self, written: &str) -> fmt::Result {
        match self.left.checked_sub(written.len()) {
            Some(left) if !self.full => {
                self.left = left;
                self.writer.write_str(written)
            }
            _ => {
                self.full = true;
                Err(fmt::Error)
            }
        }
    }
}

/// Whether a byte of UTF-8 belongs to no character that is escaped.
const fn stands_for_itself(byte: u8) -> bool {
    // The last three begin those beyond ASCII.
    !matches!(byte, ..0x20 | b'"' | b'\\' | 0x7f | 0xc2 | 0xd8 | 0xe2)
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use proptest::prelude::*;
    use serde_json::{Value, json};
    use tracing_subscriber::layer::SubscriberExt;

    use super::*;

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
}
