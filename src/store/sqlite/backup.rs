//! A copy of the database, made while the service goes on to write.
//!
//! `VACUUM INTO` copies what one moment has, however much is written meanwhile,
//! since readers and the writer of a log do not wait for each other. (SQLite's
//! backup API, and so `.backup` of its shell, begins anew with each write of
//! another process.)

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use super::files::{APPLICATION_ID, look};

/// How long a recovery of the log by another process is waited for.
const BUSY: Duration = Duration::from_secs(30);

/// Why there is no copy.
#[derive(Debug, thiserror::Error)]
pub enum BackupError {
    /// The copy cannot be written.
    #[error("{}: {error}", path.display())]
    File {
        /// The copy, or what stands in its place.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// The database cannot be read.
    #[error("{}: {error}", path.display())]
    Database {
        /// The database.
        path: PathBuf,
        /// Why.
        error: rusqlite::Error,
    },
    /// The copy would take the place of the database or of a file of it.
    #[error("{}: this is a file of the database itself", .0.display())]
    Itself(PathBuf),
    /// The database is another program's, or was never used.
    #[error("{}: this is no database of kootask", .0.display())]
    Foreign(PathBuf),
    /// The database lacks what its log held.
    #[error("{}: its log (-wal) is gone, and with it the newest tasks; «kootask serve» tells more", .0.display())]
    LogLost(PathBuf),
}

/// A file that is removed unless it is kept.
struct Partial(Option<PathBuf>);

impl Drop for Partial {
    fn drop(&mut self) {
        if let Some(path) = self.0.take() {
            let _ = std::fs::remove_file(path);
        }
    }
}

/// Copies the database at `path` to `copy`, which has every task that was
/// acknowledged before this was called; the bytes of the copy. It is synced, for its
/// owner alone, and takes the place of `copy` only when it is whole. Blocks.
///
/// # Errors
///
/// [`BackupError`]; `copy` is then as it was.
pub fn backup(path: &Path, copy: &Path) -> Result<u64, BackupError> {
    refuse_own_files(path, copy)?;
    let failed = |error| BackupError::File {
        path: copy.to_owned(),
        error,
    };
    let partial = create_partial(copy).map_err(failed)?;
    let partial_path = partial.0.as_deref().unwrap_or(copy);
    copy_database(path, partial_path).map_err(|error| BackupError::Database {
        path: path.to_owned(),
        error,
    })?;
    judge(path, partial_path)?;
    let place = |mut partial: Partial| {
        let from = partial.0.as_deref().unwrap_or(copy);
        let file = File::open(from)?;
        file.sync_all()?;
        std::fs::rename(from, copy)?;
        partial.0 = None;
        File::open(folder_of(copy))?.sync_all()?;
        Ok(file.metadata()?.len())
    };
    place(partial).map_err(failed)
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent();
    let folder = folder.filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Refuses to overwrite the database, its log or the log's index, by whatever name.
fn refuse_own_files(path: &Path, copy: &Path) -> Result<(), BackupError> {
    let Ok(there) = look(copy) else {
        return Ok(());
    };
    let is_own = ["", "-wal", "-shm", "-journal"].iter().any(|suffix| {
        let mut own = OsString::from(path);
        own.push(suffix);
        look(own.as_ref()).is_ok_and(|own| own.identity == there.identity)
    });
    if is_own {
        return Err(BackupError::Itself(copy.to_owned()));
    }
    Ok(())
}

/// An empty file beside the copy that is to be.
fn create_partial(copy: &Path) -> io::Result<Partial> {
    if copy.is_dir() {
        return Err(io::ErrorKind::IsADirectory.into());
    }
    let mut name = OsString::from(copy);
    name.push(format!(".{:08x}.partial", rand::random::<u32>()));
    let path = PathBuf::from(name);
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)?;
    Ok(Partial(Some(path)))
}

/// Reads beside the process that owns the database, and changes nothing of it.
fn copy_database(path: &Path, copy: &Path) -> rusqlite::Result<()> {
    let connection = Connection::open_with_flags(
        path,
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
    )?;
    // The log stays what it was, also where this is the only process.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true)?;
    connection.busy_timeout(BUSY)?;
    connection.execute("VACUUM INTO ?1", [copy.to_string_lossy()])?;
    Ok(())
}

/// Whether the copy is one of a database of this program, to which nothing is
/// lacking.
fn judge(path: &Path, copy: &Path) -> Result<(), BackupError> {
    let look = || {
        let connection = Connection::open_with_flags(
            copy,
            OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        let whose: u32 = connection.query_row("PRAGMA application_id", [], |row| row.get(0))?;
        if whose != APPLICATION_ID {
            return Ok(Err(BackupError::Foreign(path.to_owned())));
        }
        let is_lacking =
            connection.query_row("SELECT max(is_needed) FROM log_state", [], |row| row.get(0))?;
        Ok(if is_lacking {
            Err(BackupError::LogLost(path.to_owned()))
        } else {
            Ok(())
        })
    };
    look().map_err(|error| BackupError::Database {
        path: path.to_owned(),
        error,
    })?
}
