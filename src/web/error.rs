//! The one table of what can go wrong on the wire: for each case the HTTP
//! status, KooDrive's code and the message in each language.
//!
//! Inner layers return their own error types; they become an [`ApiError`] where
//! they reach HTTP, and [`crate::web::envelope`] writes it out, the only place
//! that does. Causes are logged there and never sent.
//!
//! Contract: `api.md`, "Errors".

use std::borrow::Cow;
use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::{IntoResponse, Response};
use http::StatusCode;
use jiff::Timestamp;

use super::language::Language;

/// How long a client is asked to wait before it tries again (`Retry-After`).
pub const RETRY_AFTER: Duration = Duration::from_secs(1);

/// How `X-Date` writes a time in UTC, for jiff's `strftime`.
pub const X_DATE_FORM: &str = "%Y%m%dT%H%M%SZ";

/// What went wrong inside, for the log alone.
pub type Cause = Arc<dyn StdError + Send + Sync>;

/// An error as a client sees it.
#[derive(Debug, Clone, thiserror::Error)]
pub enum ApiError {
    /// Headers, query or body carry missing or invalid parameters; every
    /// violation is listed.
    #[error("invalid parameters: {0}")]
    InvalidParameters(Violations),
    /// The request is not well-formed: not JSON, not an object, no `Host`.
    #[error("malformed request: {0}")]
    Malformed(Malformed),
    /// No credential, or none that is good. The variant's text is for the log;
    /// the client is never told which part was wrong.
    #[error("unauthenticated: {0}")]
    Unauthenticated(Cow<'static, str>),
    /// `X-Date` is too old or in the future: the one reason of a 401 that the
    /// client is told.
    #[error("unauthenticated: {0}")]
    DateOutsideWindow(Violations),
    /// The credential is good but may not act as this user.
    #[error("the credential is bound to another user")]
    Forbidden,
    /// No such path.
    #[error("no such path")]
    RouteNotFound,
    /// No such task for this tenant.
    #[error("no such task")]
    TaskNotFound,
    /// The path exists, the method does not.
    #[error("method not allowed")]
    MethodNotAllowed,
    /// The client took too long to send its request.
    #[error("the request did not arrive in time")]
    RequestTimeout,
    /// The body is larger than the configured limit.
    #[error("the body is too large")]
    BodyTooLarge,
    /// The body is declared as something other than JSON.
    #[error("unsupported media type")]
    UnsupportedMediaType,
    /// The body is declared as compressed or otherwise encoded.
    #[error("unsupported content encoding")]
    UnsupportedEncoding,
    /// The idempotency key was used before, with another body.
    #[error("idempotency key reused with another body")]
    IdempotencyMismatch,
    /// A worker's report that changes nothing. One field tells why.
    #[error("a report of a worker that changes nothing: {0}")]
    ReportRefused(Violations),
    /// The task is in a state that does not allow it.
    #[error("the task is in a state that does not allow it: {0}")]
    NotInThisState(TaskState),
    /// The credential holds as many leases as it may.
    #[error("the credential holds too many leases")]
    TooManyLeases,
    /// The credential makes more requests than it may, and must wait this long.
    #[error("the credential makes more requests than limits.requests_per_second")]
    TooManyRequests(Duration),
    /// Our fault.
    #[error("internal error: {0}")]
    Internal(Cause),
    /// Overload, or the storage is away: worth trying again.
    #[error("unavailable: {0}")]
    Unavailable(Cause),
}

/// Why a request is not well-formed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Malformed {
    /// The body is not UTF-8, somewhere.
    #[error("the body is not UTF-8")]
    NotUtf8,
    /// The body is not JSON.
    #[error("the body is not JSON")]
    NotJson,
    /// The body is JSON, but not an object.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Neither `Host` nor `:authority` nor an absolute request target.
    #[error("no host")]
    NoHost,
    /// More than one `Host` (RFC 9112, section 3.2).
    #[error("more than one Host header")]
    RepeatedHost,
    /// The host is not of the form `host[:port]`.
    #[error("the host is not of the form host[:port]")]
    NotAHost,
    /// `Host` names another host than `:authority` or the request target.
    #[error("the Host header differs from the request's authority")]
    DifferentHosts,
    /// The body broke off or was not readable.
    #[error("the body could not be read")]
    UnreadableBody,
    /// Something follows the body. What the parser takes for trailers may have
    /// been meant as another request.
    #[error("trailers")]
    Trailers,
    /// A `Transfer-Encoding` other than `chunked`.
    #[error("another Transfer-Encoding than chunked")]
    TransferEncoding,
}

/// A state of a task that stands in the way of what is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TaskState {
    /// Never started.
    #[error("new")]
    New,
    /// Waits for another attempt.
    #[error("waiting")]
    Waiting,
    /// Runs.
    #[error("executing")]
    Executing,
    /// Ended well.
    #[error("success")]
    Success,
    /// Failed.
    #[error("failed")]
    Failed,
}

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

/// One row of the table.
struct Row {
    name: &'static str,
    status: StatusCode,
    code: u32,
    en: &'static str,
    zh: &'static str,
}

const fn row(
    name: &'static str,
    status: StatusCode,
    code: u32,
    en: &'static str,
    zh: &'static str,
) -> Row {
    Row {
        name,
        status,
        code,
        en,
        zh,
    }
}

/// KooDrive's code for a request that is refused as such.
const REFUSED: u32 = 13_000_101;
/// KooDrive's code for an invalid parameter.
const INVALID: u32 = 13_000_102;
/// KooDrive's code for a task that does not exist.
const NO_TASK: u32 = 13_000_309;
/// KooDrive's code for a fault of the service.
const FAULT: u32 = 13_000_201;

impl ApiError {
    #[rustfmt::skip] // A table reads best with a row a line.
    const fn row(&self) -> Row {
        use StatusCode as S;
        match self {
            Self::InvalidParameters(_) => row("invalidParameters", S::BAD_REQUEST, INVALID, "Invalid parameters.", "参数无效。"),
            Self::Malformed(Malformed::NotUtf8) => row("notUtf8", S::BAD_REQUEST, REFUSED, "The body is not valid UTF-8.", "请求体不是有效的UTF-8。"),
            Self::Malformed(Malformed::NotJson) => row("notJson", S::BAD_REQUEST, REFUSED, "The body is not valid JSON.", "请求体不是有效的JSON。"),
            Self::Malformed(Malformed::NotAnObject) => row("notAnObject", S::BAD_REQUEST, REFUSED, "The body must be a JSON object.", "请求体必须是JSON对象。"),
            Self::Malformed(Malformed::NoHost) => row("noHost", S::BAD_REQUEST, REFUSED, "The Host header is missing.", "缺少Host请求头。"),
            Self::Malformed(Malformed::RepeatedHost) => row("repeatedHost", S::BAD_REQUEST, REFUSED, "The Host header must be given only once.", "Host请求头只能出现一次。"),
            Self::Malformed(Malformed::NotAHost) => row("notAHost", S::BAD_REQUEST, REFUSED, "The Host header must be a host, or a host and a port.", "Host请求头必须为主机名，或主机名和端口。"),
            Self::Malformed(Malformed::DifferentHosts) => row("differentHosts", S::BAD_REQUEST, REFUSED, "The Host header must name the host that the request is for.", "Host请求头必须与请求目标的主机一致。"),
            Self::Malformed(Malformed::UnreadableBody) => row("unreadableBody", S::BAD_REQUEST, REFUSED, "The body could not be read.", "无法读取请求体。"),
            Self::Malformed(Malformed::Trailers) => row("trailers", S::BAD_REQUEST, REFUSED, "Trailers are not supported.", "不支持尾部字段（trailers）。"),
            Self::Malformed(Malformed::TransferEncoding) => row("transferEncoding", S::BAD_REQUEST, REFUSED, "The only Transfer-Encoding is chunked.", "Transfer-Encoding只支持chunked。"),
            Self::Unauthenticated(_) => row("unauthenticated", S::UNAUTHORIZED, REFUSED, "Authentication failed.", "认证失败。"),
            Self::DateOutsideWindow(_) => row("dateOutsideWindow", S::UNAUTHORIZED, REFUSED, "Authentication failed.", "认证失败。"),
            Self::Forbidden => row("forbidden", S::FORBIDDEN, REFUSED, "Not allowed to act as this user.", "无权以该用户身份操作。"),
            Self::RouteNotFound => row("noSuchPath", S::NOT_FOUND, REFUSED, "No such path.", "路径不存在。"),
            Self::TaskNotFound => row("noSuchTask", S::NOT_FOUND, NO_TASK, "The task does not exist.", "任务不存在。"),
            Self::MethodNotAllowed => row("methodNotAllowed", S::METHOD_NOT_ALLOWED, REFUSED, "Method not allowed.", "不支持该请求方法。"),
            Self::RequestTimeout => row("requestTimeout", S::REQUEST_TIMEOUT, REFUSED, "The request did not arrive in time.", "请求接收超时。"),
            Self::BodyTooLarge => row("bodyTooLarge", S::PAYLOAD_TOO_LARGE, REFUSED, "The body is too large.", "请求体过大。"),
            Self::UnsupportedMediaType => row("unsupportedMediaType", S::UNSUPPORTED_MEDIA_TYPE, REFUSED, "The body must be application/json.", "请求体类型必须为application/json。"),
            Self::UnsupportedEncoding => row("unsupportedEncoding", S::UNSUPPORTED_MEDIA_TYPE, REFUSED, "The body must not be compressed or otherwise encoded.", "请求体不能压缩或采用其他编码。"),
            Self::IdempotencyMismatch => row("idempotencyMismatch", S::UNPROCESSABLE_ENTITY, REFUSED, "The Idempotency-Key was used with another body.", "该Idempotency-Key已用于不同的请求体。"),
            Self::ReportRefused(_) => row("reportRefused", S::CONFLICT, REFUSED, "The report changes nothing.", "该报告未生效。"),
            Self::NotInThisState(TaskState::New) => row("taskIsNew", S::CONFLICT, REFUSED, "The task has not been started yet.", "任务尚未开始。"),
            Self::NotInThisState(TaskState::Waiting) => row("taskIsWaiting", S::CONFLICT, REFUSED, "The task waits to be tried again.", "任务正在等待重试。"),
            Self::NotInThisState(TaskState::Executing) => row("taskIsExecuting", S::CONFLICT, REFUSED, "The task is being executed.", "任务正在执行。"),
            Self::NotInThisState(TaskState::Success) => row("taskHasSucceeded", S::CONFLICT, REFUSED, "The task has ended well.", "任务已成功结束。"),
            Self::NotInThisState(TaskState::Failed) => row("taskHasFailed", S::CONFLICT, REFUSED, "The task has failed.", "任务已失败。"),
            Self::TooManyLeases => row("tooManyLeases", S::TOO_MANY_REQUESTS, REFUSED, "The credential holds as many tasks as it may.", "该凭证持有的任务数已达上限。"),
            Self::TooManyRequests(_) => row("tooManyRequests", S::TOO_MANY_REQUESTS, REFUSED, "Too many requests. Try again later.", "请求过于频繁，请稍后重试。"),
            Self::Internal(_) => row("internal", S::INTERNAL_SERVER_ERROR, FAULT, "Internal error.", "内部错误。"),
            Self::Unavailable(_) => row("unavailable", S::SERVICE_UNAVAILABLE, FAULT, "The service is temporarily unavailable. Try again.", "服务暂不可用，请重试。"),
        }
    }

    /// An [`ApiError::Internal`] with its cause.
    pub fn internal(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Internal(Arc::new(cause))
    }

    /// An [`ApiError::Unavailable`] with its cause.
    pub fn unavailable(cause: impl StdError + Send + Sync + 'static) -> Self {
        Self::Unavailable(Arc::new(cause))
    }

    /// The kind of error in one word, for documents and metrics.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        self.row().name
    }

    /// The HTTP status.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.row().status
    }

    /// KooDrive's code.
    #[must_use]
    pub const fn code(&self) -> u32 {
        self.row().code
    }

    /// The message in `language`; never anything internal.
    #[must_use]
    pub const fn message(&self, language: Language) -> &'static str {
        let row = self.row();
        language.pick(row.en, row.zh)
    }

    /// How long the client should wait before it tries again, where trying again is
    /// worth it.
    #[must_use]
    pub const fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::TooManyRequests(wait) => Some(*wait),
            Self::Unavailable(_) | Self::TooManyLeases => Some(RETRY_AFTER),
            _ => None,
        }
    }

    /// The fields at fault; empty where no field is.
    #[must_use]
    pub fn violations(&self) -> &[Violation] {
        match self {
            Self::InvalidParameters(violations)
            | Self::DateOutsideWindow(violations)
            | Self::ReportRefused(violations) => &violations.0,
            _ => &[],
        }
    }
}

impl From<Violation> for ApiError {
    fn from(violation: Violation) -> Self {
        Self::InvalidParameters(violation.into())
    }
}

impl IntoResponse for ApiError {
    /// Only marks the response: the body needs the request's language, which
    /// [`crate::web::envelope`] knows.
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::empty());
        *response.status_mut() = self.status();
        response.extensions_mut().insert(self);
        response
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

    #[test]
    fn the_log_tells_violations_as_text() {
        let error = ApiError::InvalidParameters(Violations::from_iter([
            Violation::new("dstUserId", Reason::Missing),
            Violation::new("taskType", Reason::NotAnInteger),
        ]));
        assert_eq!(
            error.to_string(),
            "invalid parameters: dstUserId is required; taskType must be an integer"
        );
        let error = ApiError::Malformed(Malformed::NoHost);
        assert_eq!(error.to_string(), "malformed request: no host");
    }
}
