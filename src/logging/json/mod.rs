//! A log line as one JSON object, of bounded length.

mod fields;
#[cfg(test)]
mod tests;
mod text;

use std::fmt::{self, Write};

use jiff::Timestamp;
use jiff::fmt::StdFmtWrite;
use jiff::fmt::temporal::DateTimePrinter;
use tracing::span::Record;
use tracing::{Event, Subscriber};
use tracing_subscriber::field::RecordFields;
use tracing_subscriber::fmt::format::Writer;
use tracing_subscriber::fmt::{FmtContext, FormatEvent, FormatFields, FormattedFields};
use tracing_subscriber::registry::LookupSpan;

use self::fields::Fields;

/// RFC 3339, to the microsecond; faster than what the subscriber would write.
const TIME: DateTimePrinter = DateTimePrinter::new().precision(Some(6));
/// What ends a line that was cut. In the value that was cut stands [`text::ELLIPSIS`].
const TRUNCATED: &str = ",\"truncated\":true";

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
        TIME.print_timestamp(&Timestamp::now(), StdFmtWrite(&mut writer))
            .map_err(|_| fmt::Error)?;
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
