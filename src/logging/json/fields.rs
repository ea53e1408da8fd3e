//! The fields of an event or a span, as members of a JSON object.

use std::fmt::{self, Debug, Write};

use tracing::field::{Field, Visit};
use tracing_subscriber::fmt::format::Writer;

use super::text::{ELLIPSIS, Text};

/// The most bytes of a line.
pub(super) const LINE_LIMIT: usize = 16 * 1024;

/// The most bytes of a value, as it is written. One long value must not push the
/// others out of the line.
const VALUE_LIMIT: usize = 4 * 1024;

/// Writes fields as they come; the first failure is kept.
pub(super) struct Fields<'a> {
    pub(super) writer: Writer<'a>,
    /// What stands before each.
    separator: &'static str,
    /// The bytes that the line still takes.
    left: usize,
    /// Something did not fit.
    pub(super) truncated: bool,
    pub(super) outcome: fmt::Result,
}

impl<'a> Fields<'a> {
    pub(super) const fn new(writer: Writer<'a>, separator: &'static str) -> Self {
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
    pub(super) fn takes(&mut self, bytes: usize) -> bool {
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
