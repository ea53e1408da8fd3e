//! A mounted volume as Kubernetes has it.

use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::sync::atomic::{AtomicUsize, Ordering};

use tempfile::TempDir;

/// Files below a link to a folder, which is swapped whole.
pub struct Volume {
    folder: TempDir,
    versions: AtomicUsize,
}

impl Volume {
    pub fn new(files: &[(&str, &str)]) -> Self {
        let volume = Self {
            folder: tempfile::tempdir().unwrap(),
            versions: AtomicUsize::new(0),
        };
        volume.swap(files);
        volume
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join("data").join(name)
    }

    /// Puts other files in the place of those there are, with the same times.
    pub fn swap(&self, files: &[(&str, &str)]) {
        let version = self.versions.fetch_add(1, Ordering::Relaxed).to_string();
        let folder = self.folder.path().join(&version);
        std::fs::create_dir(&folder).unwrap();
        for (name, content) in files {
            std::fs::write(folder.join(name), content).unwrap();
            let file = std::fs::File::options()
                .write(true)
                .open(folder.join(name))
                .unwrap();
            file.set_modified(std::time::UNIX_EPOCH).unwrap();
        }
        let next = self.folder.path().join("next");
        symlink(&version, &next).unwrap();
        std::fs::rename(next, self.folder.path().join("data")).unwrap();
    }
}
