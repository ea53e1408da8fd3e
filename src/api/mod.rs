//! KooDrive's "Basic Task Operations" over HTTP: one file for each call, and
//! what all calls share.
//!
//! Contract: `api.md`.

pub mod create;
pub mod detail;
pub mod list;
mod loose;
pub mod openapi;
pub mod recipient;
pub mod result;

/// The path of the create call.
pub const CREATE: &str = "/koodrive/ose/v1/task/create";
/// The path of the list call.
pub const LIST: &str = "/koodrive/ose/v1/task/list";
/// The path of the result call.
pub const RESULT: &str = "/koodrive/ose/v1/task/result";
/// The path of the recipient call.
pub const RECIPIENT: &str = "/koodrive/ose/v1/task/dstUserInfo/{src_user_id}";
/// The path of the detail call. The words above are no task ids.
pub const DETAIL: &str = "/koodrive/ose/v1/task/{task_id}";
