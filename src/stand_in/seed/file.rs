//! Reading a seed from files, whose mistakes are told with their line.

use std::path::{Path, PathBuf};

use super::StateForm;
use crate::task::repository::StoreError;

/// The most bytes of a seed's file.
const MOST_BYTES: u64 = 64 * 1024 * 1024;

/// Why there is no seed.
#[derive(Debug, thiserror::Error)]
pub enum SeedError {
    /// It cannot be read.
    #[error("cannot read the seed {}: {cause}", path.display())]
    Unreadable {
        /// The file or folder.
        path: PathBuf,
        /// Why.
        cause: std::io::Error,
    },
    /// It is wrong.
    #[error("the seed is wrong: {}, line {line}: {problem}", path.display())]
    Wrong {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// What is wrong there.
        problem: String,
    },
    /// The store is none that takes it.
    #[error("a seed needs the store memory:")]
    NeedsMemory,
    /// The store could not take it.
    #[error(transparent)]
    Store(StoreError),
}

/// Reads a file, or the `*.toml` and `*.json` of a folder in the order of their
/// names: their tasks and rules come one after the other, and the last clock
/// counts.
///
/// # Errors
///
/// [`SeedError`]; of a mistake with its file and line.
pub(in super::super) fn read(path: &Path) -> Result<StateForm, SeedError> {
    let unreadable = |cause| SeedError::Unreadable {
        path: path.to_owned(),
        cause,
    };
    let mut whole = StateForm::default();
    for file in files(path).map_err(unreadable)? {
        let part = read_file(&file)?;
        whole.clock = part.clock.or(whole.clock);
        whole.tasks.extend(part.tasks);
        whole.rules.extend(part.rules);
    }
    Ok(whole)
}

fn files(path: &Path) -> std::io::Result<Vec<PathBuf>> {
    if !path.metadata()?.is_dir() {
        return Ok(vec![path.to_owned()]);
    }
    let is_seed = |file: &PathBuf| {
        let ending = file.extension().and_then(|ending| ending.to_str());
        matches!(ending, Some("toml" | "json"))
    };
    let entries = path
        .read_dir()?
        .map(|entry| entry.map(|entry| entry.path()));
    let mut files: Vec<_> = entries.collect::<Result<_, _>>()?;
    files.retain(is_seed);
    files.sort();
    Ok(files)
}

fn read_file(path: &Path) -> Result<StateForm, SeedError> {
    let text = std::fs::metadata(path).and_then(|metadata| {
        if metadata.len() > MOST_BYTES {
            return Err(std::io::Error::other("it has more than 64 MiB"));
        }
        std::fs::read_to_string(path)
    });
    let text = text.map_err(|cause| SeedError::Unreadable {
        path: path.to_owned(),
        cause,
    })?;
    let is_json = path.extension().is_some_and(|ending| ending == "json");
    let read = if is_json {
        serde_json::from_str(&text).map_err(|error| (error.line(), error.to_string()))
    } else {
        toml::from_str(&text).map_err(|error: toml::de::Error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or(&text);
            let line = before.matches('\n').count().saturating_add(1);
            (line, error.message().to_owned())
        })
    };
    read.map_err(|(line, problem)| SeedError::Wrong {
        path: path.to_owned(),
        line,
        problem,
    })
}
