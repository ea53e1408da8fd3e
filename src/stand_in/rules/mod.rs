//! Rules: the one concept for outcomes, failures and faults.
//!
//! Contract: `stand-in.md`, "Rules".

mod delay;
mod then;

use std::num::NonZeroU32;

use serde::{Deserialize, Serialize};

pub use self::delay::Delay;
pub use self::then::{Drop, Fault, Then};
use super::matcher::{Fields, Matcher};
use super::outcome::Outcome;

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
