//! What a misspelt key was meant to be.

use super::section::{Key, Shape};

/// The names of these keys in a file.
pub(super) fn of(keys: &[Key]) -> Vec<String> {
    let names = keys.iter().flat_map(|key| {
        let file = matches!(key.shape, Shape::Secret).then(|| format!("{}_file", key.name));
        std::iter::once(key.name.to_owned()).chain(file)
    });
    names.collect()
}

/// The one of these keys that is much like this name.
pub(super) fn meant(name: &str, keys: &[Key]) -> Option<String> {
    of(keys).into_iter().find(|known| is_similar(name, known))
}

/// The path of a key of just this name, in whatever table.
pub(super) fn elsewhere(name: &str, keys: &[Key]) -> Option<String> {
    below("", name, keys)
}

fn below(path: &str, name: &str, keys: &[Key]) -> Option<String> {
    keys.iter().find_map(|key| {
        let path = format!("{path}{}", key.name);
        match key.shape {
            _ if name.eq_ignore_ascii_case(key.name) => Some(path),
            Shape::Table(_, keys) => below(&format!("{path}."), name, keys),
            Shape::List(_, keys) => below(&format!("{path}[0]."), name, keys),
            Shape::Value | Shape::Secret => None,
        }
    })
}

/// Whether a name is a part of this known one, or but a slip away from it. So
/// whoever is shown it sees next to nothing that was not known.
fn is_similar(name: &str, known: &str) -> bool {
    let name = name.to_lowercase();
    let slips = strsim::osa_distance(&name, known);
    (name.len() >= 3 && known.contains(&name))
        || (slips <= 2 && slips.saturating_mul(3) <= known.len())
}
