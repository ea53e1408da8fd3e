//! `config/default.toml`: every key with its doc, its default and an example.

use super::section::{Key, Shape};

const HEAD: &str = "\
# Every setting of kootask, with its default. Made from the program's own
# declarations: «kootask config default» prints it.
#
# The file is given with --config FILE or KOOTASK_CONFIG. The environment goes
# over the file: server.listen is KOOTASK__SERVER__LISTEN, and so on. A key that
# does not exist is an error, here and there. «kootask config check» shows the
# settings in force.
#
# Durations are written \"10s\", \"1m 30s\", \"250ms\"; sizes \"16KiB\" or a number of
# bytes. What is said of «kootask dev» is its own default.
";

/// The reference of these keys.
pub(super) fn reference(keys: &[Key]) -> String {
    let mut text = HEAD.to_owned();
    add_keys(&mut text, keys, "");
    text
}

fn add_keys(text: &mut String, keys: &[Key], path: &str) {
    for key in keys {
        let path = format!("{path}{}", key.name);
        let (heading, doc, keys) = match key.shape {
            Shape::Value | Shape::Secret => {
                add_key(text, key);
                continue;
            }
            Shape::Table(doc, keys) => (format!("[{path}]"), doc, keys),
            Shape::List(doc, keys) => (format!("#[[{path}]]"), doc, keys),
        };
        text.push('\n');
        add_comment(text, doc);
        text.push_str(&format!("{heading}\n"));
        add_keys(text, keys, &format!("{path}."));
    }
}

fn add_key(text: &mut String, key: &Key) {
    text.push('\n');
    add_comment(text, key.doc);
    if let Some(range) = key.range {
        text.push_str(&format!("# From {} to {}.\n", range.lowest, range.highest));
    }
    if let Some(dev) = key.dev {
        text.push_str(&format!("# With «kootask dev»: {dev}\n"));
    }
    let name = key.name;
    let value = key.default.or(key.example).unwrap_or("…");
    match key.shape {
        Shape::Secret => text.push_str(&format!("#{name} = \"…\"\n#{name}_file = {value}\n")),
        _ => text.push_str(&format!("#{name} = {value}\n")),
    }
}

fn add_comment(text: &mut String, doc: &[&str]) {
    for line in doc {
        text.push_str(&format!("#{line}\n"));
    }
}
