//! Values that are stored as numbers.

use crate::task::attempt::{ActionKind, AttemptEnd};
use crate::task::{TaskStatus, TaskType};

/// A value that is stored as a number, one for each variant and for good.
pub(in crate::store) trait Code: Copy + PartialEq + Sized + 'static {
    const CODES: &'static [(Self, i16)];

    /// The number that stands for this.
    fn code(self) -> i16 {
        let found = Self::CODES.iter().find(|(value, _)| *value == self);
        // Every variant has one: see the tests.
        found.map_or(i16::MAX, |(_, code)| *code)
    }

    /// What this number stands for.
    fn from_code(code: i64) -> Option<Self> {
        let found = Self::CODES
            .iter()
            .find(|(_, known)| i64::from(*known) == code);
        found.map(|(value, _)| *value)
    }

    /// The numbers, for `IN (…)`.
    fn all_codes() -> String {
        let codes: Vec<String> = Self::CODES
            .iter()
            .map(|(_, code)| code.to_string())
            .collect();
        codes.join(", ")
    }
}

impl Code for TaskType {
    const CODES: &'static [(Self, i16)] = &[(Self::TransferAndDeletion, 0), (Self::BatchImport, 1)];
}

impl Code for TaskStatus {
    const CODES: &'static [(Self, i16)] = &[
        (Self::New, 0),
        (Self::Executing, 1),
        (Self::Success, 2),
        (Self::Failed, 3),
        (Self::Waiting, 4),
    ];
}

impl Code for AttemptEnd {
    const CODES: &'static [(Self, i16)] = &[
        (Self::Succeeded, 0),
        (Self::Failed, 1),
        (Self::Released, 2),
        (Self::Lost, 3),
    ];
}

impl Code for ActionKind {
    const CODES: &'static [(Self, i16)] = &[(Self::Cancel, 0), (Self::Retry, 1)];
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_and_type_has_a_number_of_its_own() {
        for status in TaskStatus::ALL {
            assert_eq!(
                TaskStatus::from_code(i64::from(status.code())),
                Some(status)
            );
        }
        for task_type in TaskType::ALL {
            assert_eq!(
                TaskType::from_code(i64::from(task_type.code())),
                Some(task_type)
            );
        }
    }
}
