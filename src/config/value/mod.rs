//! The types that a single setting may have, and how each is written.

mod lists;
mod numbers;
mod texts;
mod times;

use super::tree::Content;

/// The type of a setting.
pub(super) trait Value: Sized {
    /// How a file holds it, beside text.
    const FORM: Form = Form::Text;
    /// What is wanted, as it goes on after «must be».
    const WANTED: &'static str;
    /// Whether there are so many values that an example helps.
    const IS_OPEN: bool = true;

    /// The value of this text.
    fn read(text: &str) -> Result<Self, Wrong>;

    /// The value as the file holds it.
    fn written(&self) -> toml::Value;

    /// Whether `other` is the same value.
    fn is_same(&self, other: &Self) -> bool {
        self.written() == other.written()
    }
}

/// Why a text is no value of a type. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It has another form than is wanted.
    Form,
    /// A whole sentence.
    Because(&'static str),
}

/// How a file holds a value. The environment and the arguments give text alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As text alone: a number such as `1.10` would be another text when written
    /// again.
    Text,
    /// Also as a number.
    Number,
    /// Also as `true` or `false`.
    Boolean,
    /// Also as a date and time.
    Moment,
    /// Also as a list of texts or numbers; as text, they are separated by commas.
    List,
}

impl Form {
    /// The value's text, if the value has this form.
    pub(super) fn text_of(self, content: Content) -> Option<String> {
        match (content, self) {
            (Content::Text(text), _)
            | (Content::Number(text), Self::Number)
            | (Content::Moment(text), Self::Moment) => Some(text),
            (Content::Boolean(value), Self::Boolean) => Some(value.to_string()),
            (Content::List(entries), Self::List) => {
                let entries = entries.into_iter().map(|entry| match entry.content {
                    // A comma would make two entries of one.
                    Content::Text(text) | Content::Number(text) if !text.contains(',') => {
                        Some(text)
                    }
                    _ => None,
                });
                Some(entries.collect::<Option<Vec<_>>>()?.join(","))
            }
            _ => None,
        }
    }
}

/// Whether the text's value is one of the range. A text that is no value is no
/// one's.
pub(super) fn is_within<T: Value + PartialOrd>(text: &str, lowest: &str, highest: &str) -> bool {
    match (T::read(text), T::read(lowest), T::read(highest)) {
        (Ok(value), Ok(lowest), Ok(highest)) => (lowest..=highest).contains(&value),
        _ => false,
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|_| Wrong::Form)
}
