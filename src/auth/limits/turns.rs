//! Turns: so many reads at a time as the store has use for, and callers that wait
//! for one served in rotation. Who asks for much waits for its own; who asks for
//! little is next.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::oneshot;

use crate::task::Identifier;

/// The most reads of one caller that wait for their turn.
const MOST_WAITING: usize = 8192;

/// Who takes turns: a credential, or all who come without one.
pub(super) type Key = Option<Identifier>;

/// The turns that there are.
#[derive(Debug)]
pub(super) struct Turns(Mutex<State>);

#[derive(Debug)]
struct State {
    /// None while somebody waits.
    free: usize,
    /// By caller, each in the order in which it came; no queue is empty.
    waiting: HashMap<Key, VecDeque<oneshot::Sender<Turn>>>,
    /// The callers that wait, the next first.
    rotation: VecDeque<Key>,
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_WAITING} reads of this credential wait already")]
pub(super) struct TooManyWait;

impl Turns {
    /// So many at a time.
    pub(super) fn new(at_a_time: usize) -> Arc<Self> {
        Arc::new(Self(Mutex::new(State {
            free: at_a_time,
            waiting: HashMap::new(),
            rotation: VecDeque::new(),
        })))
    }

    /// Waits for the caller's turn.
    pub(super) async fn take(self: &Arc<Self>, caller: &Key) -> Result<Turn, TooManyWait> {
        let turn = self.ask(caller)?;
        match turn {
            Asked::Given(turn) => Ok(turn),
            // Whoever could drop the other end holds what this one is called on.
            Asked::Waits(turn) => turn.await.map_err(|_| TooManyWait),
        }
    }

    fn ask(self: &Arc<Self>, caller: &Key) -> Result<Asked, TooManyWait> {
        let mut state = self.state();
        if let Some(rest) = state.free.checked_sub(1) {
            state.free = rest;
            return Ok(Asked::Given(Turn(Some(Arc::clone(self)))));
        }
        let (give, turn) = oneshot::channel();
        let queue = state.waiting.entry(caller.clone()).or_default();
        // Who has given up is in nobody's way.
        while queue.front().is_some_and(oneshot::Sender::is_closed) {
            queue.pop_front();
        }
        if queue.len() >= MOST_WAITING {
            return Err(TooManyWait);
        }
        queue.push_back(give);
        if queue.len() == 1 && !state.rotation.contains(caller) {
            state.rotation.push_back(caller.clone());
        }
        Ok(Asked::Waits(turn))
    }

    /// Gives a turn that is over to the next who waits.
    fn pass_on(self: &Arc<Self>) {
        let mut state = self.state();
        let mut turn = Turn(Some(Arc::clone(self)));
        while let Some(caller) = state.rotation.pop_front() {
            let Some(queue) = state.waiting.get_mut(&caller) else {
                continue;
            };
            let next = queue.pop_front();
            if queue.is_empty() {
                state.waiting.remove(&caller);
            } else {
                state.rotation.push_back(caller);
            }
            let Some(next) = next else { continue };
            match next.send(turn) {
                Ok(()) => return,
                // It has given up.
                Err(back) => turn = back,
            }
        }
        turn.0 = None;
        state.free = state.free.saturating_add(1);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Asked {
    Given(Turn),
    Waits(oneshot::Receiver<Turn>),
}

/// A turn, over when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<Arc<Turns>>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(turns) = self.0.take() {
            turns.pass_on();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::future::BoxFuture;
    use futures_util::{FutureExt, poll};

    use super::*;

    fn caller(name: &str) -> Key {
        Some(name.parse().unwrap())
    }

    type Waiting = BoxFuture<'static, Result<Turn, TooManyWait>>;

    /// A read that has asked for its turn.
    async fn asked(turns: &Arc<Turns>, name: &str) -> Waiting {
        let (turns, caller) = (Arc::clone(turns), caller(name));
        let mut turn: Waiting = async move { turns.take(&caller).await }.boxed();
        if let Poll::Ready(given) = poll!(&mut turn) {
            return std::future::ready(given).boxed();
        }
        turn
    }

    #[tokio::test]
    async fn who_has_a_thousand_reads_waiting_holds_another_up_by_one() {
        let turns = Turns::new(1);
        let running = turns.take(&caller("greedy")).await.unwrap();
        let mut greedy = VecDeque::new();
        for _ in 0..1000 {
            greedy.push_back(asked(&turns, "greedy").await);
        }
        let mut modest = asked(&turns, "modest").await;
        drop(running);
        let first = greedy.pop_front().unwrap().await.unwrap();
        assert!(poll!(&mut modest).is_pending());
        drop(first);
        drop(modest.await.unwrap());
        for turn in greedy {
            drop(turn.await.unwrap());
        }
        let state = turns.state();
        assert_eq!(state.free, 1);
        assert!(state.waiting.is_empty() && state.rotation.is_empty());
    }

    #[tokio::test]
    async fn who_is_alone_has_every_turn() {
        let turns = Turns::new(3);
        let mut all = Vec::new();
        for _ in 0..3 {
            all.push(asked(&turns, "alone").await.now_or_never().unwrap());
        }
        assert!(asked(&turns, "alone").await.now_or_never().is_none());
        drop(all);
        assert_eq!(turns.state().free, 3);
    }

    #[tokio::test]
    async fn a_turn_is_not_lost_with_who_gave_up_waiting_for_it() {
        let turns = Turns::new(1);
        let running = turns.take(&caller("a")).await.unwrap();
        let (given_up, too_late) = (asked(&turns, "a").await, asked(&turns, "a").await);
        let last = asked(&turns, "b").await;
        drop(given_up);
        // Its turn is on its way to one that gives up before it takes it.
        drop(running);
        drop(too_late);
        drop(last.await.unwrap());
        assert_eq!(turns.state().free, 1);
    }

    #[tokio::test]
    async fn thousands_who_gave_up_are_passed_over_and_forgotten() {
        let turns = Turns::new(1);
        let running = turns.take(&caller("a")).await.unwrap();
        for _ in 0..3 * MOST_WAITING {
            drop(asked(&turns, "a").await);
        }
        assert_eq!(
            turns
                .state()
                .waiting
                .values()
                .map(VecDeque::len)
                .sum::<usize>(),
            1
        );
        let waiting: Vec<_> =
            futures_util::future::join_all((0..MOST_WAITING).map(|_| asked(&turns, "a"))).await;
        let refused = asked(&turns, "a").await.await.unwrap_err();
        assert_eq!(refused, TooManyWait);
        drop(waiting);
        drop(running);
        assert_eq!(turns.state().free, 1);
    }
}
