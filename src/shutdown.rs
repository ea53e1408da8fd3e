//! The end of the process, in this order: the listener, the requests in flight,
//! the store, what runs in the background, the spans, the log. Each has a bound of its own,
//! so that nothing holds the exit up for good.
//!
//! Whatever runs beside requests runs in the one tracker of [`Background`] and
//! ends by its token: nothing is spawned elsewhere and nothing is aborted.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// How long the store may take to close.
pub const STORE: Duration = Duration::from_secs(4);
/// How long it may take even if the requests in flight have left it no time.
pub const STORE_AT_LEAST: Duration = Duration::from_secs(1);
/// How long the background's work may take to notice that it should end.
pub const BACKGROUND: Duration = Duration::from_secs(1);

/// How long the last spans may take to their collector.
pub const SPANS: Duration = Duration::from_millis(500);

/// The owner of all that runs in the background. When it is dropped, all is told
/// to end.
#[derive(Debug, Default)]
pub struct Background {
    token: CancellationToken,
    tasks: TaskTracker,
}

impl Background {
    /// The token that is cancelled when the background shall end. A task selects
    /// it wherever it waits.
    #[must_use]
    pub fn token(&self) -> CancellationToken {
        self.token.clone()
    }

    /// Where tasks are spawned.
    #[must_use]
    pub fn tasks(&self) -> TaskTracker {
        self.tasks.clone()
    }

    /// Tells all to end, and waits for it for at most [`BACKGROUND`].
    pub async fn stop(&self) {
        self.token.cancel();
        self.tasks.close();
        within(BACKGROUND, "work in the background", self.tasks.wait()).await;
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        self.token.cancel();
    }
}

/// Waits for an end, and says in the log whose end did not come in time.
pub async fn within(limit: Duration, whose: &str, end: impl Future<Output = ()>) {
    if tokio::time::timeout(limit, end).await.is_err() {
        tracing::warn!(limit_s = limit.as_secs(), "{whose} did not end in time");
    }
}

#[cfg(test)]
mod tests {
    use tokio::sync::oneshot;
    use tokio::time::Instant;

    use super::*;

    #[tokio::test]
    async fn a_stop_waits_for_what_runs_to_end() {
        let background = Background::default();
        let (token, (ended, mut at)) = (background.token(), oneshot::channel());
        background.tasks().spawn(async move {
            token.cancelled().await;
            tokio::task::yield_now().await;
            let _ = ended.send(());
        });
        background.stop().await;
        assert_eq!(at.try_recv(), Ok(()));
    }

    #[tokio::test]
    async fn a_stop_does_not_wait_for_ever_for_what_never_ends() {
        let background = Background::default();
        background.tasks().spawn(std::future::pending::<()>());
        let asked = Instant::now();
        background.stop().await;
        assert!(asked.elapsed() >= BACKGROUND);
    }

    #[tokio::test]
    async fn what_has_lost_its_owner_ends() {
        let background = Background::default();
        let tasks = background.tasks();
        tasks.spawn(background.token().cancelled_owned());
        drop(background);
        tasks.close();
        tasks.wait().await;
    }
}
