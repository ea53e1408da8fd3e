//! Files that are read again while the service runs: when their contents change,
//! and when it is asked for (SIGHUP).
//!
//! The contents are compared: a file can change within the resolution of its
//! times and keep its size, and a mounted Kubernetes volume swaps a symbolic link
//! above it, which neither its times nor a watch on it tell.

mod files;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

pub use self::files::{Contents, Files, Unreadable};

/// How often the files are looked at.
const PERIOD: Duration = Duration::from_secs(5);

/// Has everything that is reloadable read its files anew, and counts what came of
/// it. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub struct Reload {
    asked: watch::Sender<()>,
    counts: Arc<[[AtomicU64; 2]; What::ALL.len()]>,
}

/// What is reloaded, each by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Credentials and limits: what of the configuration needs no restart.
    Configuration,
    /// The user directory.
    Directory,
    /// The keys of the issuer of JWTs.
    Jwks,
    /// The listener's certificate, its key and who signs those of clients.
    Certificate,
}

impl What {
    /// All there is.
    pub const ALL: [Self; 4] = [
        Self::Configuration,
        Self::Directory,
        Self::Jwks,
        Self::Certificate,
    ];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Configuration => "configuration",
            Self::Directory => "directory",
            Self::Jwks => "jwks",
            Self::Certificate => "certificate",
        }
    }
}

/// What came of a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// What the files hold is in force.
    Loaded,
    /// The files are of no use; what was in force stays.
    Refused,
}

impl Outcome {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Loaded, Self::Refused];

    /// Its name in metrics.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Loaded => "loaded",
            Self::Refused => "refused",
        }
    }
}

/// Why files are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Occasion {
    /// Somebody has asked for a reload.
    Asked,
    /// It is time again.
    Periodic,
}

impl Reload {
    /// Asks for it; what is asked while one is under way is done after it.
    pub fn ask(&self) {
        self.asked.send_replace(());
    }

    /// Told whenever it is asked for.
    #[must_use]
    pub fn subscribe(&self) -> watch::Receiver<()> {
        self.asked.subscribe()
    }

    /// Counts what came of a reload.
    pub fn note(&self, what: What, outcome: Outcome) {
        if let Some(count) = self.count_of(what, outcome) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often this came of it.
    #[must_use]
    pub fn count(&self, what: What, outcome: Outcome) -> u64 {
        let count = self.count_of(what, outcome);
        count.map_or(0, |count| count.load(Ordering::Relaxed))
    }

    fn count_of(&self, what: What, outcome: Outcome) -> Option<&AtomicU64> {
        self.counts.get(what as usize)?.get(outcome as usize)
    }
}

/// Has `look` look at its files: in `tasks`, until `stop`, periodically and whenever
/// a reload is asked for. `look` may block.
pub fn watch(
    reload: &Reload,
    tasks: &TaskTracker,
    stop: CancellationToken,
    mut look: impl FnMut(Occasion) + Send + 'static,
) {
    let mut asked = reload.subscribe();
    let blocking = tasks.clone();
    tasks.spawn(stop.run_until_cancelled_owned(async move {
        loop {
            let occasion = tokio::select! {
                () = tokio::time::sleep(PERIOD) => Occasion::Periodic,
                Ok(()) = asked.changed() => Occasion::Asked,
            };
            let looked = blocking.spawn_blocking(move || {
                look(occasion);
                look
            });
            match looked.await {
                Ok(returned) => look = returned,
                Err(error) => {
                    tracing::error!(%error, "files are no longer watched for changes");
                    return;
                }
            }
        }
    }));
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Far longer than a look takes, far shorter than [`PERIOD`] for ever.
    const LIMIT: Duration = Duration::from_secs(30);

    #[tokio::test(flavor = "multi_thread")]
    async fn who_asks_for_a_reload_has_unchanged_files_read_again_too() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("file");
        std::fs::write(&file, "one").unwrap();
        let (taken, contents) = mpsc::channel();
        let (reload, tasks) = (Reload::default(), TaskTracker::new());
        let stop = CancellationToken::new();
        let mut files = Files::new(vec![file], 3);
        assert_eq!(files.changed().unwrap().unwrap(), [b"one"]);
        watch(&reload, &tasks, stop.clone(), move |occasion| {
            if let Some(contents) = files.look(occasion) {
                taken.send(contents.unwrap()).unwrap();
            }
        });
        for _ in 0..2 {
            reload.ask();
            let again = tokio::task::block_in_place(|| contents.recv_timeout(LIMIT));
            assert_eq!(again.unwrap(), [b"one"]);
        }
        stop.cancel();
        tasks.close();
        tokio::time::timeout(LIMIT, tasks.wait()).await.unwrap();
    }
}
