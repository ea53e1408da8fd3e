//! Tables and lists of tables. Like a [`super::setting::Setting`], reading one
//! never fails, so that every mistake is seen; and what stands in its place is
//! never quoted, for it may be a secret.

use std::collections::BTreeMap;
use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{self, Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::setting::Problems;

/// A table; `None` if something else is in its place.
#[derive(Debug)]
pub(super) struct Table<T>(Option<T>);

/// A list of tables, or a table of tables whose keys are numbers, as the
/// environment gives it: `KOOTASK__AUTH__APPS__0__APP_ID`.
#[derive(Debug)]
pub(super) enum List<T> {
    Entries(Vec<Table<T>>),
    /// An entry has this name instead of a number.
    NotNumbered(String),
    /// Something else is in its place.
    SomethingElse,
}

impl<T: Default> Default for Table<T> {
    fn default() -> Self {
        Self(Some(T::default()))
    }
}

impl<T> Default for List<T> {
    fn default() -> Self {
        Self::Entries(Vec::new())
    }
}

impl<T: Default> Table<T> {
    /// The settings of the table.
    pub(super) fn settings(self, key: &str, problems: &mut Problems) -> T {
        self.0.unwrap_or_else(|| {
            problems.add(key, "must be a table");
            T::default()
        })
    }
}

impl<T: Default> List<T> {
    /// The entries as `judge` sees them; it is given the key of each.
    pub(super) fn judge<U>(
        self,
        key: &str,
        problems: &mut Problems,
        judge: impl Fn(T, &str, &mut Problems) -> Option<U>,
    ) -> Vec<U> {
        let entries = match self {
            Self::Entries(entries) => entries,
            Self::NotNumbered(name) => {
                problems.add(format!("{key}.{name}"), "entries are numbered: 0, 1, 2, …");
                Vec::new()
            }
            Self::SomethingElse => {
                problems.add(key, "must be a list of tables");
                Vec::new()
            }
        };
        let mut judged = Vec::new();
        for (index, entry) in entries.into_iter().enumerate() {
            let key = format!("{key}[{index}]");
            match entry.0 {
                Some(entry) => judged.extend(judge(entry, &key, problems)),
                None => problems.add(key, "must be a table"),
            }
        }
        judged
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(TableVisitor(PhantomData))
            .map(Self)
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for List<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ListVisitor(PhantomData))
    }
}

/// Visits a table in place, so that an unknown key within it is noticed.
struct TableVisitor<T>(PhantomData<T>);

/// Likewise a list.
struct ListVisitor<T>(PhantomData<T>);

/// Takes every scalar for nothing.
macro_rules! no_scalar {
    ($nothing:expr) => {
        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("anything")
        }

        fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_str<E: de::Error>(self, _: &str) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_i128<E: de::Error>(self, _: i128) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_u128<E: de::Error>(self, _: u128) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
            Ok($nothing)
        }

        fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
            Ok($nothing)
        }
    };
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for TableVisitor<T> {
    type Value = Option<T>;

    no_scalar!(None);

    fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Option<T>, A::Error> {
        T::deserialize(MapAccessDeserializer::new(map)).map(Some)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Option<T>, A::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(None)
    }
}

impl<'de, T: Deserialize<'de>> Visitor<'de> for ListVisitor<T> {
    type Value = List<T>;

    no_scalar!(List::SomethingElse);

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<List<T>, A::Error> {
        let mut entries = Vec::new();
        while let Some(entry) = seq.next_element()? {
            entries.push(entry);
        }
        Ok(List::Entries(entries))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<List<T>, A::Error> {
        let mut numbered = BTreeMap::new();
        let mut not_numbered = None;
        while let Some(name) = map.next_key::<String>()? {
            let entry = map.next_value()?;
            match name.parse::<u16>() {
                Ok(number) => drop(numbered.insert(number, entry)),
                Err(_) => not_numbered = Some(name),
            }
        }
        Ok(match not_numbered {
            Some(name) => List::NotNumbered(name),
            None => List::Entries(numbered.into_values().collect()),
        })
    }
}
