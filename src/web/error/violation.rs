//! The fields of a request that are at fault.

use std::borrow::Cow;
use std::fmt;

use super::Reason;
use crate::web::language::Language;

/// One field of a request that is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Violation {
    /// The name of the header, query parameter or body field.
    pub field: &'static str,
    /// The list and the position, from 0, of the object that the field is of, if
    /// it is of one. The object itself is at fault where the field has no name.
    pub entry: Option<(&'static str, usize)>,
    /// What is wrong with it.
    pub reason: Reason,
}

impl Violation {
    /// A violation of `field`.
    #[must_use]
    pub const fn new(field: &'static str, reason: Reason) -> Self {
        Self {
            field,
            entry: None,
            reason,
        }
    }

    /// The same of an object in a list.
    #[must_use]
    pub const fn of_entry(mut self, list: &'static str, position: usize) -> Self {
        self.entry = Some((list, position));
        self
    }

    /// The field as a client reads it: `userName`, or `rows[3].userName`.
    #[must_use]
    pub fn name(&self) -> Cow<'static, str> {
        match self.entry {
            None => self.field.into(),
            Some((list, position)) if self.field.is_empty() => format!("{list}[{position}]").into(),
            Some((list, position)) => format!("{list}[{position}].{}", self.field).into(),
        }
    }
}

/// Violations of a request, at most one for each field: the first.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations(Vec<Violation>);

impl Violations {
    /// Whether nothing is wrong.
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// All of them, in the order in which they were found.
    #[must_use]
    pub fn as_slice(&self) -> &[Violation] {
        &self.0
    }

    /// Adds a violation, unless its field has one.
    pub fn add(&mut self, violation: Violation) {
        let of_field =
            |known: &Violation| known.entry == violation.entry && known.field == violation.field;
        if !self.0.iter().any(of_field) {
            self.0.push(violation);
        }
    }

    /// What was read, or adds why it could not be.
    pub fn keep<T>(&mut self, read: Result<T, Violation>) -> Option<T> {
        read.map_err(|violation| self.add(violation)).ok()
    }
}

impl Extend<Violation> for Violations {
    fn extend<I: IntoIterator<Item = Violation>>(&mut self, violations: I) {
        for violation in violations {
            self.add(violation);
        }
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.into_iter()
    }
}

impl FromIterator<Violation> for Violations {
    fn from_iter<I: IntoIterator<Item = Violation>>(violations: I) -> Self {
        let mut all = Self::default();
        all.extend(violations);
        all
    }
}

impl From<Violation> for Violations {
    fn from(violation: Violation) -> Self {
        Self(vec![violation])
    }
}

/// In English, for the log.
impl fmt::Display for Violations {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, violation) in self.0.iter().enumerate() {
            let separator = if index > 0 { "; " } else { "" };
            let reason = violation.reason.message(Language::EnUs);
            write!(formatter, "{separator}{} {reason}", violation.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_has_one_violation_however_often_it_is_wrong() {
        let wrong = Violation::new("status", Reason::UnknownStatus);
        let repeated = Violation::new("status", Reason::Repeated);
        let violations: Violations = std::iter::repeat_n(wrong, 10_000)
            .chain([repeated])
            .collect();
        assert_eq!(violations, Violations::from(wrong));
    }
}
