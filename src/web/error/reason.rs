//! What is wrong with a field, and how a client is told.

use std::borrow::Cow;

use jiff::Timestamp;

use crate::web::language::Language;

/// How `X-Date` writes a time in UTC, for jiff's `strftime`.
pub const X_DATE_FORM: &str = "%Y%m%dT%H%M%SZ";

/// What is wrong with a field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Absent, null, empty or blank.
    Missing,
    /// A header or parameter that may be given once was given more often.
    Repeated,
    /// Not 1–64 characters of `A-Z a-z 0-9 _ -`.
    NotAnIdentifier,
    /// A JSON number where an identifier must be a string.
    NumberForIdentifier,
    /// Not a JSON string.
    NotAString,
    /// Not an integer.
    NotAnInteger,
    /// An integer, but no known task type.
    UnknownTaskType,
    /// The recipient is the leaving user.
    SameAsSource,
    /// Not `YYYYMMDD'T'HHMMSS'Z'`, or no such moment.
    NotADate,
    /// Not within the time that an `X-Date` is good for.
    OutsideWindow {
        /// The server's time.
        now: Timestamp,
    },
    /// More values than a list may have.
    TooManyValues,
    /// Not 1–128 visible ASCII characters.
    NotATraceId,
    /// Not 1–255 visible ASCII characters.
    NotAnIdempotencyKey,
    /// Not a status, 0 to 3.
    UnknownStatus,
    /// Not a page size, 1 to 100.
    NotAPageSize,
    /// Not a cursor that a page before gave.
    NotACursor,
    /// Neither `asc` nor `desc`.
    NotAnOrder,
    /// Not an integer of this range.
    NotInRange {
        /// The lowest.
        lowest: i64,
        /// The highest.
        highest: i64,
    },
    /// Not a list.
    NotAList,
    /// A list of another length than this range of them.
    NotThatMany {
        /// The fewest entries.
        fewest: usize,
        /// The most.
        most: usize,
    },
    /// An entry of a list is no object.
    NotAnObject,
    /// Neither `true` nor `false`.
    NotABoolean,
    /// Longer than this many characters, or with U+0000.
    NotAText {
        /// The most characters.
        most: usize,
    },
    /// Not a UUID.
    NotAUuid,
    /// Not `18` and six digits.
    NotAResultCode,
    /// Types that the credential is not for.
    ForeignTaskTypes,
    /// A cursor of an attempt that is not the last one any more.
    CursorOfEarlierAttempt,
    /// The task was started again, or another credential runs it.
    Superseded,
    /// The lease of that attempt is over.
    AttemptOver,
    /// The task has ended.
    TaskEnded,
    /// The rows before are missing.
    Gap {
        /// The position of the next row.
        next: u64,
    },
    /// Not a positive decimal integer below 2^63.
    NotATaskId,
    /// The task is a transfer, which has no such result.
    NotABatchImport,
}

impl Reason {
    /// The reason as a client reads it.
    #[must_use]
    pub fn message(self, language: Language) -> Cow<'static, str> {
        let (en, zh) = match self {
            Self::OutsideWindow { now } => {
                let now = now.strftime(X_DATE_FORM);
                return match language {
                    Language::EnUs => format!(
                        "must be at most 15 minutes old and not in the future; it is {now} here"
                    ),
                    Language::ZhCn => {
                        format!("必须在15分钟之内且不晚于当前时间；服务器时间为{now}")
                    }
                }
                .into();
            }
            Self::NotInRange { lowest, highest } => {
                return match language {
                    Language::EnUs => format!("must be an integer from {lowest} to {highest}"),
                    Language::ZhCn => format!("必须为{lowest}到{highest}的整数"),
                }
                .into();
            }
            Self::NotThatMany { fewest, most } => {
                return match language {
                    Language::EnUs => format!("must have {fewest} to {most} entries"),
                    Language::ZhCn => format!("必须有{fewest}到{most}项"),
                }
                .into();
            }
            Self::NotAText { most } => {
                return match language {
                    Language::EnUs => {
                        format!("must be at most {most} characters, without U+0000")
                    }
                    Language::ZhCn => format!("不能超过{most}个字符，且不能包含U+0000"),
                }
                .into();
            }
            Self::Gap { next } => {
                return match language {
                    Language::EnUs => format!("must be {next}: rows are missing before"),
                    Language::ZhCn => format!("必须为{next}：此前的行缺失"),
                }
                .into();
            }
            Self::NotAList => ("must be a list", "必须为列表"),
            Self::NotAnObject => ("must be an object", "必须为对象"),
            Self::NotABoolean => ("must be true or false", "必须为true或false"),
            Self::NotAUuid => ("must be a UUID", "必须为UUID"),
            Self::NotAResultCode => ("must be 18 and six more digits", "必须为18加六位数字"),
            Self::ForeignTaskTypes => (
                "must name a type that the credential is for",
                "必须包含该凭证允许的类型",
            ),
            Self::CursorOfEarlierAttempt => (
                "is of an earlier attempt: begin with the first page",
                "属于较早的一次执行，请从第一页开始",
            ),
            Self::Superseded => (
                "is superseded: the task was started again, or by another credential",
                "已被取代：任务已被再次启动，或由其他凭证启动",
            ),
            Self::AttemptOver => (
                "is over: the task was given back, or its lease ended",
                "已结束：任务已被归还，或租约已到期",
            ),
            Self::TaskEnded => ("has ended, with its task", "任务已结束"),
            Self::TooManyValues => ("must have at most 100 values", "最多100个值"),
            Self::Missing => ("is required", "不能为空"),
            Self::Repeated => ("must be given only once", "只能出现一次"),
            Self::NotAnIdentifier => (
                "must be 1 to 64 characters of A-Z a-z 0-9 _ -",
                "必须为1到64个字符，只能包含 A-Z a-z 0-9 _ -",
            ),
            Self::NumberForIdentifier => (
                "must be a string: a JSON number of this size loses digits in many clients",
                "必须为字符串：此长度的JSON数字在许多客户端会丢失精度",
            ),
            Self::NotAString => ("must be a string", "必须为字符串"),
            Self::NotAnInteger => ("must be an integer", "必须为整数"),
            Self::UnknownTaskType => (
                "must be 0 (transfer and deletion) or 1 (batch import)",
                "必须为0（转移并删除）或1（批量导入）",
            ),
            Self::SameAsSource => ("must differ from srcUserId", "不能与srcUserId相同"),
            Self::NotADate => (
                "must be a UTC time in the form YYYYMMDD'T'HHMMSS'Z'",
                "必须为UTC时间，格式为YYYYMMDD'T'HHMMSS'Z'",
            ),
            Self::NotATraceId => (
                "must be 1 to 128 visible ASCII characters",
                "必须为1到128个可见ASCII字符",
            ),
            Self::NotAnIdempotencyKey => (
                "must be 1 to 255 visible ASCII characters",
                "必须为1到255个可见ASCII字符",
            ),
            Self::UnknownStatus => (
                "must be 0 (new), 1 (executing), 2 (success) or 3 (failed)",
                "必须为0（新建）、1（执行中）、2（成功）或3（失败）",
            ),
            Self::NotAPageSize => ("must be an integer from 1 to 100", "必须为1到100的整数"),
            Self::NotACursor => (
                "must be the nextCursor of an earlier page",
                "必须为之前分页返回的nextCursor",
            ),
            Self::NotAnOrder => ("must be asc or desc", "必须为asc或desc"),
            Self::NotATaskId => ("must be a task id", "必须为任务ID"),
            Self::NotABatchImport => ("must be the id of a batch import", "必须为批量导入任务的ID"),
        };
        language.pick(en, zh).into()
    }
}
