//! Files whose contents are compared, again and again.

use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::Occasion;

/// How long a file stays as it is that is written to its end, and how often that is
/// waited for.
const ROUND: Duration = Duration::from_millis(50);
const MOST_ROUNDS: u32 = 20;

/// Files that make sense together only, such as a certificate and its key.
#[derive(Debug)]
pub struct Files {
    paths: Vec<PathBuf>,
    /// The most bytes of each.
    limit: u64,
    seen: Option<Seen>,
}

/// How the files were found.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// With contents of this SHA-256, file by file.
    Contents(Vec<[u8; 32]>),
    /// Not readable, for this reason.
    Unreadable(String),
}

/// A file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("{}: {error}", path.display())]
pub struct Unreadable {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub error: io::Error,
}

/// The contents of the files, in their order.
pub type Contents = Result<Vec<Vec<u8>>, Unreadable>;

impl Files {
    /// These files, none of which may have more than `limit` bytes.
    #[must_use]
    pub const fn new(paths: Vec<PathBuf>, limit: u64) -> Self {
        Self {
            paths,
            limit,
            seen: None,
        }
    }

    /// Has other files watched in place of these.
    pub fn replace(&mut self, paths: Vec<PathBuf>) {
        if self.paths != paths {
            self.paths = paths;
            self.seen = None;
        }
    }

    /// Waits, for a while, until the files do not change any more: one may be half
    /// written. The contents, if they changed meanwhile. Blocks.
    pub fn settle(&mut self) -> Option<Contents> {
        let mut last = None;
        for _ in 0..MOST_ROUNDS {
            std::thread::sleep(ROUND);
            match self.changed() {
                Some(contents) => last = Some(contents),
                None => break,
            }
        }
        last
    }

    /// As [`Files::changed`]; the contents in any case where they are asked for.
    pub fn look(&mut self, occasion: Occasion) -> Option<Contents> {
        if occasion == Occasion::Asked {
            self.seen = None;
        }
        self.changed()
    }

    /// The contents, or why there are none; nothing if that is as it was the
    /// last time. Reads every file, and blocks.
    pub fn changed(&mut self) -> Option<Contents> {
        let before = self.seen.take();
        let contents = self.read();
        (self.seen != before).then_some(contents)
    }

    /// As [`Files::changed`], whether they changed or not.
    ///
    /// # Errors
    ///
    /// [`Unreadable`]: the first of the files that is.
    pub fn read(&mut self) -> Contents {
        let contents: Contents = self
            .paths
            .iter()
            .map(|path| {
                read(path, self.limit).map_err(|error| Unreadable {
                    path: path.clone(),
                    error,
                })
            })
            .collect();
        self.seen = Some(match &contents {
            Ok(contents) => Seen::Contents(
                contents
                    .iter()
                    .map(|file| Sha256::digest(file).into())
                    .collect(),
            ),
            Err(unreadable) => Seen::Unreadable(unreadable.to_string()),
        });
        contents
    }
}

/// The content of a file, up to `limit` bytes.
fn read(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    // A pipe would be waited for, and is empty the second time.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("this is no regular file"));
    }
    let mut content = Vec::new();
    let most = limit.saturating_add(1);
    let length = File::open(path)?.take(most).read_to_end(&mut content)?;
    if u64::try_from(length).is_ok_and(|length| length <= limit) {
        Ok(content)
    } else {
        Err(io::Error::other(format!(
            "this has more than {limit} bytes"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_with_equal_size_and_time_is_seen() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "one").unwrap();
        let time = file.metadata().unwrap().modified().unwrap();
        let mut files = Files::new(vec![file.clone()], 3);
        assert_eq!(files.changed().unwrap().unwrap(), [b"one"]);
        assert!(files.changed().is_none());
        std::fs::write(&file, "two").unwrap();
        File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(time)
            .unwrap();
        assert_eq!(file.metadata().unwrap().modified().unwrap(), time);
        assert_eq!(files.changed().unwrap().unwrap(), [b"two"]);
        assert!(files.changed().is_none());
    }

    #[test]
    fn a_link_above_the_file_that_is_swapped_is_followed() {
        let folder = tempfile::tempdir().unwrap();
        // As a mounted Kubernetes volume has it.
        let path = |name: &str| folder.path().join(name);
        for (version, content) in [("1", "one"), ("2", "two")] {
            std::fs::create_dir(path(version)).unwrap();
            std::fs::write(path(version).join("file"), content).unwrap();
        }
        std::os::unix::fs::symlink("1", path("data")).unwrap();
        std::os::unix::fs::symlink("data/file", path("file")).unwrap();
        let mut files = Files::new(vec![path("file")], 3);
        assert_eq!(files.changed().unwrap().unwrap(), [b"one"]);
        std::os::unix::fs::symlink("2", path("next")).unwrap();
        std::fs::rename(path("next"), path("data")).unwrap();
        assert_eq!(files.changed().unwrap().unwrap(), [b"two"]);
    }

    #[test]
    fn one_of_two_files_that_changes_brings_both() {
        let folder = tempfile::tempdir().unwrap();
        let paths = ["certificate", "key"].map(|name| folder.path().join(name));
        let mut files = Files::new(paths.to_vec(), 9);
        std::fs::write(&paths[0], "first").unwrap();
        let missing = files.changed().unwrap().unwrap_err();
        assert_eq!(missing.path, paths[1]);
        assert!(files.changed().is_none(), "said twice");
        std::fs::write(&paths[1], "second").unwrap();
        let both: [&[u8]; 2] = [b"first", b"second"];
        assert_eq!(files.changed().unwrap().unwrap(), both);
        // The bytes are the same, but not what each file has.
        std::fs::write(&paths[0], "firsts").unwrap();
        std::fs::write(&paths[1], "econd").unwrap();
        assert!(files.changed().is_some());
    }

    #[test]
    fn a_file_without_end_and_one_that_is_none_are_refused() {
        let folder = tempfile::tempdir().unwrap();
        for (path, why) in [
            (Path::new("/dev/zero"), "regular"),
            (folder.path(), "regular"),
        ] {
            let refused = read(path, 10).unwrap_err().to_string();
            assert!(refused.contains(why), "{refused}");
        }
        let file = folder.path().join("long");
        std::fs::write(&file, [0; 11]).unwrap();
        let refused = read(&file, 10).unwrap_err().to_string();
        assert!(refused.contains("more than 10 bytes"), "{refused}");
        std::fs::write(&file, [0; 10]).unwrap();
        assert_eq!(read(&file, 10).unwrap(), [0; 10]);
    }
}
