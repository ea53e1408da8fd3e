//! What the document's examples share: KooDrive's own values where it prints
//! some.

use serde_json::{Value, json};

/// The acting user.
pub const USER_ID: &str = "1505084218764547200";
/// The leaving user of the create call's example.
pub const SRC_USER_ID: &str = "1397687227244555008";
/// The recipient of that user's files.
pub const DST_USER_ID: &str = "1507947856550550784";
/// The task of the create call's example.
pub const TASK_ID: &str = "1534087020903704704";
/// A task of KooDrive's, here a batch import.
pub const IMPORT_ID: &str = "1486254586942472064";
/// The tenant of the credential.
pub const TENANT_ID: &str = "my-company";
/// The `msg` of a call that succeeded.
pub const SUCCESS: &str = "Success.";

/// The answer of a call that has nothing to tell.
#[must_use]
pub fn nothing_to_tell() -> Value {
    json!({"code": 0, "msg": SUCCESS})
}
