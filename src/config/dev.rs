//! `[dev]`: how the stand-in `kootask dev` behaves.

use std::path::PathBuf;

use jiff::Timestamp;
use serde_json::Value as Json;

use super::Defaults;
use super::reading::Table;
use super::section::{Field, Key, Section, Shape, section};
use super::tree::{Content, Node, Place};
use crate::stand_in::Settings;
use crate::stand_in::progress::Progress;
use crate::stand_in::rules::Rule;

section! {
    /// How the stand-in «kootask dev» behaves. «kootask serve» refuses what is set here.
    pub struct DevConfig {
        /// How tasks come on by themselves: by time; by polls, as in
        /// "new 1 poll, executing 2 polls": one poll is one answer that says NEW;
        /// "immediate"; or "manual": by calls and workers alone.
        #[default("new 200ms, executing 800ms")]
        pub progress: Progress,

        /// The tasks and rules to begin with: a file, or a folder of *.toml and *.json.
        /// Without it, /etc/kootask/seed where that exists.
        #[example("/etc/kootask/seed")]
        pub seed: Option<PathBuf>,

        /// The moment at which the clock stands still; else it goes with the wall clock.
        #[example("2026-01-01T00:00:00Z")]
        pub clock: Option<Timestamp>,

        /// The most tasks. Of more, ended ones go first, the oldest first, with their
        /// keys.
        #[default(100000)]
        #[range(1, 10000000)]
        pub max_tasks: u32,

        /// The most requests in the journal, which takes at most 16 MiB.
        #[default(10000)]
        #[range(1, 1000000)]
        pub journal: u32,

        /// Further names of hosts, and further origins, that the calls below
        /// /kootask/dev/ are taken from. In the environment: separated by commas.
        #[example("console.example.com")]
        pub trust: Names,

        /// What becomes of which requests, the newest last.
        pub rules: Rules,
    }
}

/// Names, or none.
#[derive(Debug, Clone, Default)]
pub struct Names(pub Vec<String>);

/// The stand-in's rules.
#[derive(Debug, Clone, Default)]
pub struct Rules(pub Vec<Rule>);

impl DevConfig {
    /// How the stand-in behaves.
    #[must_use]
    pub fn settings(&self, scheme: &'static str) -> Settings {
        let number = |number| usize::try_from(number).unwrap_or(usize::MAX);
        Settings {
            progress: self.progress,
            seed: self.seed.clone(),
            clock: self.clock,
            max_tasks: number(self.max_tasks),
            journal: number(self.journal),
            trust: self.trust.0.clone(),
            rules: self.rules.0.clone(),
            scheme,
        }
    }
}

/// The table of the stand-in alone.
impl Field for Option<DevConfig> {
    type Value = ();
    const SHAPE: Shape = Shape::Table(DevConfig::DOC, DevConfig::KEYS);

    fn read(table: &mut Table<'_>, key: &'static Key) -> Option<Self> {
        if table.defaults() == Defaults::Dev {
            let dev = table.table(key, DevConfig::KEYS);
            return dev.and_then(<DevConfig as Section>::read).map(Some);
        }
        let is_set = table.is_set(key.name);
        table.take(key.name);
        if is_set {
            table.mistake(key.name, "is for «kootask dev» alone");
        }
        Some(None)
    }

    fn write(&self, name: &str, table: &mut toml::Table) {
        if let Some(dev) = self {
            dev.write(name, table);
        }
    }
}

impl Field for Names {
    type Value = ();
    const SHAPE: Shape = Shape::Value;

    fn read(table: &mut Table<'_>, key: &'static Key) -> Option<Self> {
        let names = match table.take(key.name).map(|node| node.content) {
            None => return Some(Self::default()),
            Some(Content::Text(text)) => {
                let names = text.split(',').map(|name| name.trim().to_owned());
                Some(names.filter(|name| !name.is_empty()).collect())
            }
            Some(Content::List(names)) => names.into_iter().map(text).collect(),
            Some(_) => None,
        };
        if names.is_none() {
            table.mistake(key.name, "must be a list of texts");
        }
        names.map(Self)
    }

    fn write(&self, name: &str, table: &mut toml::Table) {
        if !self.0.is_empty() {
            table.insert(name.to_owned(), self.0.clone().into());
        }
    }
}

fn text(node: Node) -> Option<String> {
    match node.content {
        Content::Text(text) => Some(text),
        _ => None,
    }
}

/// Declared by hand: what a rule matches has names of its own.
impl Field for Rules {
    type Value = ();
    const SHAPE: Shape = Shape::List(
        &[
            " A rule: what becomes of which requests; «docs/stand-in.md» tells all of it. In",
            " the environment: KOOTASK__DEV__RULES is a JSON list of them.",
        ],
        &[
            free_key(
                "match",
                &[
                    " Which requests, by fields of the journal and of the body; * stands for any characters.",
                ],
                "{ taskType = 0, srcUserId = \"139*\" }",
            ),
            free_key("every", &[" Of those, each how many-th."], "3"),
            free_key("times", &[" How often at most."], "2"),
            free_key(
                "then",
                &[" An outcome, a fault, or both."],
                "{ end = \"FAILED\", resultCode = \"18000205\" }",
            ),
        ],
    );

    fn read(table: &mut Table<'_>, key: &'static Key) -> Option<Self> {
        let Some(node) = table.take(key.name) else {
            return Some(Self::default());
        };
        let entries = match node {
            Node {
                content: Content::Text(text),
                place: Place::Variable(_),
            } => serde_json::from_str::<Vec<Rule>>(&text).map_err(|error| error.to_string()),
            node => rules(node),
        };
        entries
            .map_err(|problem| table.mistake(key.name, problem))
            .ok()
            .map(Self)
    }

    fn write(&self, name: &str, table: &mut toml::Table) {
        if self.0.is_empty() {
            return;
        }
        if let Ok(rules) = toml::Value::try_from(&self.0) {
            table.insert(name.to_owned(), rules);
        }
    }
}

fn rules(node: Node) -> Result<Vec<Rule>, String> {
    let Content::List(entries) = node.content else {
        return Err("must be a list of tables, each under [[dev.rules]]".to_owned());
    };
    let rule = |node: Node| {
        let place = node.place.clone();
        let json = json(node.content).ok_or("holds a value that no rule has".to_owned());
        json.and_then(|json| serde_json::from_value(json).map_err(|error| error.to_string()))
            .map_err(|problem| format!("the rule at {place}: {problem}"))
    };
    entries.into_iter().map(rule).collect()
}

/// A value as JSON has it; `None` if it has none like it.
fn json(content: Content) -> Option<Json> {
    Some(match content {
        Content::Text(text) | Content::Moment(text) => text.into(),
        Content::Number(number) => number.parse::<i64>().ok()?.into(),
        Content::Boolean(value) => value.into(),
        Content::List(entries) => {
            let entries = entries.into_iter().map(|node| json(node.content));
            entries.collect::<Option<Vec<_>>>()?.into()
        }
        Content::Table(entries) => {
            let entries = entries
                .into_iter()
                .map(|(name, node)| Some((name, json(node.content)?)));
            Json::Object(entries.collect::<Option<_>>()?)
        }
        Content::NotText | Content::Twice | Content::Useless => return None,
    })
}

const fn free_key(name: &'static str, doc: &'static [&'static str], example: &'static str) -> Key {
    Key {
        name,
        doc,
        shape: Shape::Value,
        default: None,
        dev: None,
        computed: None,
        example: Some(example),
        range: None,
    }
}
