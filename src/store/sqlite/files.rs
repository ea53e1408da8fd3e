//! The database's files, before SQLite opens them: that no other process has
//! them, that they are ours, and that none was lost.

use std::ffi::OsString;
use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use percent_encoding::{NON_ALPHANUMERIC, percent_encode};
use rusqlite::{Connection, OpenFlags};
use rustix::fs::{AtFlags, CWD, StatxFlags};

use super::OpenError;
use super::database::DatabaseError;

/// How a SQLite database begins.
const MAGIC: &[u8; 16] = b"SQLite format 3\0";
/// The `application_id` that the migrations set: `KooT`.
pub(super) const APPLICATION_ID: u32 = u32::from_be_bytes(*b"KooT");
/// The size of a log's header. A log that is no longer holds nothing.
const LOG_HEADER_BYTES: u64 = 32;
/// What a log holds in front of each page.
pub(super) const FRAME_HEADER_BYTES: u64 = 24;
/// The tables of every schema that had no `application_id` yet.
const FIRST_TABLES: [&str; 3] = ["_sqlx_migrations", "index_run", "task"];

/// A database file that no other process has, whatever name it goes by: the lock
/// is on the file itself. It is free again when this is dropped, which must not
/// be before the last connection is closed.
///
/// `flock` and the `fcntl` locks of SQLite do not meet. But closing any
/// descriptor of the file ends this process's `fcntl` locks on it.
pub(super) struct DatabaseFile {
    path: PathBuf,
    file: File,
}

impl DatabaseFile {
    /// Makes the folder and the file at need, the file for its owner alone, and
    /// locks it.
    pub(super) fn lock(path: &Path) -> Result<Self, OpenError> {
        let failed = |path: &Path, error| OpenError::File {
            path: path.to_owned(),
            error,
        };
        if let Some(folder) = path
            .parent()
            .filter(|folder| !folder.as_os_str().is_empty())
        {
            std::fs::create_dir_all(folder).map_err(|error| failed(folder, error))?;
        }
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(path)
            .map_err(|error| failed(path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                // It may be this process that has it: closing the descriptor
                // would end the locks of its connections.
                std::mem::forget(file);
                return Err(OpenError::InUse(path.to_owned()));
            }
            Err(TryLockError::Error(error)) => return Err(failed(path, error)),
        }
        if !file.metadata().is_ok_and(|metadata| metadata.is_file()) {
            let error = io::Error::new(io::ErrorKind::InvalidInput, "not a regular file");
            return Err(failed(path, error));
        }
        let path = path.canonicalize().map_err(|error| failed(path, error))?;
        Ok(Self { path, file })
    }

    /// Where SQLite keeps this database's log.
    pub(super) fn log_path(&self) -> PathBuf {
        self.beside("-wal")
    }

    fn beside(&self, suffix: &str) -> PathBuf {
        let mut path = OsString::from(&self.path);
        path.push(suffix);
        path.into()
    }

    /// Refuses a database that is not this program's, or of which something is
    /// lost. Writes nothing before that is sure.
    pub(super) fn check(&self) -> Result<(), OpenError> {
        let failed = |error| OpenError::File {
            path: self.path.clone(),
            error,
        };
        let bytes = self.file.metadata().map_err(failed)?.len();
        let has_log = self.log_bytes() > LOG_HEADER_BYTES;
        if bytes == 0 {
            return if has_log {
                // SQLite would delete the log.
                Err(self.lost(Lost::Database))
            } else {
                tracing::warn!(
                    database = %self.path.display(),
                    "there is no database here: an empty one is made"
                );
                Ok(())
            };
        }
        let header = Header::read(&self.file)
            .map_err(failed)?
            .ok_or_else(|| OpenError::NotADatabase(self.path.clone()))?;
        if has_log {
            self.check_log(&header)?;
        } else if header.expected_bytes().is_some_and(|all| bytes < all) {
            return Err(self.lost(Lost::End));
        }
        self.check_content(&header, has_log)
    }

    fn lost(&self, what: Lost) -> OpenError {
        OpenError::Lost {
            path: self.path.clone(),
            what,
        }
    }

    fn log_bytes(&self) -> u64 {
        look(&self.log_path()).map_or(0, |log| log.bytes)
    }

    /// Whose database it is, and whether it can do without a log.
    fn check_content(&self, header: &Header, has_log: bool) -> Result<(), OpenError> {
        let unreadable = |error: rusqlite::Error| OpenError::Unreadable {
            path: self.path.clone(),
            error: DatabaseError::from(error).into(),
        };
        let (tables, needs_log) = self.content(has_log).map_err(unreadable)?;
        let is_ours = match header.application_id {
            APPLICATION_ID => true,
            0 => {
                let is_begun = tables.iter().all(|table| table == "_sqlx_migrations");
                is_begun
                    || FIRST_TABLES
                        .iter()
                        .all(|ours| tables.iter().any(|table| table == ours))
            }
            _ => false,
        };
        if !is_ours {
            return Err(OpenError::Foreign(self.path.clone()));
        }
        match (needs_log, has_log) {
            (true, true) => self.move_log().map_err(unreadable),
            // A copy that SQLite made is whole without.
            (true, false) if header.has_log_mode => Err(self.lost(Lost::Log)),
            _ => Ok(()),
        }
    }

    /// Moves the log into the file, since the process ended before it had taken
    /// back that it is needed: the next connection to be closed would remove it.
    fn move_log(&self) -> rusqlite::Result<()> {
        let connection = Connection::open_with_flags(
            &self.path,
            OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        connection.execute("UPDATE log_state SET is_needed = 0", [])?;
        Ok(())
    }

    /// The names of the tables, and whether the database says that it lacks what
    /// the log holds.
    fn content(&self, has_log: bool) -> rusqlite::Result<(Vec<String>, bool)> {
        // Without a log nothing is laid beside the database: it may not be ours.
        let path = percent_encode(self.path.as_os_str().as_bytes(), NON_ALPHANUMERIC);
        let uri = format!("file:{path}?immutable={}", u8::from(!has_log));
        let connection = Connection::open_with_flags(
            uri,
            OpenFlags::SQLITE_OPEN_READ_ONLY
                | OpenFlags::SQLITE_OPEN_URI
                | OpenFlags::SQLITE_OPEN_NO_MUTEX,
        )?;
        let tables: Vec<String> = connection
            .prepare("SELECT name FROM sqlite_schema WHERE type = 'table'")?
            .query_map([], |row| row.get(0))?
            .collect::<rusqlite::Result<_>>()?;
        let needs_log = tables.iter().any(|table| table == "log_state")
            && connection
                .query_row("SELECT max(is_needed) FROM log_state", [], |row| row.get(0))?;
        Ok((tables, needs_log))
    }

    /// The log's index tells how long the log was when the process that wrote it
    /// ended. It may be missing, and older than the log after a power cut; it is
    /// never newer.
    fn check_log(&self, header: &Header) -> Result<(), OpenError> {
        let read = |path: PathBuf, from: u64| -> io::Result<[u8; 40]> {
            let mut bytes = [0; 40];
            File::open(path)?.read_exact_at(&mut bytes, from)?;
            Ok(bytes)
        };
        let (Ok(log), Ok(index)) = (read(self.log_path(), 0), read(self.beside("-shm"), 0)) else {
            return Ok(());
        };
        let is_of_log = log.get(16..24) == index.get(32..40);
        let frames = index
            .get(16..20)
            .and_then(|bytes| bytes.try_into().ok())
            .map_or(0, u32::from_ne_bytes);
        let frame_bytes = header.page_bytes.saturating_add(FRAME_HEADER_BYTES);
        let expected = frame_bytes
            .saturating_mul(frames.into())
            .saturating_add(LOG_HEADER_BYTES);
        if is_of_log && self.log_bytes() < expected {
            return Err(self.lost(Lost::LogEnd));
        }
        Ok(())
    }

    /// Warns where another name of the file would not find its log.
    pub(super) fn warn_of_a_log_apart(&self) {
        let names = self.file.metadata().map_or(1, |metadata| metadata.nlink());
        if names > 1 {
            tracing::warn!(
                database = %self.path.display(), names,
                "the database file has several names; its log is found by this one alone"
            );
        }
        if is_mount_point(&self.path) {
            tracing::warn!(
                database = %self.path.display(),
                log = %self.log_path().display(),
                "the database file alone is mounted here: its log, which holds the newest tasks, \
                 is not; mount the folder instead"
            );
        }
    }
}

/// A file as it was looked at.
pub(super) struct FileState {
    /// Its device and inode.
    pub(super) identity: (u64, u64),
    /// Its size.
    pub(super) bytes: u64,
}

/// What the file system says of the file at `path`.
///
/// It is not asked for times. A file whose times somebody saw gets new ones with its next
/// write (Linux 6.13 and newer), however soon that is; a file system without a journal
/// then writes the inode beside the data at each sync.
pub(super) fn look(path: &Path) -> Result<FileState, DatabaseError> {
    let wanted = StatxFlags::INO | StatxFlags::SIZE;
    let found = rustix::fs::statx(CWD, path, AtFlags::empty(), wanted);
    let found = found.map_err(|error| DatabaseError::File {
        path: path.to_owned(),
        error: error.into(),
    })?;
    let device = rustix::fs::makedev(found.stx_dev_major, found.stx_dev_minor);
    Ok(FileState {
        identity: (device, found.stx_ino),
        bytes: found.stx_size,
    })
}

/// What is missing of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Lost {
    /// The file is empty, and its log is not.
    #[error(
        "the database is empty or was removed, but its log (-wal) is still there; put the \
         database back, or move the log away to begin anew"
    )]
    Database,
    /// The file is shorter than it says.
    #[error("the database is cut short; put a whole copy in its place")]
    End,
    /// There was a log, and it is gone or empty.
    #[error(
        "its log (-wal) is gone, and with it the newest tasks; put it back, or go on without them: \
         sqlite3 FILE \"UPDATE log_state SET is_needed = 0\""
    )]
    Log,
    /// The log is shorter than it was.
    #[error(
        "its log (-wal) is cut short, and the newest tasks are lost; put the whole log back, or go \
         on without them by removing the -shm file"
    )]
    LogEnd,
}

/// What the first bytes of a database say.
struct Header {
    page_bytes: u64,
    has_log_mode: bool,
    /// Zero where it is not known.
    pages: u32,
    application_id: u32,
}

impl Header {
    /// The file's header; none if the file is no SQLite database.
    fn read(file: &File) -> io::Result<Option<Self>> {
        let mut bytes = [0; 100];
        match file.read_exact_at(&mut bytes, 0) {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
            outcome => outcome?,
        }
        if !bytes.starts_with(MAGIC) {
            return Ok(None);
        }
        let number = |at: usize| {
            let bytes = bytes.get(at..).and_then(|rest| rest.first_chunk());
            u32::from_be_bytes(*bytes.unwrap_or(&[0; 4]))
        };
        let page_bytes = match number(16) >> 16 {
            1 => 1 << 16,
            bytes => bytes.into(),
        };
        // Programs from before 2010 did not keep the number of pages.
        let is_counted = number(24) == number(92);
        Ok(Some(Self {
            page_bytes,
            has_log_mode: bytes.get(18) == Some(&2),
            pages: if is_counted { number(28) } else { 0 },
            application_id: number(68),
        }))
    }

    fn expected_bytes(&self) -> Option<u64> {
        self.page_bytes.checked_mul(self.pages.into())
    }
}

/// Whether something is mounted at just this path.
fn is_mount_point(path: &Path) -> bool {
    // Spaces and the like are written as octal numbers.
    let written: Vec<u8> = path
        .as_os_str()
        .as_bytes()
        .iter()
        .flat_map(|byte| match byte {
            b' ' | b'\t' | b'\n' | b'\\' => format!("\\{byte:03o}").into_bytes(),
            byte => vec![*byte],
        })
        .collect();
    std::fs::read("/proc/self/mountinfo").is_ok_and(|mounts| {
        mounts
            .split(|byte| *byte == b'\n')
            .filter_map(|line| line.split(|byte| *byte == b' ').nth(4))
            .any(|mounted| mounted == written)
    })
}

#[cfg(test)]
mod tests {
    use rustix::time::{ClockId, clock_gettime};

    use super::*;

    /// The time that files get as long as nobody has seen it: that of the last tick.
    fn tick() -> (i64, i64) {
        let time = clock_gettime(ClockId::RealtimeCoarse);
        (time.tv_sec, time.tv_nsec)
    }

    #[test]
    fn a_file_that_was_looked_at_is_written_without_a_new_time_of_its_own() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let file = File::create_new(&path).unwrap();
        let write = || file.write_all_at(b"content", 0).unwrap();
        // Whether the file has the time of the last tick; not for sure where the next one
        // came meanwhile.
        let has_coarse_time = || {
            let last = tick();
            while tick() == last {
                std::thread::yield_now();
            }
            write();
            look(&path).unwrap();
            write();
            let now = tick();
            let metadata = file.metadata().unwrap();
            (metadata.mtime(), metadata.mtime_nsec()) <= now
        };
        assert!((0..100).any(|_| has_coarse_time()));
        let metadata = file.metadata().unwrap();
        let state = look(&path).unwrap();
        assert_eq!(state.identity, (metadata.dev(), metadata.ino()));
        assert_eq!(state.bytes, 7);
    }
}
