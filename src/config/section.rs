//! A key is declared once, in [`section!`]: its name, type, default, range and
//! doc. What the file means, what is printed as in force and the reference
//! `config/default.toml` all come from there.
//!
//! Why not a crate: confique declares docs and defaults so, too, but tells one
//! mistake and quotes the value in it, knows no list of tables in the environment,
//! and has each variable's name written out; figment and config have neither docs
//! nor lines, and quote as well.

use super::reading::Table;
use super::value::Value;

/// A table of settings, or an entry of a list of tables.
pub(super) trait Section: Sized {
    /// What it is, a line an item.
    const DOC: &'static [&'static str];
    /// Its keys, in the order of their declaration.
    const KEYS: &'static [Key];

    /// The settings, unless one of them is wrong.
    fn read(table: Table<'_>) -> Option<Self>;

    /// The settings as TOML, with secrets redacted.
    fn written(&self) -> toml::Table;

    /// Adds the keys, below `path`, whose values differ from those of `other`.
    fn differences(&self, other: &Self, path: &str, keys: &mut Vec<String>);
}

/// What is declared of a key.
pub(super) struct Key {
    pub(super) name: &'static str,
    /// What it is, a line an item.
    pub(super) doc: &'static [&'static str],
    pub(super) shape: Shape,
    /// In force where nothing is given; as the file holds it.
    pub(super) default: Option<&'static str>,
    /// Likewise for `kootask dev`, where that differs.
    pub(super) dev: Option<&'static str>,
    /// A default that depends on the machine.
    pub(super) computed: Option<fn() -> String>,
    /// As the file holds it.
    pub(super) example: Option<&'static str>,
    pub(super) range: Option<Range>,
}

impl Key {
    /// A value to show.
    pub(super) fn example(&self) -> Option<&'static str> {
        self.example.or(self.default)
    }
}

/// What values a key may have.
#[derive(Clone, Copy)]
pub(super) struct Range {
    pub(super) lowest: &'static str,
    pub(super) highest: &'static str,
    /// Whether a text is of this range, given the two ends.
    pub(super) holds: fn(&str, &str, &str) -> bool,
}

/// What stands under a key.
pub(super) enum Shape {
    Value,
    /// A value under this key, or a file that holds it under the key with
    /// `_file`.
    Secret,
    Table(&'static [&'static str], &'static [Key]),
    List(&'static [&'static str], &'static [Key]),
}

/// The type of a key.
pub(super) trait Field: Sized {
    /// The type that a range is of.
    type Value;
    const SHAPE: Shape;

    /// What stands under the key, or its default; `None` after a mistake.
    fn read(table: &mut Table<'_>, key: &'static Key) -> Option<Self>;

    fn write(&self, name: &str, table: &mut toml::Table);

    /// Adds the keys, at `path` or below, whose values differ from those of `other`:
    /// what is written differently.
    fn differences(&self, other: &Self, path: &str, keys: &mut Vec<String>) {
        let written = |field: &Self| {
            let mut table = toml::Table::new();
            field.write("", &mut table);
            table
        };
        add_if(written(self) != written(other), path, keys);
    }
}

/// Adds `path` if it is of a difference.
fn add_if(differs: bool, path: &str, keys: &mut Vec<String>) {
    if differs {
        keys.push(path.to_owned());
    }
}

/// A key with a default, or one that must be given.
impl<T: Value> Field for T {
    type Value = T;
    const SHAPE: Shape = Shape::Value;

    fn read(table: &mut Table<'_>, key: &'static Key) -> Option<Self> {
        let found = Option::<T>::read(table, key)?;
        if found.is_none() {
            table.missing(key);
        }
        found
    }

    fn write(&self, name: &str, table: &mut toml::Table) {
        table.insert(name.to_owned(), self.written());
    }

    fn differences(&self, other: &Self, path: &str, keys: &mut Vec<String>) {
        add_if(!self.is_same(other), path, keys);
    }
}

impl<T: Value> Field for Option<T> {
    type Value = T;
    const SHAPE: Shape = Shape::Value;

    fn read(table: &mut Table<'_>, key: &'static Key) -> Option<Self> {
        match table.take_or_default(key) {
            Some(node) => table.value(key, key.name, node).map(Some),
            None => Some(None),
        }
    }

    fn write(&self, name: &str, table: &mut toml::Table) {
        if let Some(value) = self {
            value.write(name, table);
        }
    }

    fn differences(&self, other: &Self, path: &str, keys: &mut Vec<String>) {
        let is_same = match (self, other) {
            (Some(one), Some(other)) => one.is_same(other),
            (one, other) => one.is_none() && other.is_none(),
        };
        add_if(!is_same, path, keys);
    }
}

/// A list of tables.
impl<T: Section> Field for Vec<T> {
    type Value = ();
    const SHAPE: Shape = Shape::List(T::DOC, T::KEYS);

    fn read(table: &mut Table<'_>, key: &'static Key) -> Option<Self> {
        table.list(key, T::KEYS, T::read)
    }

    fn write(&self, name: &str, table: &mut toml::Table) {
        if !self.is_empty() {
            let entries = self.iter().map(|entry| entry.written().into()).collect();
            table.insert(name.to_owned(), toml::Value::Array(entries));
        }
    }

    fn differences(&self, other: &Self, path: &str, keys: &mut Vec<String>) {
        let mut within = Vec::new();
        for (one, other) in self.iter().zip(other) {
            one.differences(other, path, &mut within);
        }
        let differs = self.len() != other.len() || !within.is_empty();
        add_if(differs, path, keys);
    }
}

pub(super) const fn first<T: Copy>(list: &[T]) -> Option<T> {
    match list {
        [first, ..] => Some(*first),
        [] => None,
    }
}

/// Declares a struct whose fields are the keys of a table.
///
/// Before a field, in this order and each at will: its doc, which the reference
/// shows too, so write it for whoever operates the service; `#[default(…)]`, with
/// `dev = …` where `kootask dev` has another; `#[computed(function)]`;
/// `#[example(…)]`; `#[range(lowest, highest)]`. A key of an `Option`, or a list, need
/// not be given; any other without a default must be. `checked by` names a
/// function that judges the whole, and may complete it.
macro_rules! section {
    (
        $(#[doc = $doc:literal])*
        pub struct $Section:ident $(checked by $check:path)? {
            $(
                $(#[doc = $field_doc:literal])*
                $(#[default($default:expr $(, dev = $dev:literal)?)])?
                $(#[computed($computed:path)])?
                $(#[example($example:expr)])?
                $(#[range($lowest:literal, $highest:literal)])?
                pub $field:ident: $type:ty,
            )*
        }
    ) => {
        $(#[doc = $doc])*
        #[derive(Debug, Clone)]
        pub struct $Section {
            $(
                $(#[doc = $field_doc])*
                pub $field: $type,
            )*
        }

        impl $crate::config::section::Section for $Section {
            const DOC: &'static [&'static str] = &[$($doc),*];
            const KEYS: &'static [$crate::config::section::Key] = &[$(
                $crate::config::section::Key {
                    name: stringify!($field),
                    doc: &[$($field_doc),*],
                    shape: <$type as $crate::config::section::Field>::SHAPE,
                    default: $crate::config::section::first(&[$(stringify!($default))?]),
                    dev: $crate::config::section::first(&[$($(stringify!($dev))?)?]),
                    computed: $crate::config::section::first::<fn() -> String>(
                        &[$(|| $computed().to_string())?],
                    ),
                    example: $crate::config::section::first(&[$(stringify!($example))?]),
                    range: $crate::config::section::first(&[$(
                        $crate::config::section::Range {
                            lowest: concat!($lowest),
                            highest: concat!($highest),
                            holds: $crate::config::value::is_within::<
                                <$type as $crate::config::section::Field>::Value,
                            >,
                        }
                    )?]),
                },
            )*];

            fn read(mut table: $crate::config::reading::Table<'_>) -> Option<Self> {
                let mut keys = Self::KEYS.iter();
                // All are read before any is missed, so that every mistake is told.
                $(
                    let $field = keys
                        .next()
                        .and_then(|key| $crate::config::section::Field::read(&mut table, key));
                )*
                table.refuse_the_rest();
                #[allow(unused_mut, reason = "not every section is checked")]
                let mut section = Self { $($field: $field?),* };
                $($check(&mut section, &mut table);)?
                Some(section)
            }

            fn written(&self) -> toml::Table {
                let mut table = toml::Table::new();
                $($crate::config::section::Field::write(&self.$field, stringify!($field), &mut table);)*
                table
            }

            fn differences(&self, other: &Self, path: &str, keys: &mut Vec<String>) {
                $(
                    let key = match path {
                        "" => stringify!($field).to_owned(),
                        path => format!("{path}.{}", stringify!($field)),
                    };
                    $crate::config::section::Field::differences(
                        &self.$field,
                        &other.$field,
                        &key,
                        keys,
                    );
                )*
            }
        }

        /// A table within another.
        impl $crate::config::section::Field for $Section {
            type Value = ();
            const SHAPE: $crate::config::section::Shape = $crate::config::section::Shape::Table(
                <Self as $crate::config::section::Section>::DOC,
                <Self as $crate::config::section::Section>::KEYS,
            );

            fn read(
                table: &mut $crate::config::reading::Table<'_>,
                key: &'static $crate::config::section::Key,
            ) -> Option<Self> {
                table.table(key, <Self as $crate::config::section::Section>::KEYS)
                    .and_then(<Self as $crate::config::section::Section>::read)
            }

            fn write(&self, name: &str, table: &mut toml::Table) {
                let section = $crate::config::section::Section::written(self);
                if !section.is_empty() {
                    table.insert(name.to_owned(), section.into());
                }
            }

            fn differences(&self, other: &Self, path: &str, keys: &mut Vec<String>) {
                $crate::config::section::Section::differences(self, other, path, keys);
            }
        }
    };
}
pub(super) use section;
