//! The reads: what is asked, and what must come back.

use kootask::api;
use rand::Rng;
use rand::rngs::ThreadRng;
use serde_json::Value;

use crate::population::{self, Parameters, Population, Status, Task};

/// The tasks of a page.
const PAGE: usize = 100;
/// The code of «no such task».
const NO_SUCH_TASK: u64 = 13_000_309;

/// A kind of read.
pub(crate) struct Operation {
    /// For the report.
    pub(crate) name: &'static str,
    /// One of them, at random where it has a choice.
    pub(crate) ask: fn(Population, &mut ThreadRng) -> Question,
}

/// A read, and the right answer.
pub(crate) struct Question {
    pub(crate) path: String,
    expected: Expected,
}

/// The right answer.
enum Expected {
    /// The page that begins with these tasks and has no others.
    Page { tasks: Vec<Task>, is_last: bool },
    /// A full page, newest first, that begins with this task or a younger one.
    Newest { id: i64 },
    /// This task.
    Detail(Task),
    /// This recipient.
    Recipient(u64),
    /// 404.
    NoSuchTask,
}

/// Every kind of read, in the order in which each round measures them.
pub(crate) const OPERATIONS: [Operation; 8] = [
    Operation {
        name: "list, first page",
        ask: |population, _| Question {
            path: format!("{}?pageSize={PAGE}", api::LIST),
            expected: Expected::page_from(population, 0),
        },
    },
    Operation {
        name: "list, page in the middle",
        ask: |population, random| {
            let fifth = population.tasks / 5;
            let number = random.random_range(2 * fifth..3 * fifth);
            let cursor = population.id(number);
            Question {
                path: format!("{}?pageSize={PAGE}&pageCursor={cursor}", api::LIST),
                expected: Expected::page_from(population, number + 1),
            }
        },
    },
    Operation {
        name: "list, rare status",
        ask: |population, _| Question {
            path: format!("{}?status={}", api::LIST, Status::Failed as u8),
            expected: Expected::Page {
                tasks: population
                    .failed()
                    .map(|number| population.task(number))
                    .collect(),
                is_last: true,
            },
        },
    },
    Operation {
        name: "list, newest first",
        ask: |population, _| {
            let mut from_newest = (0..population.tasks).rev();
            let newest = from_newest.find(|number| population.task(*number).is_own());
            Question {
                path: format!("{}?order=desc", api::LIST),
                expected: Expected::Newest {
                    id: population.id(newest.unwrap_or(0)),
                },
            }
        },
    },
    Operation {
        name: "detail",
        ask: |population, random| {
            let task = random_task(population, random, Task::is_own);
            Question {
                path: detail(task.id),
                expected: Expected::Detail(task),
            }
        },
    },
    Operation {
        name: "recipient",
        ask: |population, random| loop {
            let task = random_task(population, random, Task::is_own);
            if let Parameters::Transfer {
                source,
                destination,
            } = task.parameters
            {
                return Question {
                    path: recipient(source),
                    expected: Expected::Recipient(destination),
                };
            }
        },
    },
    Operation {
        name: "recipient, unknown user (404)",
        ask: |population, random| Question {
            path: recipient(population::source(
                random.random_range(population.tasks..1 << 61),
            )),
            expected: Expected::NoSuchTask,
        },
    },
    Operation {
        name: "detail, not one's own (404)",
        ask: |population, random| {
            let id = if random.random() {
                random_task(population, random, |task| !task.is_own()).id
            } else {
                population.unknown_id(random.random_range(0..population.tasks))
            };
            Question {
                path: detail(id),
                expected: Expected::NoSuchTask,
            }
        },
    },
];

fn detail(id: i64) -> String {
    api::DETAIL.replace("{task_id}", &id.to_string())
}

fn recipient(source: u64) -> String {
    api::RECIPIENT.replace("{src_user_id}", &source.to_string())
}

/// A task of this kind, any of them with about the same chance.
fn random_task(population: Population, random: &mut ThreadRng, is: fn(&Task) -> bool) -> Task {
    let from = random.random_range(0..population.tasks);
    (from..population.tasks)
        .chain(0..from)
        .map(|number| population.task(number))
        .find(is)
        .expect("a task of every kind")
}

impl Expected {
    /// The page of one's own tasks from this number on.
    fn page_from(population: Population, number: u64) -> Self {
        let rest = (number..population.tasks).map(|number| population.task(number));
        Self::Page {
            tasks: rest.filter(Task::is_own).take(PAGE).collect(),
            is_last: false,
        }
    }
}

impl Question {
    /// Fails unless this is the right answer.
    pub(crate) fn check(&self, status: u16, body: &[u8]) -> Result<(), String> {
        let due = match self.expected {
            Expected::NoSuchTask => 404,
            _ => 200,
        };
        let is_right = status == due
            && serde_json::from_slice(body).is_ok_and(|body: Value| self.is_answered_by(&body));
        if is_right {
            return Ok(());
        }
        Err(format!(
            "GET {} was answered with status {status} and the wrong body\n{}",
            self.path,
            String::from_utf8_lossy(body)
        ))
    }

    fn is_answered_by(&self, body: &Value) -> bool {
        match &self.expected {
            Expected::Page { tasks, is_last } => {
                let Some(items) = body["taskList"].as_array() else {
                    return false;
                };
                items.len() == tasks.len()
                    && items.iter().zip(tasks).all(|(item, task)| is(item, task))
                    && cursor(body) == tasks.last().filter(|_| !is_last).map(|task| task.id)
            }
            Expected::Newest { id } => {
                let ids: Option<Vec<i64>> = body["taskList"]
                    .as_array()
                    .and_then(|items| items.iter().map(|item| number(&item["taskId"])).collect());
                ids.is_some_and(|ids| {
                    ids.len() == PAGE
                        && ids[0] >= *id
                        && ids.is_sorted_by(|one, other| one > other)
                        && cursor(body) == ids.last().copied()
                })
            }
            Expected::Detail(task) => is(body, task),
            Expected::Recipient(user) => body["id"].as_str() == Some(&user.to_string()),
            Expected::NoSuchTask => body["code"] == NO_SUCH_TASK,
        }
    }
}

/// Whether this JSON object is of this task.
fn is(item: &Value, task: &Task) -> bool {
    number(&item["taskId"]) == Some(task.id)
        && item["taskName"] == task.name()
        && item["taskType"] == task.task_type()
        && item["status"] == task.status as u8
}

fn cursor(body: &Value) -> Option<i64> {
    number(&body["nextCursor"])
}

/// The number in a JSON string.
fn number(value: &Value) -> Option<i64> {
    value.as_str()?.parse().ok()
}
