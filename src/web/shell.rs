//! Texts in commands for a shell.

/// The text as one word of a POSIX shell.
#[must_use]
pub fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_is_one_word_for_a_shell_whatever_is_in_it() {
        for (text, word) in [
            ("", "''"),
            ("two words", "'two words'"),
            ("$(date) `date` \\ \"", "'$(date) `date` \\ \"'"),
            ("it's", r"'it'\''s'"),
        ] {
            assert_eq!(quoted(text), word);
        }
    }
}
