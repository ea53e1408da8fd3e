//! Rules: the one concept for outcomes, failures and faults.
//!
//! Contract: `stand-in.md`, "Rules".

use std::num::NonZeroU32;

use jiff::SignedDuration;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};

use super::matcher::{Fields, Matcher};
use super::outcome::{End, Outcome, ResultForm};
use super::progress::Progress;
use super::text::Text;
use crate::task::ResultCode;

/// The most rules that a tenant has.
pub const MOST_RULES: usize = 1000;

/// A rule: what becomes of which requests.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rule {
    /// Which requests; all if nothing is said.
    #[serde(default, rename = "match")]
    pub matcher: Matcher,
    /// Of those, each how many-th: 3 means the third, the sixth, …
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub every: Option<NonZeroU32>,
    /// How often at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// What becomes of them.
    pub then: Then,
}

/// What a rule does: an outcome of the task that is created, a fault, or both.
#[derive(Debug, Clone, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Then {
    #[serde(skip_serializing_if = "Option::is_none")]
    end: Option<End>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result_code: Option<Text<ResultCode>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    progress: Option<Text<Progress>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<ResultForm>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<u16>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delay: Option<Delay>,
    #[serde(skip_serializing_if = "Option::is_none")]
    drop: Option<Drop>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    hang: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    truncate: Option<u64>,
}

/// When a connection is reset.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Drop {
    /// Before the request has an effect.
    Before,
    /// After it, and before the answer.
    After,
}

/// How late an answer is.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "a delay must be a time, as in \"2s\", or as in {\"median\": \"20ms\", \"p99\": \"2s\"}"
)]
pub enum Delay {
    /// Always so much.
    Fixed(Text<SignedDuration>),
    /// Drawn of a log-normal distribution.
    Drawn {
        /// Half of them are not later.
        median: Text<SignedDuration>,
        /// 99 of 100 are not later.
        p99: Text<SignedDuration>,
    },
}

/// The longest delay.
const LONGEST_DELAY: SignedDuration = SignedDuration::from_hours(1);
/// What a normal distribution's 99th percentile is, in standard deviations.
const P99: f64 = 2.326_347_874_040_841;

/// The statuses that a rule can answer with.
const STATUSES: [u16; 7] = [401, 403, 404, 413, 429, 500, 503];

impl Delay {
    /// How late the `number`-th answer of the rule is; the same in every run.
    #[must_use]
    pub fn of(self, number: u64) -> SignedDuration {
        let delay = match self {
            Self::Fixed(Text(delay)) => delay,
            Self::Drawn {
                median: Text(median),
                p99: Text(p99),
            } => {
                let (median, p99) = (median.as_secs_f64(), p99.as_secs_f64());
                let deviation = (p99.max(median) / median.max(f64::MIN_POSITIVE)).ln() / P99;
                let secs = median * (deviation * normal(number)).exp();
                SignedDuration::try_from_secs_f64(secs).unwrap_or(LONGEST_DELAY)
            }
        };
        delay.clamp(SignedDuration::ZERO, LONGEST_DELAY)
    }
}

/// The `number`-th of a fixed row of normally distributed numbers.
fn normal(number: u64) -> f64 {
    // The fractional parts of multiples of the golden ratio fill the unit
    // interval evenly; Box and Muller make them normal.
    let part = |factor: f64| (number as f64 * factor + 0.5).fract().max(1e-9);
    let (one, other) = (part(0.618_033_988_749_895), part(0.754_877_666_246_693));
    (-2.0 * one.ln()).sqrt() * (std::f64::consts::TAU * other).cos()
}

impl<'de> Deserialize<'de> for Then {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase", deny_unknown_fields)]
        struct Form {
            end: Option<End>,
            result_code: Option<Text<ResultCode>>,
            progress: Option<Text<Progress>>,
            result: Option<ResultForm>,
            status: Option<u16>,
            delay: Option<Delay>,
            drop: Option<Drop>,
            #[serde(default)]
            hang: bool,
            truncate: Option<u64>,
        }
        let form = Form::deserialize(deserializer)?;
        let then = Self {
            end: form.end,
            result_code: form.result_code,
            progress: form.progress,
            result: form.result,
            status: form.status,
            delay: form.delay,
            drop: form.drop,
            hang: form.hang,
            truncate: form.truncate,
        };
        match then.problem() {
            Some(problem) => Err(D::Error::custom(problem)),
            None => Ok(then),
        }
    }
}

impl Then {
    fn problem(&self) -> Option<&'static str> {
        if !self.is_outcome() && !self.is_fault() {
            return Some("then says nothing");
        }
        if self
            .status
            .is_some_and(|status| !STATUSES.contains(&status))
        {
            return Some("then.status must be 401, 403, 404, 413, 429, 500 or 503");
        }
        if self.result_code.is_some() && !matches!(self.end, None | Some(End::Failed)) {
            return Some("then.resultCode is of a task that fails");
        }
        let result = self.result.as_ref();
        if result.is_some_and(|result| result.fail_count.is_some() && result.failures.is_some()) {
            return Some("then.result has failures or failCount, not both");
        }
        None
    }

    /// Whether it says what becomes of a task.
    #[must_use]
    pub const fn is_outcome(&self) -> bool {
        self.end.is_some()
            || self.result_code.is_some()
            || self.progress.is_some()
            || self.result.is_some()
    }

    /// Whether it says what becomes of a request.
    #[must_use]
    pub const fn is_fault(&self) -> bool {
        self.status.is_some()
            || self.delay.is_some()
            || self.drop.is_some()
            || self.hang
            || self.truncate.is_some()
    }

    /// What becomes of a task.
    #[must_use]
    pub fn outcome(&self) -> Outcome {
        Outcome {
            end: self.end,
            result_code: self.result_code.map(|Text(code)| code),
            progress: self.progress.map(|Text(progress)| progress),
            result: self.result.clone(),
        }
    }

    fn fault(&self, rule: String, number: u64) -> Fault {
        let delay = self.delay.map(|delay| delay.of(number));
        Fault {
            rule,
            status: self.status,
            delay: delay.unwrap_or(SignedDuration::ZERO),
            drop: self.drop,
            hang: self.hang,
            truncate: self.truncate,
        }
    }
}

/// What becomes of a request.
#[derive(Debug, Clone)]
pub struct Fault {
    /// The rule that said so.
    pub rule: String,
    /// It is answered with this error.
    pub status: Option<u16>,
    /// How late its answer is.
    pub delay: SignedDuration,
    /// Its connection is reset.
    pub drop: Option<Drop>,
    /// It is never answered.
    pub hang: bool,
    /// Of the answer only so many bytes are sent.
    pub truncate: Option<u64>,
}

/// A rule in force.
#[derive(Debug, Clone)]
pub struct Active {
    /// Its name: `r1` of those that a call set, `f1` of those of the file.
    pub id: String,
    /// What it says.
    pub rule: Rule,
    /// How many requests it matched.
    seen: u64,
    /// How often it was used.
    pub used: u64,
}

impl Active {
    /// Counts a request that it matches; whether the rule is used for it.
    fn take(&mut self) -> bool {
        self.seen = self.seen.saturating_add(1);
        let every = self.rule.every.map_or(1, |every| u64::from(every.get()));
        let is_its_turn = self.seen.checked_rem(every) == Some(0);
        let is_left = self.rule.times.is_none_or(|times| self.used < times);
        if is_its_turn && is_left {
            self.used = self.used.saturating_add(1);
            return true;
        }
        false
    }
}

/// A tenant's rules, in the order in which they are tried.
#[derive(Debug, Clone, Default)]
pub struct Rules {
    /// The newest first, those of the file last.
    active: Vec<Active>,
    set: u64,
}

impl Rules {
    /// The rules of the file, of which the last counts as the newest.
    #[must_use]
    pub fn of_file(rules: &[Rule]) -> Self {
        let named = (1_u64..).zip(rules);
        let active = named.map(|(number, rule)| Active {
            id: format!("f{number}"),
            rule: rule.clone(),
            seen: 0,
            used: 0,
        });
        let mut active: Vec<_> = active.collect();
        active.reverse();
        Self { active, set: 0 }
    }

    /// All of them, in the order in which they are tried.
    #[must_use]
    pub fn all(&self) -> &[Active] {
        &self.active
    }

    /// Those that calls have set, oldest first.
    pub fn set_by_calls(&self) -> impl Iterator<Item = &Rule> {
        let set = self.active.iter().rev();
        set.filter(|active| active.id.starts_with('r'))
            .map(|active| &active.rule)
    }

    /// Sets a rule; `None` if there are as many as there may be.
    pub fn add(&mut self, rule: Rule) -> Option<&Active> {
        if self.active.len() >= MOST_RULES {
            return None;
        }
        self.set = self.set.saturating_add(1);
        let active = Active {
            id: format!("r{}", self.set),
            rule,
            seen: 0,
            used: 0,
        };
        self.active.insert(0, active);
        self.active.first()
    }

    /// Removes a rule; whether it was there.
    pub fn remove(&mut self, id: &str) -> bool {
        let before = self.active.len();
        self.active.retain(|active| active.id != id);
        self.active.len() < before
    }

    /// Whether any may be a fault.
    #[must_use]
    pub fn has_faults(&self) -> bool {
        self.active.iter().any(|active| active.rule.then.is_fault())
    }

    /// The fault that this request has, which is counted.
    pub fn fault(&mut self, request: &dyn Fields) -> Option<Fault> {
        let mut faults = self.active.iter_mut();
        let active = faults.find_map(|active| {
            let meant = active.rule.then.is_fault() && active.rule.matcher.matches(request);
            (meant && active.take()).then_some(active)
        })?;
        let then = &active.rule.then;
        Some(then.fault(active.id.clone(), active.used))
    }

    /// The outcome of the task that this request creates, which is counted unless
    /// the rule was used for this request, as a fault.
    pub fn outcome(
        &mut self,
        request: &dyn Fields,
        counted: Option<&str>,
    ) -> Option<(String, Outcome)> {
        let mut outcomes = self.active.iter_mut();
        let active = outcomes.find_map(|active| {
            let meant = active.rule.then.is_outcome() && active.rule.matcher.matches(request);
            let is_used = meant
                && if active.rule.then.is_fault() {
                    counted == Some(&active.id)
                } else {
                    active.take()
                };
            is_used.then_some(active)
        })?;
        Some((active.id.clone(), active.rule.then.outcome()))
    }
}
