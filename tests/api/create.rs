//! `POST /koodrive/ose/v1/task/create`: its body and its answer.

use kootask::task::TaskId;
use serde_json::{Value, json};

use crate::support::TestApp;
use crate::support::client::{Answer, IMPORT, TRANSFER};

const INVALID: u32 = 13_000_102;
const REQUIRED: &str = "is required";

/// The answer to a create call with this body.
async fn create(body: &Value) -> Answer {
    let app = TestApp::dev().await;
    let answer = app.create(&body.to_string()).send().await;
    app.stop().await;
    answer
}

/// Asserts that exactly these fields are refused for these reasons.
async fn assert_refused(body: Value, details: &[(&str, &str)]) {
    let answer = create(&body).await;
    let details: Vec<_> = details
        .iter()
        .map(|(field, reason)| json!({"field": field, "reason": reason}))
        .collect();
    assert_eq!(answer.status, 400, "{body}: {answer:?}");
    assert_eq!(answer.body["code"], INVALID, "{body}");
    assert_eq!(answer.body["details"], Value::from(details), "{body}");
}

#[tokio::test]
async fn the_reference_example_is_answered_with_a_task_id() {
    let app = TestApp::dev().await;
    let answer = app.create(TRANSFER).send().await;
    assert!(answer.task_id() > 0);
    let members: Vec<_> = answer.body.as_object().unwrap().keys().collect();
    assert_eq!(members, ["code", "msg", "taskId"]);
    assert_eq!(answer.body["code"], json!(0), "an integer");
    assert_eq!(answer.body["msg"], "Success.");
    assert_eq!(answer.header("content-type"), "application/json");
    app.stop().await;
}

#[tokio::test]
async fn a_batch_import_is_answered_with_a_task_id() {
    let app = TestApp::dev().await;
    assert!(app.create(IMPORT).send().await.task_id() > 0);
    app.stop().await;
}

#[tokio::test]
async fn each_task_has_an_id_of_its_own_made_now() {
    let app = TestApp::dev().await;
    let before = jiff::Timestamp::now().as_millisecond();
    let first = app.create(TRANSFER).send().await.task_id();
    let second = app.create(TRANSFER).send().await.task_id();
    let after = jiff::Timestamp::now().as_millisecond();
    assert!(first < second);
    for id in [first, second] {
        let created = TaskId::new(id).unwrap().created_at().as_millisecond();
        assert!((before..=after).contains(&created));
    }
    app.stop().await;
}

#[tokio::test]
async fn an_absent_or_null_task_type_is_a_transfer() {
    for body in [
        json!({"srcUserId": "a", "dstUserId": "b"}),
        json!({"taskType": null, "srcUserId": "a", "dstUserId": "b"}),
    ] {
        create(&body).await.task_id();
    }
    assert_refused(
        json!({}),
        &[("srcUserId", REQUIRED), ("dstUserId", REQUIRED)],
    )
    .await;
}

#[tokio::test]
async fn a_transfer_needs_both_users() {
    let (src, dst) = (("srcUserId", REQUIRED), ("dstUserId", REQUIRED));
    assert_refused(json!({"taskType": 0, "dstUserId": "b"}), &[src]).await;
    assert_refused(json!({"taskType": 0, "srcUserId": "a"}), &[dst]).await;
    assert_refused(json!({"taskType": 0}), &[src, dst]).await;
}

#[tokio::test]
async fn a_batch_import_needs_all_three_ids() {
    let fields = ["resultId", "orgId", "orgUserId"];
    for missing in fields {
        let mut body = json!({"taskType": 1, "resultId": "a", "orgId": "b", "orgUserId": "c"});
        body.as_object_mut().unwrap().remove(missing);
        assert_refused(body, &[(missing, REQUIRED)]).await;
    }
    assert_refused(
        json!({"taskType": 1}),
        &fields.map(|field| (field, REQUIRED)),
    )
    .await;
}

#[tokio::test]
async fn empty_blank_and_null_count_as_missing() {
    for nothing in [json!(""), json!("  \t"), json!(null), json!("\u{3000}")] {
        let body = json!({"srcUserId": nothing, "dstUserId": "b"});
        assert_refused(body, &[("srcUserId", REQUIRED)]).await;
        let body = json!({"taskType": 1, "resultId": "a", "orgId": nothing, "orgUserId": "c"});
        assert_refused(body, &[("orgId", REQUIRED)]).await;
    }
}

#[tokio::test]
async fn fields_of_the_other_type_and_unknown_ones_are_ignored() {
    for body in [
        json!({"taskType": 0, "srcUserId": "a", "dstUserId": "b",
               "resultId": 7, "orgId": "%", "orgUserId": [[]], "more": {"taskType": 9}}),
        json!({"taskType": 1, "resultId": "a", "orgId": "b", "orgUserId": "c",
               "srcUserId": "x", "dstUserId": "x", "": null, "TASKTYPE": 0}),
    ] {
        create(&body).await.task_id();
    }
}

#[tokio::test]
async fn a_number_for_an_id_is_refused_and_told_why() {
    let why = "must be a string: a JSON number of this size loses digits in many clients";
    let numbers = [
        json!(1_397_687_227_244_555_008_i64),
        json!(u64::MAX),
        json!(-1),
        json!(1.5),
    ];
    for number in numbers {
        assert_refused(
            json!({"srcUserId": number, "dstUserId": "b"}),
            &[("srcUserId", why)],
        )
        .await;
        assert_refused(
            json!({"taskType": 1, "resultId": number, "orgId": "b", "orgUserId": number}),
            &[("resultId", why), ("orgUserId", why)],
        )
        .await;
    }
}

#[tokio::test]
async fn a_number_too_large_for_any_type_is_refused_as_a_number() {
    let app = TestApp::dev().await;
    for number in ["1e999", "123456789012345678901234567890", "-1e400"] {
        let body = format!(r#"{{"srcUserId":{number},"dstUserId":"b"}}"#);
        let answer = app.create(&body).send().await;
        assert_eq!(answer.body["code"], INVALID, "{number}: {answer:?}");
        assert_eq!(answer.body["details"][0]["field"], "srcUserId", "{number}");
    }
    app.stop().await;
}

#[tokio::test]
async fn an_id_that_is_no_string_is_refused() {
    for value in [json!(true), json!(["a"]), json!({"id": "a"})] {
        assert_refused(
            json!({"srcUserId": value, "dstUserId": "b"}),
            &[("srcUserId", "must be a string")],
        )
        .await;
    }
}

#[tokio::test]
async fn an_id_is_of_1_to_64_letters_digits_underscores_and_hyphens() {
    for id in ["A", "0", "_", "-", &"x".repeat(64), "Az09_-"] {
        create(&json!({"srcUserId": id, "dstUserId": "other"}))
            .await
            .task_id();
    }
    let why = "must be 1 to 64 characters of A-Z a-z 0-9 _ -";
    for id in [
        &*"x".repeat(65),
        "a b",
        " a",
        "a\n",
        "é",
        "用户",
        "a.b",
        "a/b",
        "a\0",
        "'--",
    ] {
        assert_refused(
            json!({"srcUserId": id, "dstUserId": "other"}),
            &[("srcUserId", why)],
        )
        .await;
    }
}

#[tokio::test]
async fn the_recipient_must_be_another_user() {
    assert_refused(
        json!({"taskType": 0, "srcUserId": "same", "dstUserId": "same"}),
        &[("dstUserId", "must differ from srcUserId")],
    )
    .await;
    // Ids are told apart to the letter.
    create(&json!({"srcUserId": "same", "dstUserId": "SAME"}))
        .await
        .task_id();
}

#[tokio::test]
async fn an_unknown_task_type_is_refused() {
    let why = "must be 0 (transfer and deletion) or 1 (batch import)";
    for task_type in [json!(2), json!(-1), json!(i64::MAX), json!(i64::MIN)] {
        let body = json!({"taskType": task_type, "srcUserId": "a", "dstUserId": "b"});
        assert_refused(body, &[("taskType", why)]).await;
    }
}

#[tokio::test]
async fn a_task_type_that_is_no_integer_is_refused() {
    for task_type in [
        json!("0"),
        json!(0.5),
        json!(true),
        json!([0]),
        json!({}),
        json!(""),
    ] {
        let body = json!({"taskType": task_type, "srcUserId": "a", "dstUserId": "b"});
        assert_refused(body, &[("taskType", "must be an integer")]).await;
    }
}

#[tokio::test]
async fn every_violation_is_reported_at_once_in_the_order_of_the_reference() {
    assert_refused(
        json!({"taskType": 0, "dstUserId": 5, "srcUserId": "no way"}),
        &[
            ("srcUserId", "must be 1 to 64 characters of A-Z a-z 0-9 _ -"),
            (
                "dstUserId",
                "must be a string: a JSON number of this size loses digits in many clients",
            ),
        ],
    )
    .await;
    assert_refused(
        json!({"taskType": 1, "resultId": null, "orgId": [], "orgUserId": "!"}),
        &[
            ("resultId", REQUIRED),
            ("orgId", "must be a string"),
            ("orgUserId", "must be 1 to 64 characters of A-Z a-z 0-9 _ -"),
        ],
    )
    .await;
}

#[tokio::test]
async fn the_idempotency_keys_violation_is_reported_with_the_bodys() {
    let app = TestApp::dev().await;
    let call = app
        .create(r#"{"srcUserId":"a"}"#)
        .header("Idempotency-Key", "not one");
    let answer = call.send().await;
    let fields: Vec<_> = answer.body["details"]
        .as_array()
        .unwrap()
        .iter()
        .map(|detail| detail["field"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(fields, ["dstUserId", "Idempotency-Key"]);
    app.stop().await;
}
