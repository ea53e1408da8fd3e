//! The inside of a JSON string.

use std::fmt::{self, Write};

use tracing_subscriber::fmt::format::Writer;

/// Stands at the end of a value that was cut.
pub(super) const ELLIPSIS: char = '…';

/// The inside of a JSON string, up to a number of bytes.
pub(super) struct Text<'a, 'writer> {
    pub(super) writer: &'a mut Writer<'writer>,
    pub(super) left: usize,
    /// There was more than could be taken.
    pub(super) full: bool,
}

impl Write for Text<'_, '_> {
    /// Fails when it is full, so that what is written is not made in vain.
    fn write_str(&mut self, text: &str) -> fmt::Result {
        if text.len() <= self.left && stands_for_itself(text) {
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

/// Whether a text has no character that is escaped. All of it is looked at, whatever
/// comes first: so the compiler looks at many bytes at once.
fn stands_for_itself(text: &str) -> bool {
    // The last three begin characters beyond ASCII.
    let is_plain = |byte| !matches!(byte, ..0x20 | b'"' | b'\\' | 0x7f | 0xc2 | 0xd8 | 0xe2);
    text.bytes().fold(true, |all, byte| all & is_plain(byte))
}
