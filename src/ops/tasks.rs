//! The metrics of tasks and of the store's commits.

use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;

use crate::task::observer::{CreateOutcome, TaskObserver};
use crate::task::{TaskStatus, TaskType};

/// 0.1 ms to 5 s, in seconds.
const COMMIT_BUCKETS: [f64; 15] = [
    0.000_1, 0.000_25, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5,
    5.0,
];
/// 1, 2, 4, … 1,024.
const BATCH_BUCKETS: u16 = 11;

/// The metrics of tasks, their handles prepared.
pub(super) struct TaskMetrics {
    creates: [[Counter; OUTCOMES.len()]; TaskType::ALL.len()],
    transitions: [[Counter; TaskStatus::ALL.len()]; TaskType::ALL.len()],
    commit_duration: Histogram,
    batch_size: Histogram,
    commit_failures: Counter,
}

const OUTCOMES: [CreateOutcome; 3] = [
    CreateOutcome::New,
    CreateOutcome::Existing,
    CreateOutcome::Mismatch,
];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CreateLabels {
    task_type: &'static str,
    outcome: &'static str,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TransitionLabels {
    task_type: &'static str,
    to: &'static str,
}

/// The label of a type.
pub(super) const fn type_name(task_type: TaskType) -> &'static str {
    match task_type {
        TaskType::TransferAndDeletion => "transfer_and_deletion",
        TaskType::BatchImport => "batch_import",
    }
}

const fn outcome_name(outcome: CreateOutcome) -> &'static str {
    match outcome {
        CreateOutcome::New => "new",
        CreateOutcome::Existing => "existing",
        CreateOutcome::Mismatch => "mismatch",
    }
}

const fn status_name(status: TaskStatus) -> &'static str {
    match status {
        TaskStatus::New => "new",
        TaskStatus::Waiting => "waiting",
        TaskStatus::Executing => "executing",
        TaskStatus::Success => "success",
        TaskStatus::Failed => "failed",
    }
}

impl TaskMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let creates = Family::<CreateLabels, Counter>::default();
        registry.register(
            "kootask_creates",
            "Requests to create a task that were carried out, by what they came to",
            creates.clone(),
        );
        let transitions = Family::<TransitionLabels, Counter>::default();
        registry.register(
            "kootask_task_transitions",
            "Changes of a task's status, by the status after it",
            transitions.clone(),
        );
        let commit_duration = Histogram::new(COMMIT_BUCKETS);
        registry.register(
            "kootask_store_commit_duration_seconds",
            "How long the store's group commits took, with every further try",
            commit_duration.clone(),
        );
        let batch_size = Histogram::new(exponential_buckets(1.0, 2.0, BATCH_BUCKETS));
        registry.register(
            "kootask_store_batch_size",
            "Writes that shared a commit",
            batch_size.clone(),
        );
        let commit_failures = Counter::default();
        registry.register(
            "kootask_store_commit_failures",
            "Commits that failed, and probes after one that did",
            commit_failures.clone(),
        );
        Self {
            creates: TaskType::ALL.map(|task_type| {
                OUTCOMES.map(|outcome| {
                    creates.get_or_create_owned(&CreateLabels {
                        task_type: type_name(task_type),
                        outcome: outcome_name(outcome),
                    })
                })
            }),
            transitions: TaskType::ALL.map(|task_type| {
                TaskStatus::ALL.map(|to| {
                    transitions.get_or_create_owned(&TransitionLabels {
                        task_type: type_name(task_type),
                        to: status_name(to),
                    })
                })
            }),
            commit_duration,
            batch_size,
            commit_failures,
        }
    }
}

/// The value that stands for `key`, where `all` are the keys.
fn of<'a, K: PartialEq, V, const N: usize>(
    all: &[K; N],
    values: &'a [V; N],
    key: &K,
) -> Option<&'a V> {
    all.iter()
        .zip(values)
        .find_map(|(k, value)| (k == key).then_some(value))
}

impl TaskObserver for TaskMetrics {
    fn created(&self, task_type: TaskType, outcome: CreateOutcome) {
        let of_type = of(&TaskType::ALL, &self.creates, &task_type);
        if let Some(counter) = of_type.and_then(|creates| of(&OUTCOMES, creates, &outcome)) {
            counter.inc();
        }
    }

    fn moved(&self, task_type: TaskType, to: TaskStatus) {
        let of_type = of(&TaskType::ALL, &self.transitions, &task_type);
        if let Some(counter) = of_type.and_then(|moves| of(&TaskStatus::ALL, moves, &to)) {
            counter.inc();
        }
    }

    fn committed(&self, writes: usize, took: Duration) {
        self.commit_duration.observe(took.as_secs_f64());
        self.batch_size.observe(writes as f64);
    }

    fn commit_failed(&self) {
        self.commit_failures.inc();
    }
}
