//! The examples: KooDrive's own where it prints one.

use serde_json::{Value, json};

/// The acting user.
pub(super) const USER_ID: &str = "1505084218764547200";
/// The leaving user of the create call's example.
pub(super) const SRC_USER_ID: &str = "1397687227244555008";
const DST_USER_ID: &str = "1507947856550550784";
/// The task of the create call's example.
pub(super) const TASK_ID: &str = "1534087020903704704";
/// A task of KooDrive's, here a batch import.
pub(super) const IMPORT_ID: &str = "1486254586942472064";
const NEXT_ID: &str = "1486368980720435072";
const RESULT_ID: &str = "1575416580416769793";
const TENANT_ID: &str = "my-company";
const SUCCESS: &str = "Success.";

/// Bodies of the create call.
pub(super) fn create_requests() -> [(&'static str, Value); 2] {
    let transfer = json!({"taskType": 0, "srcUserId": SRC_USER_ID, "dstUserId": DST_USER_ID});
    let batch_import = json!({
        "taskType": 1,
        "resultId": RESULT_ID,
        "orgId": "d5ac574bd2934a69baa4f23c55daa8d4",
        "orgUserId": USER_ID,
    });
    [("transfer", transfer), ("batchImport", batch_import)]
}

/// The answer to a create call.
pub(super) fn create() -> Value {
    json!({"taskId": TASK_ID, "code": 0, "msg": SUCCESS})
}

/// The answer to a list call: the first page of a longer list.
pub(super) fn list() -> Value {
    let transfer = json!({"srcUserId": SRC_USER_ID, "dstUserId": DST_USER_ID});
    let item = json!({
        "taskId": NEXT_ID,
        "taskName": SRC_USER_ID,
        "taskType": 0,
        "tenantId": TENANT_ID,
        "userId": USER_ID,
        "status": 1,
        "initParams": transfer.to_string(),
        "locale": "en-US",
        "createTime": "2024-08-12T11:09:50.202Z",
        "startTime": "2024-08-12T11:09:50.310Z",
    });
    json!({"taskList": [item], "nextCursor": NEXT_ID, "code": 0, "msg": SUCCESS})
}

/// The answer to a detail call: a task that failed.
pub(super) fn detail() -> Value {
    json!({
        "taskId": TASK_ID,
        "taskName": SRC_USER_ID,
        "taskType": 0,
        "tenantId": TENANT_ID,
        "userId": USER_ID,
        "status": 3,
        "resultCode": "18000205",
        "code": 0,
        "msg": SUCCESS,
    })
}

/// The answer to a result call.
pub(super) fn result() -> Value {
    let failure = json!({"userName": "ss", "desc": "The user exists."});
    json!({
        "data": {"successCount": 1, "failCount": 1, "failInfoList": [failure]},
        "code": 0,
        "msg": SUCCESS,
    })
}

/// The answer to a recipient call.
pub(super) fn recipient() -> Value {
    json!({"id": DST_USER_ID, "name": "Li Wei", "code": 0, "msg": SUCCESS})
}
