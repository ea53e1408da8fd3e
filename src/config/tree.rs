//! What was given, before it has a meaning: the file, the environment over it,
//! the arguments over both. Every value knows where it was given.

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::Path;
use std::sync::Arc;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::ConfigError;

/// The prefix of the environment variables, as in `KOOTASK__SERVER__LISTEN`.
const PREFIX: &str = "KOOTASK__";
const SEPARATOR: &str = "__";

/// Where a value was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// The line, from 1, of a file; of a text without a name if `None`.
    Line(usize, Option<Arc<Path>>),
    /// The environment variable of this name.
    Variable(String),
    /// The argument of this name.
    Argument(&'static str),
    /// Nowhere.
    Default,
}

impl Place {
    /// Somewhere in the variables below this key, as in `auth.apps[0]`.
    pub(super) fn within(key: &str) -> Self {
        let path = key.replace(['.', '['], SEPARATOR).replace(']', "");
        match path.to_uppercase() {
            path if path.is_empty() => Self::Variable(format!("{PREFIX}…")),
            path => Self::Variable(format!("{PREFIX}{path}{SEPARATOR}…")),
        }
    }
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Line(line, None) => write!(formatter, "line {line}"),
            Self::Line(line, Some(file)) => write!(formatter, "{}, line {line}", file.display()),
            Self::Variable(name) => formatter.write_str(name),
            Self::Argument(name) => formatter.write_str(name),
            Self::Default => formatter.write_str("the default"),
        }
    }
}

/// A value and where it was given. It may be a secret: it has no `Debug`.
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) content: Content,
}

/// What a value is, as far as its notation tells.
pub(super) enum Content {
    /// In quotation marks, or from outside the file.
    Text(String),
    /// A whole number, in decimal digits.
    Number(String),
    Boolean(bool),
    /// A date and time without quotation marks.
    Moment(String),
    List(Vec<Node>),
    Table(Entries),
    /// The value of a variable that is no UTF-8.
    NotText,
    /// Given by variables whose names differ in case alone.
    Twice,
    /// Of no use for any setting.
    Useless,
}

/// The values of a table by their names.
pub(super) type Entries = BTreeMap<String, Node>;

/// The values of a TOML text. What is no TOML is told by its place: the line
/// itself may hold a secret.
pub(super) fn of_toml(text: &str, file: Option<&Path>) -> Result<Entries, ConfigError> {
    let source = Source {
        text,
        file: file.map(Arc::from),
    };
    match DeTable::parse(text) {
        Ok(table) => Ok(source.entries(table.into_inner())),
        Err(error) => Err(ConfigError::NotToml {
            place: source.place(error.span().unwrap_or_default().start),
            problem: error.message().to_owned(),
        }),
    }
}

struct Source<'a> {
    text: &'a str,
    file: Option<Arc<Path>>,
}

impl Source<'_> {
    fn place(&self, offset: usize) -> Place {
        let before = self.text.get(..offset).unwrap_or(self.text);
        let line = before.matches('\n').count().saturating_add(1);
        Place::Line(line, self.file.clone())
    }

    fn entries(&self, table: DeTable<'_>) -> Entries {
        let entry = |(name, value): (Spanned<_>, Spanned<_>)| {
            let place = self.place(name.span().start);
            let name: std::borrow::Cow<'_, str> = name.into_inner();
            let content = self.content(value.into_inner());
            (name.into_owned(), Node { place, content })
        };
        table.into_iter().map(entry).collect()
    }

    fn content(&self, value: DeValue<'_>) -> Content {
        match value {
            DeValue::String(text) => Content::Text(text.into_owned()),
            DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
                .map_or(Content::Number(number.as_str().to_owned()), |number| {
                    Content::Number(number.to_string())
                }),
            DeValue::Float(_) => Content::Useless,
            DeValue::Boolean(value) => Content::Boolean(value),
            DeValue::Datetime(moment) => Content::Moment(moment.to_string()),
            DeValue::Array(items) => Content::List(
                items
                    .into_iter()
                    .map(|item| Node {
                        place: self.place(item.span().start),
                        content: self.content(item.into_inner()),
                    })
                    .collect(),
            ),
            DeValue::Table(table) => Content::Table(self.entries(table)),
        }
    }
}

/// Lays the environment over what is there. A list of it replaces the file's.
pub(super) fn add_environment(
    entries: &mut Entries,
    variables: impl Iterator<Item = (OsString, OsString)>,
) -> Result<(), ConfigError> {
    let mut ours: Vec<_> = variables
        .filter_map(|(name, value)| is_ours(&name).then_some((name, value)))
        .collect();
    ours.sort();
    for (name, value) in ours {
        let name = name.into_string().map_err(|_| ConfigError::NameNotText)?;
        let path = name.to_lowercase();
        let (path, last) = path.rsplit_once(SEPARATOR).unwrap_or_default();
        let path = path.split(SEPARATOR).skip(1);
        let content = value.into_string().map_or(Content::NotText, Content::Text);
        let place = Place::Variable(name);
        let Some(table) = table_of(entries, path, &place) else {
            // Something else is in its place, which is a mistake of its own.
            continue;
        };
        let is_twice = matches!(
            table.get(last),
            Some(Node { place: Place::Variable(_), content }) if !matches!(content, Content::Table(_))
        );
        let content = if is_twice { Content::Twice } else { content };
        table.insert(last.to_owned(), Node { place, content });
    }
    Ok(())
}

fn is_ours(name: &OsStr) -> bool {
    let start = name.as_encoded_bytes().get(..PREFIX.len());
    start.is_some_and(|start| start.eq_ignore_ascii_case(PREFIX.as_bytes()))
}

/// Lays an argument over what is there.
pub(super) fn add_argument(entries: &mut Entries, key: &str, node: Node) {
    let mut path = key.split('.');
    let last = path.next_back().unwrap_or_default();
    if let Some(table) = table_of(entries, path, &node.place) {
        table.insert(last.to_owned(), node);
    }
}

/// The table at this path, made at need.
fn table_of<'a, 'p>(
    entries: &'a mut Entries,
    path: impl Iterator<Item = &'p str>,
    place: &Place,
) -> Option<&'a mut Entries> {
    let empty = || Node {
        place: place.clone(),
        content: Content::Table(Entries::new()),
    };
    let mut table = entries;
    for name in path {
        let node = table.entry(name.to_owned()).or_insert_with(empty);
        if matches!(node.content, Content::List(_)) {
            *node = empty();
        }
        let Content::Table(inner) = &mut node.content else {
            return None;
        };
        table = inner;
    }
    Some(table)
}
