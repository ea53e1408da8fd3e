//! The table: for each case its name, the HTTP status, KooDrive's code and the
//! message in each language.

use http::StatusCode;

use super::{ApiError, Malformed, TaskState};
use crate::web::language::Language;

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
}
