//! Turns: so many reads at a time as the store has use for, and callers that wait
//! for one served in rotation. Who asks for much waits for its own; who asks for
//! little is next, and waits for nobody where one alone asks for much: no caller has
//! every turn.

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
pub(super) struct Turns {
    /// The most of one caller at a time.
    most: usize,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    free: usize,
    /// Those who have turns, or wait for one.
    callers: HashMap<Key, Reads>,
    /// The callers that wait and have not the most yet, the next first; none while a
    /// turn is free.
    rotation: VecDeque<Key>,
}

/// The reads of a caller.
#[derive(Debug, Default)]
struct Reads {
    /// The turns that it has.
    running: usize,
    /// In the order in which they came.
    waiting: VecDeque<oneshot::Sender<Turn>>,
}

/// Why there is no turn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{MOST_WAITING} reads of this credential wait already")]
pub(super) struct TooManyWait;

impl Turns {
    /// So many at a time, all but one of them of one caller.
    pub(super) fn new(at_a_time: usize) -> Arc<Self> {
        Arc::new(Self {
            most: at_a_time.saturating_sub(1).max(1),
            state: Mutex::new(State {
                free: at_a_time.max(1),
                callers: HashMap::new(),
                rotation: VecDeque::new(),
            }),
        })
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
        let state = &mut *state;
        let reads = state.callers.entry(caller.clone()).or_default();
        if state.free > 0 && reads.running < self.most {
            return Ok(Asked::Given(self.turn(caller, reads, &mut state.free)));
        }
        // Who has given up is in nobody's way.
        while reads
            .waiting
            .front()
            .is_some_and(oneshot::Sender::is_closed)
        {
            reads.waiting.pop_front();
        }
        if reads.waiting.len() >= MOST_WAITING {
            return Err(TooManyWait);
        }
        let (give, turn) = oneshot::channel();
        reads.waiting.push_back(give);
        if reads.running < self.most && !state.rotation.contains(caller) {
            state.rotation.push_back(caller.clone());
        }
        Ok(Asked::Waits(turn))
    }

    /// One of the free turns, the caller's from now on.
    fn turn(self: &Arc<Self>, caller: &Key, reads: &mut Reads, free: &mut usize) -> Turn {
        *free = free.saturating_sub(1);
        reads.running = reads.running.saturating_add(1);
        Turn(Some((Arc::clone(self), caller.clone())))
    }

    /// Takes a turn back that is over, and gives it to the next who waits.
    fn take_back(self: &Arc<Self>, caller: &Key) {
        let mut state = self.state();
        let state = &mut *state;
        state.free = state.free.saturating_add(1);
        if let Some(reads) = state.callers.get_mut(caller) {
            reads.running = reads.running.saturating_sub(1);
            if !reads.waiting.is_empty() && !state.rotation.contains(caller) {
                state.rotation.push_back(caller.clone());
            }
            state.forget_idle(caller);
        }
        while state.free > 0
            && let Some(caller) = state.rotation.pop_front()
        {
            self.give(&caller, state);
        }
    }

    /// Gives a free turn to the first read of this caller that still waits.
    fn give(self: &Arc<Self>, caller: &Key, state: &mut State) {
        let Some(reads) = state.callers.get_mut(caller) else {
            return;
        };
        let mut turn = self.turn(caller, reads, &mut state.free);
        while let Some(next) = reads.waiting.pop_front() {
            let Err(back) = next.send(turn) else {
                if reads.running < self.most && !reads.waiting.is_empty() {
                    state.rotation.push_back(caller.clone());
                }
                return;
            };
            // It has given up.
            turn = back;
        }
        // Not by dropping it, which would lock the state again.
        turn.0 = None;
        reads.running = reads.running.saturating_sub(1);
        state.free = state.free.saturating_add(1);
        state.forget_idle(caller);
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Keeps nothing of a caller that has no reads.
    fn forget_idle(&mut self, caller: &Key) {
        let reads = self.callers.get(caller);
        if reads.is_some_and(|reads| reads.running == 0 && reads.waiting.is_empty()) {
            self.callers.remove(caller);
        }
    }
}

enum Asked {
    Given(Turn),
    Waits(oneshot::Receiver<Turn>),
}

/// A turn, over when it is dropped.
#[derive(Debug)]
pub(super) struct Turn(Option<(Arc<Turns>, Key)>);

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some((turns, caller)) = self.0.take() {
            turns.take_back(&caller);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use futures_util::future::BoxFuture;
    use futures_util::{FutureExt, poll};
    use proptest::prelude::*;

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

    fn is_idle(turns: &Arc<Turns>, at_a_time: usize) -> bool {
        let state = turns.state();
        state.free == at_a_time && state.callers.is_empty() && state.rotation.is_empty()
    }

    #[tokio::test]
    async fn who_has_a_thousand_reads_waiting_has_its_next_after_the_first_of_another() {
        let turns = Turns::new(1);
        let running = turns.take(&caller("greedy")).await.unwrap();
        let mut greedy = Vec::new();
        for _ in 0..1000 {
            greedy.push(asked(&turns, "greedy").await);
        }
        let modest = asked(&turns, "modest").await;
        drop(running);
        let modest = modest.now_or_never().unwrap();
        assert!(poll!(&mut greedy[0]).is_pending());
        drop(modest);
        for turn in greedy {
            drop(turn.await.unwrap());
        }
        assert!(is_idle(&turns, 1));
    }

    #[tokio::test]
    async fn however_many_reads_a_caller_has_another_waits_for_none_of_them() {
        let turns = Turns::new(3);
        let mut greedy = Vec::new();
        for _ in 0..9 {
            greedy.push(asked(&turns, "greedy").await);
        }
        assert!(poll!(&mut greedy[2]).is_pending(), "it has every turn");
        let modest = asked(&turns, "modest").await.now_or_never().unwrap();
        assert!(poll!(&mut greedy[2]).is_pending());
        drop(modest);
        assert!(poll!(&mut greedy[2]).is_pending(), "it has every turn");
        drop(greedy);
        assert!(is_idle(&turns, 3));
    }

    proptest! {
        /// As many turns as can be are in use, and no caller has more than it may.
        #[test]
        fn no_turn_is_idle_while_somebody_may_have_it(
            at_a_time in 1_usize..5,
            steps in proptest::collection::vec((0_usize..3, any::<prop::sample::Index>()), 1..200),
        ) {
            const CALLERS: [&str; 3] = ["a", "b", "c"];
            let turns = Turns::new(at_a_time);
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            runtime.block_on(async {
                let (mut waiting, mut running) = (Vec::new(), Vec::new());
                for (step, which) in steps {
                    match step {
                        0 => {
                            let caller = CALLERS[which.index(CALLERS.len())];
                            waiting.push((caller, asked(&turns, caller).await));
                        }
                        1 if !running.is_empty() => {
                            drop(running.swap_remove(which.index(running.len())));
                        }
                        2 if !waiting.is_empty() => {
                            drop(waiting.swap_remove(which.index(waiting.len())));
                        }
                        _ => {}
                    }
                    for (caller, mut turn) in std::mem::take(&mut waiting) {
                        match poll!(&mut turn) {
                            Poll::Ready(turn) => running.push((caller, turn.unwrap())),
                            Poll::Pending => waiting.push((caller, turn)),
                        }
                    }
                    let has = |caller: &str| running.iter().filter(|(of, _)| *of == caller).count();
                    prop_assert!(running.len() <= at_a_time);
                    prop_assert!(CALLERS.into_iter().all(|caller| has(caller) <= turns.most));
                    let is_free = running.len() < at_a_time;
                    for (caller, _) in &waiting {
                        prop_assert!(!is_free || has(caller) == turns.most);
                    }
                }
                drop((waiting, running));
                prop_assert!(is_idle(&turns, at_a_time));
                Ok(())
            })?;
        }
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
        assert!(is_idle(&turns, 1));
    }

    #[tokio::test]
    async fn thousands_who_gave_up_are_passed_over_and_forgotten() {
        let turns = Turns::new(1);
        let running = turns.take(&caller("a")).await.unwrap();
        for _ in 0..3 * MOST_WAITING {
            drop(asked(&turns, "a").await);
        }
        let waits = |reads: &Reads| reads.waiting.len();
        assert_eq!(turns.state().callers.values().map(waits).sum::<usize>(), 1);
        let waiting: Vec<_> =
            futures_util::future::join_all((0..MOST_WAITING).map(|_| asked(&turns, "a"))).await;
        let refused = asked(&turns, "a").await.await.unwrap_err();
        assert_eq!(refused, TooManyWait);
        drop(waiting);
        drop(running);
        assert!(is_idle(&turns, 1));
    }
}
