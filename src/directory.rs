//! The user directory: names for user ids, from a CSV file that may change
//! while the service runs.

use std::collections::HashMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, SystemTime};

use serde::Deserialize;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::task::Identifier;
use crate::task::service::UserNames;

/// How often the file is looked at.
const RELOAD_INTERVAL: Duration = Duration::from_secs(1);

type Names = HashMap<Identifier, String>;

/// The names of users. Cheap to clone.
#[derive(Clone, Default)]
pub struct Directory {
    names: Arc<RwLock<Names>>,
}

/// A row of the file.
#[derive(Deserialize)]
struct Row {
    user_id: String,
    name: String,
}

/// What a file's state is recognised by.
type Version = (SystemTime, u64);

impl UserNames for Directory {
    fn name(&self, user_id: &Identifier) -> Option<String> {
        self.names
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(user_id)
            .cloned()
    }
}

impl Directory {
    /// Takes the names from `file`, a CSV file with the columns `user_id` and
    /// `name`, now and, in `tasks`, whenever it changes, until `stop`.
    ///
    /// What is wrong with the file is logged: a malformed row is left out, a
    /// file that is unreadable as a whole leaves the names as they are.
    #[must_use]
    pub fn watch(file: PathBuf, tasks: &TaskTracker, stop: CancellationToken) -> Self {
        let directory = Self::default();
        let mut loaded = directory.load_if_changed(&file, None);
        let reloaded = directory.clone();
        let reload = async move {
            loop {
                tokio::time::sleep(RELOAD_INTERVAL).await;
                let (directory, file) = (reloaded.clone(), file.clone());
                let reload = move || directory.load_if_changed(&file, loaded);
                loaded = tokio::task::spawn_blocking(reload).await.unwrap_or(loaded);
            }
        };
        tasks.spawn(stop.run_until_cancelled_owned(reload));
        directory
    }

    /// Reads the file unless it is as it was `loaded`; how it is now.
    fn load_if_changed(&self, file: &Path, loaded: Option<Version>) -> Option<Version> {
        let version = match std::fs::metadata(file).and_then(|now| Ok((now.modified()?, now.len())))
        {
            Ok(version) => version,
            Err(error) => {
                // Said once, not every second.
                if loaded != Some((SystemTime::UNIX_EPOCH, 0)) {
                    tracing::warn!(file = %file.display(), %error, "the user directory is not readable");
                }
                return Some((SystemTime::UNIX_EPOCH, 0));
            }
        };
        if loaded == Some(version) {
            return loaded;
        }
        match std::fs::File::open(file)
            .map_err(csv::Error::from)
            .and_then(read)
        {
            Ok(names) => {
                tracing::info!(file = %file.display(), users = names.len(), "user directory loaded");
                *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
            }
            Err(error) => {
                tracing::warn!(file = %file.display(), %error, "the user directory is not readable");
            }
        }
        Some(version)
    }
}

/// The names in a CSV file. Malformed rows are logged with their line.
fn read(file: impl Read) -> csv::Result<Names> {
    let mut reader = csv::ReaderBuilder::new()
        .trim(csv::Trim::All)
        .from_reader(file);
    let headers = reader.headers()?;
    if !["user_id", "name"]
        .iter()
        .all(|column| headers.iter().any(|header| header == *column))
    {
        let problem = "the first line must name the columns user_id and name";
        return Err(std::io::Error::other(problem).into());
    }
    let mut names = Names::new();
    let mut rows = reader.deserialize::<Row>();
    loop {
        let line = rows.reader().position().line();
        let Some(row) = rows.next() else {
            return Ok(names);
        };
        match row.map(|row| (row.user_id.parse::<Identifier>(), row.name)) {
            Ok((Ok(user_id), name)) if !name.is_empty() => {
                names.insert(user_id, name);
            }
            Ok((Ok(_), _)) => tracing::warn!(line, "user directory: the name is empty"),
            Ok((Err(error), _)) => tracing::warn!(line, %error, "user directory: the user_id"),
            Err(error) if error.is_io_error() => return Err(error),
            Err(error) => tracing::warn!(line, %error, "user directory: the row is malformed"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> csv::Result<Vec<(String, String)>> {
        let mut names: Vec<_> = read(text.as_bytes())?
            .into_iter()
            .map(|(id, name)| (id.to_string(), name))
            .collect();
        names.sort();
        Ok(names)
    }

    #[test]
    fn columns_are_found_by_their_headers_and_values_may_be_quoted() {
        let text = "team,name,user_id\nx,\"Doe, Jane\",u1\ny, 王伟 , u2 \n";
        let expected = [("u1", "Doe, Jane"), ("u2", "王伟")];
        assert_eq!(
            names(text).unwrap(),
            expected.map(|(id, name)| (id.into(), name.into()))
        );
    }

    #[test]
    fn a_malformed_row_costs_only_itself() {
        let text = "user_id,name\nu1,One\nu2\nnot an id,X\nu3,\nu4,Four\n";
        let expected = [("u1", "One"), ("u4", "Four")];
        assert_eq!(
            names(text).unwrap(),
            expected.map(|(id, name)| (id.into(), name.into()))
        );
    }

    #[test]
    fn a_file_without_the_headers_is_refused() {
        assert!(names("u1,One\n").is_err());
        assert!(names("").is_err());
    }
}
