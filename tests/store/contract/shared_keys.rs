//! Requests of one moment that share idempotency keys: what they are answered, and
//! what the keys stand for afterwards, is as if they had come one after the other, in
//! some order.

use std::collections::HashMap;
use std::sync::Arc;

use futures_util::future::join_all;
use kootask::task::TaskId;
use kootask::task::idempotency::Idempotency;
use kootask::task::repository::{Created, TaskRepository};
use proptest::test_runner::{Config, TestRunner};

use super::{Backend, contract};
use crate::store::{MovedClock, NODE, create, key, key_of_another_body, tenant, transfer};

contract! {
    every backend:
    requests_that_share_keys_are_answered_as_one_after_the_other,
    whatever_keys_requests_share_they_are_answered_as_one_after_the_other,
}

/// The key, the signature and whether the body is another.
type Request = (u8, Option<u8>, bool);

/// Requests that came before, one after the other, and those that come at once.
type Case = (Vec<Request>, Vec<Request>);

/// What is asked for with these keys of the case of this number.
fn idempotency(case: usize, (name, signature, is_another): Request) -> Idempotency {
    let name = format!("{case}-{name}");
    let keyed = if is_another {
        key_of_another_body(&name)
    } else {
        key(&name)
    };
    match signature {
        Some(signature) => keyed.and_signature(&tenant(), &digest(case, signature)),
        None => keyed,
    }
}

fn digest(case: usize, signature: u8) -> [u8; 32] {
    let mut digest = [signature; 32];
    digest[..8].copy_from_slice(&case.to_be_bytes());
    digest
}

/// What keys stand for: the first request, by its number, and whether its body is the
/// other.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
struct Model {
    meanings: HashMap<[u8; 16], (usize, bool)>,
}

/// What a request is answered; tasks are meant by the request that made them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    New,
    Existing(usize),
    Mismatch,
}

impl Model {
    fn create(&mut self, case: usize, number: usize, request: Request) -> Answer {
        let idempotency = idempotency(case, request);
        let known = idempotency.keys().find_map(|key| self.meanings.get(&key));
        let (answer, meaning) = match known.copied() {
            None => (Answer::New, (number, request.2)),
            Some((first, body)) if body == request.2 => (Answer::Existing(first), (first, body)),
            Some(_) => return Answer::Mismatch,
        };
        for key in idempotency.keys() {
            self.meanings.entry(key).or_insert(meaning);
        }
        answer
    }

    /// Whether in some order these requests, by their numbers, get these answers and
    /// leave the keys with these meanings.
    fn explains(
        &self,
        case: usize,
        asked: &[(usize, Request, Answer)],
        after: &dyn Fn(&Self) -> bool,
    ) -> bool {
        if asked.is_empty() {
            return after(self);
        }
        (0..asked.len()).any(|first| {
            let (mut model, mut rest) = (self.clone(), asked.to_vec());
            let (number, request, answer) = rest.remove(first);
            model.create(case, number, request) == answer && model.explains(case, &rest, after)
        })
    }
}

/// What was answered, by the requests that made the tasks.
fn answers(made: &mut HashMap<TaskId, usize>, first: usize, created: &[Created]) -> Vec<Answer> {
    let numbered = || (first..).zip(created);
    for (number, created) in numbered() {
        if let Created::New(id) = created {
            assert_eq!(made.insert(*id, number), None, "two tasks have one id");
        }
    }
    let answer = |(_, created): (usize, &Created)| match created {
        Created::New(_) => Answer::New,
        Created::Existing(id) => Answer::Existing(made[id]),
        Created::Mismatch => Answer::Mismatch,
    };
    numbered().map(answer).collect()
}

async fn live(store: &Arc<dyn TaskRepository>, case: usize, (before, at_once): &Case) {
    let ask = async |request| {
        let created = create(store, transfer("source"), Some(idempotency(case, request)));
        created.await.unwrap()
    };
    let (mut model, mut made) = (Model::default(), HashMap::new());
    for (number, request) in before.iter().enumerate() {
        let answer = answers(&mut made, number, &[ask(*request).await]);
        assert_eq!(answer, [model.create(case, number, *request)]);
    }
    // Polled one after the other, they meet in one commit or in two.
    let created = join_all(at_once.iter().map(|request| ask(*request))).await;
    let asked: Vec<_> = answers(&mut made, before.len(), &created)
        .into_iter()
        .zip(before.len()..)
        .zip(at_once)
        .map(|((answer, number), request)| (number, *request, answer))
        .collect();
    // What each key stands for is seen by who asks with it alone.
    let mut found = Vec::new();
    let next = before.len() + at_once.len();
    for (number, probe) in (next..).zip(probes(case)) {
        let created = create(store, transfer("source"), Some(probe))
            .await
            .unwrap();
        found.push((probe, answers(&mut made, number, &[created])[0]));
    }
    let is_as_found = |model: &Model| {
        found.iter().all(|(probe, answer)| {
            *answer
                == match model.meanings.get(&probe.key) {
                    None => Answer::New,
                    Some((first, false)) => Answer::Existing(*first),
                    Some((_, true)) => Answer::Mismatch,
                }
        })
    };
    assert!(
        model.explains(case, &asked, &is_as_found),
        "after {before:?} at once {asked:?}, and then {found:?}"
    );
}

const NAMES: std::ops::Range<u8> = 0..3;
const SIGNATURES: std::ops::Range<u8> = 0..3;

/// A request for each key of the case.
fn probes(case: usize) -> Vec<Idempotency> {
    let of_names = NAMES.map(|name| idempotency(case, (name, None, false)));
    let of_signatures = SIGNATURES.map(|signature| {
        let signed = idempotency(case, (0, Some(signature), false));
        Idempotency {
            key: signed.signature.unwrap(),
            signature: None,
            ..signed
        }
    });
    of_names.chain(of_signatures).collect()
}

async fn requests_that_share_keys_are_answered_as_one_after_the_other(backend: &impl Backend) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let cases: [Case; 5] = [
        // The key stands for the second's already: its signature does too, then.
        (
            vec![(0, None, true)],
            vec![(0, Some(0), false), (0, Some(1), true)],
        ),
        // What the first shares with the second is free, and its key is taken.
        (
            vec![(0, None, true)],
            vec![(0, Some(0), false), (1, Some(0), false)],
        ),
        // The other way round.
        (
            vec![(1, None, true)],
            vec![(0, Some(0), false), (1, Some(0), false)],
        ),
        // Each has a key that stands for another task.
        (
            vec![(0, None, false), (1, None, false)],
            vec![(0, Some(0), false), (1, Some(0), false)],
        ),
        // A row of them, each of which shares something with the next.
        (
            vec![(2, Some(2), true)],
            vec![
                (0, Some(0), false),
                (1, Some(0), false),
                (1, Some(1), true),
                (2, Some(1), false),
            ],
        ),
    ];
    for (number, (before, at_once)) in cases.iter().enumerate() {
        for turn in 0..at_once.len() * 2 {
            let mut at_once = at_once.clone();
            at_once.rotate_left(turn / 2);
            if turn % 2 == 1 {
                at_once.reverse();
            }
            live(&store, number * 100 + turn, &(before.clone(), at_once)).await;
        }
    }
}

async fn whatever_keys_requests_share_they_are_answered_as_one_after_the_other(
    backend: &impl Backend,
) {
    let store = backend.open(&MovedClock::new(), NODE).await;
    let runtime = tokio::runtime::Handle::current();
    let request = || {
        (
            NAMES,
            proptest::option::of(SIGNATURES),
            proptest::bool::weighted(0.3),
        )
    };
    let before = proptest::collection::vec(request(), 0..3);
    let at_once = proptest::collection::vec(request(), 2..6);
    let case = std::cell::Cell::new(1_000);
    let lived = |events: Case| {
        case.set(case.get() + 1);
        runtime.block_on(live(&store, case.get(), &events));
        Ok(())
    };
    tokio::task::block_in_place(|| {
        let mut runner = TestRunner::new(Config {
            failure_persistence: None,
            ..Config::with_cases(150)
        });
        runner.run(&(before, at_once), lived).unwrap();
    });
}
