//! Workers as processes of their own, and the ledger of what they were promised.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};

use serde::Deserialize;
use tempfile::TempDir;

use super::command::command;
use super::process::send_signal;
use super::until;

/// Workers that share a ledger and know the same services.
pub struct Crew {
    folder: TempDir,
    hired: usize,
}

/// One of them; killed when dropped.
pub struct Worker {
    child: Child,
    name: String,
}

/// A row of a query, of numbers.
pub type Row = [i64; 3];

/// The tasks, as they are kept; the fence is 0 before the first start.
pub const TASKS: &str = "SELECT id, status, coalesce(fence, 0) FROM task";
/// The attempts that are over.
pub const ATTEMPTS: &str = "SELECT task_id, fence, ended_at FROM attempt";

/// How long after what was promised a lease may end, in seconds: the 5 s that the
/// service adds, and 10 s.
const MOST_LATE: f64 = 15.0;

/// A line of the ledger.
#[derive(Debug, Clone, Deserialize)]
struct Line {
    what: What,
    task: String,
    fence: u32,
    by: String,
    /// When it was known to be held, by the machine's clock that never steps, in seconds.
    #[serde(default)]
    since: f64,
    /// Until when it was promised, by the same clock.
    #[serde(default)]
    until: f64,
    /// The same moment, in seconds since the Unix epoch.
    #[serde(default)]
    ends: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum What {
    Held,
    /// Its end is about to be told: whether the service knows of it is not known.
    Reporting,
    Ended,
    Refused,
}

/// What the ledger tells.
pub struct Told {
    /// The fence under which each task was ended.
    pub ended: HashMap<i64, u32>,
    /// The last promise of each start of a task, in seconds since the Unix epoch.
    pub promised: HashMap<(i64, u32), f64>,
    /// The starts of which a report was refused.
    pub refused: HashSet<(i64, u32)>,
}

impl Crew {
    pub fn new() -> Self {
        Self {
            folder: TempDir::new().unwrap(),
            hired: 0,
        }
    }

    /// Tells the workers which services there are.
    pub fn knows(&self, services: &[SocketAddr]) {
        let lines = services.iter().map(|address| format!("http://{address}\n"));
        let next = self.folder.path().join("next");
        std::fs::write(&next, lines.collect::<String>()).unwrap();
        std::fs::rename(next, self.services()).unwrap();
    }

    fn services(&self) -> PathBuf {
        self.folder.path().join("services")
    }

    fn ledger(&self) -> PathBuf {
        self.folder.path().join("ledger")
    }

    /// Another worker.
    pub fn hire(&mut self) -> Worker {
        self.hired += 1;
        let name = format!("w{}", self.hired);
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/support/crew.py");
        let spawned = command("python3")
            .arg("-B")
            .arg(script)
            .arg(&name)
            .args([self.services(), self.ledger()])
            .env("NO_PROXY", "*")
            .stdin(Stdio::null())
            .spawn();
        let child = spawned.unwrap();
        Worker { child, name }
    }

    /// The lines so far.
    fn lines(&self) -> Vec<Line> {
        let ledger = std::fs::read_to_string(self.ledger()).unwrap_or_default();
        let whole = ledger
            .split_inclusive('\n')
            .filter(|line| line.ends_with('\n'));
        // Who is killed may leave half a line, to which another adds.
        whole
            .filter_map(|line| serde_json::from_str(line).ok())
            .collect()
    }

    /// How many tasks have ended so far.
    pub fn ended(&self) -> usize {
        let lines = self.lines();
        let ended = lines.iter().filter(|line| line.what == What::Ended);
        ended.map(|line| &line.task).collect::<HashSet<_>>().len()
    }

    /// What is told of each task: nobody holds one before the promise to the one before
    /// is over, and one start of it alone was its end.
    pub fn told(&self) -> Told {
        let mut told = Told {
            ended: HashMap::new(),
            promised: HashMap::new(),
            refused: HashSet::new(),
        };
        let mut starts: BTreeMap<(i64, u32), Vec<Line>> = BTreeMap::new();
        for line in self.lines() {
            let task: i64 = line.task.parse().unwrap();
            match line.what {
                What::Held => starts.entry((task, line.fence)).or_default().push(line),
                What::Reporting => {}
                What::Ended => {
                    let first = told.ended.insert(task, line.fence);
                    assert!(first.is_none(), "ended again, {first:?}: {line:?}");
                }
                What::Refused => {
                    told.refused.insert((task, line.fence));
                }
            }
        }
        let mut last: Option<((i64, u32), f64)> = None;
        for (start, lines) in starts {
            let since = lines
                .iter()
                .map(|line| line.since)
                .reduce(f64::min)
                .unwrap();
            let until = lines
                .iter()
                .map(|line| line.until)
                .reduce(f64::max)
                .unwrap();
            let ends = lines.iter().map(|line| line.ends).reduce(f64::max).unwrap();
            assert!(
                lines.iter().all(|line| line.by == lines[0].by),
                "two workers hold {start:?}"
            );
            if let Some((before, over)) = last
                && before.0 == start.0
            {
                assert!(
                    over <= since,
                    "{start:?} was given {} s before the promise of {before:?} was over",
                    over - since
                );
            }
            last = Some((start, until));
            told.promised.insert(start, ends);
        }
        told
    }

    /// The starts that this worker holds and has not begun to report the end of.
    pub fn at_work(&self, worker: &Worker) -> HashSet<(i64, u32)> {
        let mut starts = HashSet::new();
        for line in self.lines().iter().filter(|line| line.by == worker.name) {
            let start = (line.task.parse().unwrap(), line.fence);
            match line.what {
                What::Held => starts.insert(start),
                What::Reporting | What::Ended | What::Refused => starts.remove(&start),
            };
        }
        starts
    }

    /// Pauses the worker while it holds tasks; them.
    pub async fn pause(&self, worker: &Worker) -> HashSet<(i64, u32)> {
        loop {
            worker.signal("STOP");
            let held = self.at_work(worker);
            if !held.is_empty() {
                return held;
            }
            worker.signal("CONT");
            until("it to have work", async || !self.at_work(worker).is_empty()).await;
        }
    }

    /// Holds what became of the tasks to what the ledger tells: each was done, under the
    /// fence under which a worker ended it; and no lease ended before it was promised to,
    /// nor long after that, unless its service was paused until then.
    ///
    /// `tasks` and `attempts` are the rows of [`TASKS`] and [`ATTEMPTS`].
    pub fn assert_kept(&self, tasks: &[Row], attempts: &[Row], paused_until: f64) {
        let Told {
            ended, promised, ..
        } = self.told();
        let mut untold = 0;
        for [task, status, fence] in tasks {
            assert_eq!(*status, 2, "{task} has not ended well");
            match ended.get(task) {
                Some(by) => assert_eq!(i64::from(*by), *fence, "{task}"),
                None => untold += 1,
            }
        }
        // Who is killed may have been about to write it down.
        assert!(untold <= 1, "{untold} of {} tasks", tasks.len());
        for [task, fence, ended_at] in attempts {
            let start = (*task, u32::try_from(*fence).unwrap());
            let is_end = ended.get(task) == Some(&start.1);
            let (Some(promise), false) = (promised.get(&start), is_end) else {
                continue;
            };
            let late = *ended_at as f64 / 1_000.0 - promise;
            assert!(late >= 0.0, "{start:?} ended {} s early", -late);
            let most = MOST_LATE.max(paused_until - promise + MOST_LATE);
            assert!(late <= most, "{start:?} ended {late} s late");
        }
    }
}

impl Worker {
    /// Sends a signal by its name, as in `STOP`.
    pub fn signal(&self, signal: &str) {
        send_signal(&self.child, signal);
    }

    /// Ends it as a power cut would.
    pub fn kill(self) {}
}

impl Drop for Worker {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
