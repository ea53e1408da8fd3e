//! A log line as one JSON object.

use std::fmt::{self, Debug};

use tracing::field::{Field, Visit};
use tracing::{Event, Subscriber};
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::time::{FormatTime, SystemTime};
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields};
use tracing_subscriber::registry::LookupSpan;

/// `{"timestamp":…,"level":…,"target":…,` then the event's fields, flat.
pub(super) struct JsonLines;

impl<S, N> FormatEvent<S, N> for JsonLines
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        _: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        writer.write_str("{\"timestamp\":\"")?;
        SystemTime.format_time(&mut writer)?;
        writer.write_str("\",\"level\":\"")?;
        writer.write_str(event.metadata().level().as_str())?;
        writer.write_str("\",\"target\":")?;
        write_text(&mut writer, event.metadata().target())?;
        let mut fields = Fields {
            writer,
            outcome: Ok(()),
        };
        event.record(&mut fields);
        fields.outcome?;
        fields.writer.write_str("}\n")
    }
}

/// Writes fields as they come; the first failure is kept.
struct Fields<'a> {
    writer: Writer<'a>,
    outcome: fmt::Result,
}

impl Fields<'_> {
    fn field(&mut self, field: &Field, value: impl FnOnce(&mut Writer<'_>) -> fmt::Result) {
        if self.outcome.is_ok() {
            self.outcome = self.write(field.name(), value);
        }
    }

    fn write(
        &mut self,
        name: &str,
        value: impl FnOnce(&mut Writer<'_>) -> fmt::Result,
    ) -> fmt::Result {
        self.writer.write_str(",\"")?;
        // A field's name is a Rust identifier.
        self.writer.write_str(name)?;
        self.writer.write_str("\":")?;
        value(&mut self.writer)
    }
}

impl Visit for Fields<'_> {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.field(field, |writer| write_text(writer, value));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        // JSON has no infinities.
        let value = if value.is_finite() { value } else { 0.0 };
        self.field(field, |writer| write!(writer, "{value}"));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        // The message, too, comes this way.
        self.field(field, |writer| write_text(writer, &format!("{value:?}")));
    }
}

/// Writes a JSON string.
fn write_text(writer: &mut Writer<'_>, text: &str) -> fmt::Result {
    let needs_escape = |byte: u8| byte < 0x20 || byte == b'"' || byte == b'\\';
    if text.bytes().any(needs_escape) {
        let quoted = serde_json::to_string(text).map_err(|_| fmt::Error)?;
        return writer.write_str(&quoted);
    }
    writer.write_char('"')?;
    writer.write_str(text)?;
    writer.write_char('"')
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
            .event_format(JsonLines);
        let subscriber = tracing_subscriber::registry().with(layer);
        tracing::subscriber::with_default(subscriber, log);
        let written = lines.0.lock().unwrap();
        assert_eq!(written.last(), Some(&b'\n'));
        serde_json::from_slice(&written).unwrap()
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
    }
}
