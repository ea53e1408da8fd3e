//! The journal, its verdicts and its explanations.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use kootask::api::LIST;
use kootask::auth::signature::{SignableRequest, SignatureHeader, SigningKey, string_to_sign};
use kootask::auth::x_date;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use super::{stand_in, takes_at_most};
use crate::support::TestApp;
use crate::support::client::{Call, IMPORT, TRANSFER, USER};

#[tokio::test]
async fn a_request_is_filed_as_it_came_and_was_answered_and_without_its_secrets() {
    let app = stand_in("progress = 'manual'").await;
    let create = app
        .create(TRANSFER)
        .bearer("tenant.a")
        .header("Idempotency-Key", "one")
        .header("X-Traceid", "a-trace");
    let id = create.clone().send().await.task_id();
    create.send().await.task_id();
    let target = format!("/koodrive/ose/v1/task/{id}?x=1");
    app.read(&target).bearer("tenant.a").send().await;
    let journal = app.control("GET", "journal?tenant=a", "").await.body;
    let entries = journal["entries"].as_array().unwrap();
    let outcomes: Vec<_> = entries.iter().map(|entry| &entry["outcome"]).collect();
    assert_eq!(outcomes, ["created", "repeated", "read"]);
    let first = &entries[0];
    assert_eq!(first["seq"], 1);
    assert_eq!(first["call"], "create");
    assert_eq!(first["method"], "POST");
    assert_eq!(first["body"]["srcUserId"], "1397687227244555008");
    assert_eq!(first["headers"]["idempotency-key"], "one");
    assert_eq!(first["credential"]["kind"], "bearer");
    assert_eq!(first["traceId"], "a-trace");
    assert_eq!(first["status"], 200);
    assert_eq!(first["taskId"], id.to_string());
    assert_eq!(entries[2]["query"], "x=1");
    assert!(!journal.to_string().contains("tenant.a"), "the token");
    let one = app.control("GET", "journal/3?tenant=a", "").await.body;
    assert_eq!(one["call"], "detail");
    assert_eq!(
        app.control("GET", "journal/4?tenant=a", "").await.status,
        404
    );
    let other = app.control("GET", "journal", "").await.body;
    assert_eq!(other["entries"].as_array().unwrap().len(), 0);
}

#[tokio::test]
async fn what_a_console_asks_beyond_koodrives_calls_is_filed_and_what_workers_ask_is_not() {
    let app = stand_in("progress = 'manual'").await;
    let id = app.create(TRANSFER).send().await.task_id();
    for call in ["cancel", "retry"] {
        let target = format!("/kootask/v1/tasks/{id}/{call}");
        let asked = app.call("POST", &target).header("X-User-Id", USER);
        assert_eq!(asked.at(Timestamp::now()).send().await.status, 200);
    }
    let claim = r#"{"worker":"w1","claimId":"0b7e4f0e-6a57-4ac5-9a5c-2f0a0a8a4a4e"}"#;
    let claimed = app.call("POST", "/kootask/v1/worker/claim").bearer("any");
    assert_eq!(claimed.body(claim).send().await.status, 200);
    let journal = app.control("GET", "journal", "").await.body;
    let entries = journal["entries"].as_array().unwrap();
    let calls: Vec<_> = entries.iter().map(|entry| &entry["call"]).collect();
    assert_eq!(calls, ["create", "cancel", "retry"]);
}

#[tokio::test]
async fn a_verdict_waits_for_a_request_and_comes_within_50_ms_of_it() {
    let app = stand_in("progress = 'manual'").await;
    takes_at_most(Duration::from_millis(50), async || {
        app.control("POST", "reset", "").await;
        let late = app.create(TRANSFER);
        let sender = tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(1)).await;
            late.send().await.task_id();
            Instant::now()
        });
        let wanted = r#"{"match":{"call":"create","srcUserId":"139*"},"count":1,"within":"30s"}"#;
        let verdict = app.control("POST", "journal/verify", wanted).await;
        let (given, sent) = (Instant::now(), sender.await.unwrap());
        assert_eq!(verdict.status, 200, "{verdict:?}");
        assert_eq!(verdict.body["count"], 1);
        given.saturating_duration_since(sent)
    })
    .await;
}

#[tokio::test]
async fn a_verdict_tells_what_came_near() {
    let app = stand_in("progress = 'manual'").await;
    app.create(IMPORT).send().await.task_id();
    app.create(TRANSFER).send().await.task_id();
    let wanted = r#"{"match":{"call":"create","srcUserId":"A"},"count":1}"#;
    let verdict = app.control("POST", "journal/verify", wanted).await;
    assert_eq!(verdict.status, 422);
    assert_eq!(verdict.body["count"], 0);
    let near = &verdict.body["nearest"][0];
    assert_eq!(near["seq"], 2, "{verdict:?}");
    assert_eq!(near["differs"][0]["field"], "srcUserId");
    assert_eq!(near["differs"][0]["wanted"], "A");
    assert_eq!(near["differs"][0]["got"], "1397687227244555008");
    let text = verdict.body["text"].as_str().unwrap();
    assert!(
        text.contains("wanted 1 such request, got 0 of 2\n  request 2 differs:\n"),
        "{text}"
    );
    for (wanted, status) in [
        (r#"{"match":{"call":"create"},"atLeast":2}"#, 200),
        (r#"{"match":{"call":"create"},"atLeast":3}"#, 422),
        (
            r#"{"match":{"call":"create"},"atMost":2,"settle":"10ms"}"#,
            200,
        ),
        (r#"{"match":{"call":"create"},"atMost":1}"#, 422),
        (r#"{"match":{"call":"create"}}"#, 400),
        (r#"{"match":{"srcUser":"A"},"count":1}"#, 400),
    ] {
        let verdict = app.control("POST", "journal/verify", wanted).await;
        assert_eq!(verdict.status, status, "{wanted}: {verdict:?}");
    }
}

#[tokio::test]
async fn a_count_that_may_be_short_is_410_and_never_wrong() {
    let app = stand_in("progress = 'manual'\njournal = 3").await;
    for _ in 0..5 {
        app.create(TRANSFER).send().await.task_id();
    }
    let journal = app.control("GET", "journal", "").await.body;
    assert_eq!(journal["entries"].as_array().unwrap().len(), 3);
    assert_eq!(journal["dropped"], 2);
    assert_eq!(app.control("GET", "journal/1", "").await.status, 410);
    for (wanted, status) in [
        (r#"{"match":{"call":"create"},"count":5}"#, 410),
        (r#"{"match":{"call":"create"},"count":3}"#, 410),
        (r#"{"match":{"call":"create"},"atMost":4}"#, 410),
        (r#"{"match":{"call":"create"},"atMost":2}"#, 422),
        (r#"{"match":{"call":"create"},"atLeast":3}"#, 200),
        (r#"{"match":{"call":"create"},"atLeast":4}"#, 410),
    ] {
        let verdict = app.control("POST", "journal/verify", wanted).await;
        assert_eq!(verdict.status, status, "{wanted}: {verdict:?}");
    }
}

#[tokio::test]
async fn a_body_is_filed_as_far_as_it_was_read_and_else_it_is_said_that_it_was_not() {
    let app = stand_in("progress = 'manual'\n[server]\nbody_limit = '128KiB'").await;
    let long = format!(r#"{{"srcUserId":"{}"}}"#, "1".repeat(70 * 1024));
    let signed = app.create(TRANSFER);
    let signed = signed.signed("kootask-dev-dev", "another-secret");
    for (call, status, is_whole, missing) in [
        (app.create("{}"), 400, true, Value::Null),
        (signed, 401, true, Value::Null),
        (
            app.create(TRANSFER).without("X-Date"),
            400,
            false,
            json!("unread"),
        ),
        (app.create(&long), 400, false, json!("long")),
        (app.read(LIST), 200, false, Value::Null),
    ] {
        app.control("POST", "reset", "").await;
        assert_eq!(call.send().await.status, status);
        let journal = app.control("GET", "journal", "").await.body;
        let entry = &journal["entries"][0];
        assert_eq!(entry["body"].is_object(), is_whole, "{status} {missing}");
        assert_eq!(entry["bodyMissing"], missing, "{status}");
    }
}

/// The hints of the one refused request.
async fn hints(call: Call, app: &TestApp, tenant: &str) -> String {
    let path = |what: &str| format!("{what}?tenant={tenant}");
    app.control("POST", &path("reset"), "").await;
    assert_eq!(call.send().await.status, 401);
    let journal = app.control("GET", &path("journal"), "").await.body;
    let refused = &journal["entries"][0]["refused"];
    assert!(
        refused["canonicalRequest"]
            .as_str()
            .unwrap()
            .contains("x-date:")
    );
    assert!(
        refused["stringToSign"]
            .as_str()
            .unwrap()
            .starts_with("HMAC-SHA256\n")
    );
    refused["hints"].to_string()
}

/// A read with this query whose signature is of another text than it should be.
fn mistaken(app: &TestApp, query: &str, mistake: impl Fn(String) -> String) -> Call {
    let signed_headers = "host;x-date;x-user-id";
    let date = x_date::format(Timestamp::now());
    let mut headers = http::HeaderMap::new();
    headers.insert("X-Date", date.parse().unwrap());
    headers.insert("X-User-Id", USER.parse().unwrap());
    let request = SignableRequest {
        method: "GET",
        path: LIST,
        query,
        host: &app.address.to_string(),
        headers: &headers,
        body_sha256: &Sha256::digest("").into(),
    };
    let text = mistake(request.canonical(signed_headers).unwrap());
    let key = SigningKey::new(&"kootask-dev-secret".into());
    let authorization = SignatureHeader {
        app_id: "kootask-dev-a".parse().unwrap(),
        signed_headers,
        signature: key.sign(&string_to_sign(&text)),
    };
    app.call("GET", &format!("{LIST}?{query}"))
        .header("X-Date", &date)
        .header("X-User-Id", USER)
        .header("Authorization", &authorization.to_string())
}

#[tokio::test]
async fn for_each_usual_mistake_of_a_signer_the_journal_names_it() {
    let app = stand_in(
        "progress = 'manual'\n\
         [[auth.apps]]\napp_id = 'console'\ntenant_id = 'a'\napp_secret = 'the-secret-of-the-console'",
    )
    .await;
    let address = app.address.to_string();
    let query = "status=1&limit=10&x=a%20b";
    type Mistake<'a> = (&'a str, Box<dyn Fn(String) -> String>);
    let replaced = |from: &str, to: &str| -> Box<dyn Fn(String) -> String> {
        let (from, to) = (from.to_owned(), to.to_owned());
        Box::new(move |text: String| {
            let changed = text.replacen(&from, &to, 1);
            assert_ne!(changed, text, "{from}");
            changed
        })
    };
    let mistakes: [Mistake<'_>; 7] = [
        (
            "signed with Host `127.0.0.1`; it came with",
            replaced(&address, "127.0.0.1"),
        ),
        ("without the `/`", replaced("list/\n", "list\n")),
        ("unsorted", replaced("limit=10&status=1&x=a%20b", query)),
        ("`+` for a blank", replaced("a%20b", "a+b")),
        (
            "a blank before",
            Box::new(|text| {
                let text = text
                    .replace("host:", "host: ")
                    .replace("x-date:", "x-date: ");
                text.replace("x-user-id:", "x-user-id: ")
            }),
        ),
        ("a newline at the end", Box::new(|text| format!("{text}\n"))),
        ("with the method `POST`", replaced("GET\n", "POST\n")),
    ];
    for (named, mistake) in mistakes {
        let told = hints(mistaken(&app, query, mistake), &app, "a").await;
        let unsorted = named == "unsorted" && told.contains("as it was sent");
        assert!(told.contains(named) || unsorted, "{named}: {told}");
    }
    let both = mistaken(&app, query, |text| {
        text.replace(&app.address.to_string(), "127.0.0.1") + "\n"
    });
    let told = hints(both, &app, "a").await;
    assert!(
        told.contains("Host `127.0.0.1`") && told.contains("newline"),
        "{told}"
    );

    let create = || app.create(TRANSFER);
    let empty = create()
        .body("")
        .signed("kootask-dev-a", "kootask-dev-secret");
    let told = hints(empty.body(TRANSFER), &app, "a").await;
    assert!(told.contains("hash of an empty body"), "{told}");
    let other = create().signed("kootask-dev-a", "the-secret-of-the-console");
    let told = hints(other, &app, "a").await;
    assert!(
        told.contains("the secret of another app, console"),
        "{told}"
    );
    let secret = create().signed("kootask-dev-a", "another-secret-of-mine");
    let told = hints(secret, &app, "a").await;
    assert!(told.contains("no usual mistake"), "{told}");
    let unknown = create().signed("nobody", "kootask-dev-secret");
    let told = hints(unknown, &app, "dev").await;
    assert!(told.contains("there is no app nobody"), "{told}");
}
