//! What the document's examples share: KooDrive's own values where it prints
//! some.

/// The acting user.
pub(super) const USER_ID: &str = "1505084218764547200";
/// The leaving user of the create call's example.
pub(super) const SRC_USER_ID: &str = "1397687227244555008";
/// The recipient of that user's files.
pub(super) const DST_USER_ID: &str = "1507947856550550784";
/// The task of the create call's example.
pub(super) const TASK_ID: &str = "1534087020903704704";
/// A task of KooDrive's, here a batch import.
pub(super) const IMPORT_ID: &str = "1486254586942472064";
pub(super) const TENANT_ID: &str = "my-company";
/// The `msg` of a call that succeeded.
pub(super) const SUCCESS: &str = "Success.";
