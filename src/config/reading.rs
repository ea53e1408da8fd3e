//! Reading a table key by key, so that each mistake is kept, not just the first;
//! and what is found is never quoted, for it may be a secret in the wrong place.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use super::Defaults;
use super::names;
use super::section::Key;
use super::tree::{self, Content, Entries, Node, Place};
use super::value::{Form, Value, Wrong};

/// A setting that is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mistake {
    /// The setting, as in `auth.apps[0].app_id`, or the table with the mistake.
    pub key: String,
    /// What is wrong, without the value.
    pub problem: String,
    /// Where it was given, if it was.
    pub place: Option<Place>,
}

impl fmt::Display for Mistake {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        if !self.key.is_empty() {
            write!(formatter, "{}: ", self.key)?;
        }
        formatter.write_str(&self.problem)?;
        match &self.place {
            Some(place) => write!(formatter, " ({place})"),
            None => Ok(()),
        }
    }
}

/// What a reading of the whole shares.
pub(super) struct Reading {
    pub(super) defaults: Defaults,
    /// All keys there are, to see what a misspelt one was meant to be.
    pub(super) all_keys: &'static [Key],
    pub(super) mistakes: Vec<Mistake>,
    /// The files of secrets, readable or not.
    pub(super) files: Vec<PathBuf>,
}

/// A table that is being read.
pub(super) struct Table<'a> {
    /// As in `auth.apps[0]`; empty at the top.
    key: String,
    place: Option<Place>,
    entries: Entries,
    /// Where what was taken had been given.
    places: BTreeMap<String, Place>,
    keys: &'static [Key],
    reading: &'a mut Reading,
}

impl<'a> Table<'a> {
    /// The table of all settings.
    pub(super) fn top(entries: Entries, reading: &'a mut Reading) -> Self {
        Self {
            key: String::new(),
            place: None,
            entries,
            places: BTreeMap::new(),
            keys: reading.all_keys,
            reading,
        }
    }

    /// What was given under this name.
    pub(super) fn take(&mut self, name: &str) -> Option<Node> {
        let node = self.entries.remove(name)?;
        self.places.insert(name.to_owned(), node.place.clone());
        Some(node)
    }

    /// Whether anything is set under this name. The file of defaults has the head of a
    /// table, which sets nothing.
    pub(super) fn is_set(&self, name: &str) -> bool {
        let is_empty =
            |node: &Node| matches!(&node.content, Content::Table(keys) if keys.is_empty());
        self.entries.get(name).is_some_and(|node| !is_empty(node))
    }

    /// What was given under this key, or its default.
    pub(super) fn take_or_default(&mut self, key: &Key) -> Option<Node> {
        self.take(key.name).or_else(|| {
            let computed = || key.computed.map(|compute| compute());
            let fixed = match self.reading.defaults {
                Defaults::Dev => key.dev.or(key.default),
                Defaults::Serve => key.default,
            };
            let text = fixed.map(str::to_owned).or_else(computed)?;
            let mut default = tree::of_toml(&format!("default = {text}"), None).ok()?;
            let content = default.remove("default")?.content;
            let place = Place::Default;
            Some(Node { place, content })
        })
    }

    /// Notes a file that a setting is in.
    pub(super) fn note_file(&mut self, path: &Path) {
        self.reading.files.push(path.to_owned());
    }

    /// Where the setting of this name was given.
    pub(super) fn place(&self, name: &str) -> Option<&Place> {
        self.places.get(name)
    }

    /// What is in force where nothing is given.
    pub(super) const fn defaults(&self) -> Defaults {
        self.reading.defaults
    }

    /// Notes a mistake in the setting of this name.
    pub(super) fn mistake(&mut self, name: &str, problem: impl Into<String>) {
        let place = self.places.get(name).cloned();
        self.note(self.path(name), problem.into(), place);
    }

    /// Notes a mistake of the table as a whole.
    pub(super) fn mistake_of_all(&mut self, problem: impl Into<String>) {
        self.note(self.key.clone(), problem.into(), self.place.clone());
    }

    fn note(&mut self, key: String, problem: String, place: Option<Place>) {
        self.reading.mistakes.push(Mistake {
            key,
            problem,
            place,
        });
    }

    /// Notes that the key must be given.
    pub(super) fn missing(&mut self, key: &Key) {
        let example = key.example().map_or_else(String::new, |example| {
            format!(", for example {} = {example}", key.name)
        });
        let place = self.place.clone();
        self.note(self.path(key.name), format!("is missing{example}"), place);
    }

    fn path(&self, name: &str) -> String {
        match &*self.key {
            "" => name.to_owned(),
            key => format!("{key}.{name}"),
        }
    }

    /// The value in `node`, which stands under `name`: the key's, or that with
    /// `_file`.
    pub(super) fn value<T: Value>(&mut self, key: &Key, name: &str, node: Node) -> Option<T> {
        let problem = match node.content {
            Content::NotText => "is no UTF-8".to_owned(),
            Content::Twice => {
                "is given by two variables whose names differ in case alone".to_owned()
            }
            content => match T::FORM.text_of(content) {
                None if T::FORM == Form::Text => {
                    format!("must be text, in quotation marks{}", such_as::<T>(key))
                }
                None => demand::<T>(key),
                Some(text) => match T::read(&text) {
                    Ok(value) if is_in_range(key, &text) => return Some(value),
                    Ok(_) | Err(Wrong::Form) => demand::<T>(key),
                    Err(Wrong::Because(problem)) => problem.to_owned(),
                },
            },
        };
        self.note(self.path(name), problem, Some(node.place));
        None
    }

    /// The table under this key, empty if there is none.
    pub(super) fn table(&mut self, key: &Key, keys: &'static [Key]) -> Option<Table<'_>> {
        let node = self.take(key.name);
        let (place, content) = match node {
            Some(node) => (Some(node.place), node.content),
            None => (None, Content::Table(Entries::new())),
        };
        let path = self.path(key.name);
        self.within(path, place, content, keys)
    }

    fn within(
        &mut self,
        key: String,
        place: Option<Place>,
        content: Content,
        keys: &'static [Key],
    ) -> Option<Table<'_>> {
        let Content::Table(entries) = content else {
            self.note(key, "must be a table".to_owned(), place);
            return None;
        };
        Some(Table {
            key,
            place,
            entries,
            places: BTreeMap::new(),
            keys,
            reading: self.reading,
        })
    }

    /// The entries of the list under this key, empty if there is none.
    pub(super) fn list<T>(
        &mut self,
        key: &Key,
        keys: &'static [Key],
        read: impl Fn(Table<'_>) -> Option<T>,
    ) -> Option<Vec<T>> {
        let Some(node) = self.take(key.name) else {
            return Some(Vec::new());
        };
        let path = self.path(key.name);
        let Some(entries) = numbered(node.content, &node.place) else {
            let problem = match &node.place {
                Place::Variable(_) => "its entries are numbered 0, 1, 2, …".to_owned(),
                _ => format!("must be a list of tables, each under [[{path}]]"),
            };
            let place = match node.place {
                Place::Variable(_) => Place::within(&format!("{path}[0]")),
                place => place,
            };
            self.note(path, problem, Some(place));
            return None;
        };
        let mut all = Some(Vec::new());
        for (number, node) in entries {
            let path = format!("{path}[{number}]");
            let place = match node.place {
                Place::Variable(_) => Place::within(&path),
                place => place,
            };
            let entry = self.within(path, Some(place), node.content, keys);
            match (entry.and_then(&read), &mut all) {
                (Some(entry), Some(all)) => all.push(entry),
                _ => all = None,
            }
        }
        all
    }

    /// Notes what no key of this table has taken. A name that is none may be a
    /// secret, so it is told only where it is almost that of a key.
    pub(super) fn refuse_the_rest(&mut self) {
        for (name, node) in std::mem::take(&mut self.entries) {
            let meant = names::meant(&name, self.keys)
                .map(|known| self.path(&known))
                .or_else(|| names::elsewhere(&name, self.reading.all_keys));
            let is_told = meant.is_some();
            let (key, problem) = match meant {
                Some(meant) => (
                    self.path(&name),
                    format!("there is no such setting; {meant} was meant?"),
                ),
                None => (
                    self.key.clone(),
                    format!(
                        "holds a name of {} characters that is none of its own: {}",
                        name.chars().count(),
                        names::of(self.keys).join(", ")
                    ),
                ),
            };
            let place = match (node.place, node.content) {
                (Place::Variable(name), Content::Text(_)) if is_told => Place::Variable(name),
                (Place::Variable(_), _) => Place::within(&key),
                (place, _) => place,
            };
            self.note(key, problem, Some(place));
        }
    }
}

/// The entries of a list: one of tables, or, from the environment, a table of
/// tables whose names are numbers.
fn numbered(content: Content, place: &Place) -> Option<Vec<(u16, Node)>> {
    match (content, place) {
        (Content::List(entries), _) => Some((0..).zip(entries).collect()),
        (Content::Table(entries), Place::Variable(_)) => {
            let entries = entries.into_iter().map(|(name, node)| {
                // One way to write it, lest an entry have two names.
                let number = name.parse().ok();
                let number = number.filter(|number: &u16| number.to_string() == name);
                number.map(|number| (number, node))
            });
            let mut entries: Vec<_> = entries.collect::<Option<_>>()?;
            entries.sort_by_key(|(number, _)| *number);
            Some(entries)
        }
        _ => None,
    }
}

fn is_in_range(key: &Key, text: &str) -> bool {
    key.range
        .is_none_or(|range| (range.holds)(text, range.lowest, range.highest))
}

fn such_as<T: Value>(key: &Key) -> String {
    match key.example() {
        Some(example) if T::IS_OPEN => format!(", such as {example}"),
        _ => String::new(),
    }
}

fn demand<T: Value>(key: &Key) -> String {
    let range = key.range.map_or_else(String::new, |range| {
        format!(" from {} to {}", range.lowest, range.highest)
    });
    format!("must be {}{range}{}", T::WANTED, such_as::<T>(key))
}
