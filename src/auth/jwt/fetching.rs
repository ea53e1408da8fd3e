//! When a key set is fetched: at the start, then every ten minutes, when a reload is
//! asked for, and when a token names a key that is not known.

use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::task::clock::SharedClock;

/// The time from one fetch to the next.
#[derive(Debug, Clone, Copy)]
struct Pace {
    /// After one that has brought keys.
    period: Duration,
    /// After one that has brought none; and before one that a token asks for, since
    /// everybody can make tokens up.
    pause: Duration,
}

const PACE: Pace = Pace {
    period: Duration::from_mins(10),
    pause: Duration::from_secs(30),
};

/// How it stands with fetching.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    UnderWay,
    /// By the clock's [`elapsed`](crate::task::clock::Clock::elapsed).
    EndedAt(Duration),
}

/// Fetches in the background, and takes wishes.
pub(super) struct Fetching {
    clock: SharedClock,
    pace: Pace,
    state: watch::Sender<State>,
    wanted: Notify,
}

impl Fetching {
    pub(super) fn new(clock: SharedClock) -> Self {
        Self::at(PACE, clock)
    }

    fn at(pace: Pace, clock: SharedClock) -> Self {
        Self {
            clock,
            pace,
            state: watch::Sender::new(State::UnderWay),
            wanted: Notify::new(),
        }
    }

    /// Waits for the end of the fetch that is under way, or of one that begins now;
    /// not at all if the last has ended a moment ago.
    pub(super) async fn ask(&self) {
        let mut state = self.state.subscribe();
        let found = *state.borrow();
        if let State::EndedAt(at) = found {
            if self.since(at) < self.pace.pause {
                return;
            }
            self.wanted.notify_one();
        }
        let is_over = |state: &State| *state != found && *state != State::UnderWay;
        // Cannot fail: the sender is `self`'s.
        let _ = state.wait_for(is_over).await;
    }

    fn since(&self, moment: Duration) -> Duration {
        self.clock.elapsed().saturating_sub(moment)
    }

    /// Fetches without end. `fetch` tells whether it has brought keys; `reload` is told
    /// when a reload is asked for.
    pub(super) async fn run<F>(&self, mut fetch: impl FnMut() -> F, mut reload: watch::Receiver<()>)
    where
        F: Future<Output = bool>,
    {
        loop {
            self.state.send_replace(State::UnderWay);
            let Pace { period, pause } = self.pace;
            let next = if fetch().await { period } else { pause };
            let ended = self.clock.elapsed();
            self.state.send_replace(State::EndedAt(ended));
            let wanted = async {
                loop {
                    self.wanted.notified().await;
                    // The wish may be older than the fetch.
                    if self.since(ended) >= pause {
                        return;
                    }
                }
            };
            tokio::select! {
                () = tokio::time::sleep(next) => {}
                () = wanted => {}
                Ok(()) = reload.changed() => {}
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;
    use crate::task::clock::SystemClock;

    const NEVER: Duration = Duration::from_hours(1);
    const LIMIT: Duration = Duration::from_secs(30);

    /// Runs `test` beside fetches at this pace that bring keys or not; both are told how
    /// many fetches there have been.
    async fn beside(
        pace: Pace,
        brings_keys: bool,
        test: impl AsyncFnOnce(&Fetching, &AtomicUsize, &watch::Sender<()>),
    ) {
        let fetching = Fetching::at(pace, Arc::new(SystemClock));
        let count = AtomicUsize::new(0);
        let (reload, asked) = watch::channel(());
        let fetch = || {
            count.fetch_add(1, Ordering::Relaxed);
            async move { brings_keys }
        };
        let test = test(&fetching, &count, &reload);
        tokio::select! {
            () = fetching.run(fetch, asked) => panic!("it goes on without end"),
            ended = tokio::time::timeout(LIMIT, test) => ended.unwrap(),
        }
    }

    async fn reach(count: &AtomicUsize, number: usize) {
        while count.load(Ordering::Relaxed) < number {
            tokio::task::yield_now().await;
        }
    }

    #[tokio::test]
    async fn tokens_of_unknown_keys_bring_one_fetch_in_a_while() {
        let pace = Pace {
            period: NEVER,
            pause: NEVER,
        };
        beside(pace, true, async |fetching, count, _| {
            // The first waits for the fetch of the start.
            for _ in 0..100 {
                fetching.ask().await;
                assert_eq!(count.load(Ordering::Relaxed), 1);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn who_asks_after_that_while_waits_for_the_keys() {
        let pace = Pace {
            period: NEVER,
            pause: Duration::ZERO,
        };
        beside(pace, true, async |fetching, count, _| {
            // That of the start, which may be over.
            reach(count, 1).await;
            for number in 2..10 {
                fetching.ask().await;
                assert_eq!(count.load(Ordering::Relaxed), number);
            }
        })
        .await;
    }

    #[tokio::test]
    async fn a_fetch_without_keys_is_repeated_soon() {
        let pace = Pace {
            period: NEVER,
            pause: Duration::from_millis(1),
        };
        beside(pace, false, async |_, count, _| reach(count, 3).await).await;
    }

    #[tokio::test]
    async fn keys_are_fetched_again_and_again_and_when_a_reload_is_asked_for() {
        let pace = Pace {
            period: Duration::from_millis(1),
            pause: NEVER,
        };
        beside(pace, true, async |_, count, _| reach(count, 3).await).await;
        let pace = Pace {
            period: NEVER,
            ..pace
        };
        beside(pace, true, async |fetching, count, reload| {
            fetching.ask().await;
            reload.send_replace(());
            reach(count, 2).await;
        })
        .await;
    }
}
