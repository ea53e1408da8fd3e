//! `Idempotency-Key`, and the signature in its place; on every store.

use futures_util::future::join_all;
use jiff::SignedDuration;
use kootask::config::Defaults;
use kootask::task::clock::Clock;

use crate::support::TestApp;
use crate::support::client::{Answer, Call, IMPORT, TRANSFER};
use crate::support::clock::TestClock;
use crate::support::credentials::{app as app_entry, token};

/// A store, and what keeps it alive.
pub struct Store {
    url: String,
    _folder: Option<tempfile::TempDir>,
}

impl Store {
    fn memory() -> Self {
        Self {
            url: "memory:".to_owned(),
            _folder: None,
        }
    }

    fn sqlite() -> Self {
        let folder = tempfile::tempdir().unwrap();
        Self {
            url: format!("sqlite://{}", folder.path().join("tasks.db").display()),
            _folder: Some(folder),
        }
    }

    /// A configuration with this store, two tenants, and an app of the first.
    fn config(&self) -> String {
        let (one, other) = (token("one", "acme"), token("other", "umbrella"));
        let app = app_entry("console", "secret-of-the-console", "acme");
        format!("[store]\nurl = \"{}\"\n{one}{other}{app}", self.url)
    }

    async fn app(&self) -> TestApp {
        TestApp::start(&self.config(), Defaults::Serve).await
    }
}

macro_rules! on_every_store {
    ($($test:ident)*) => {
        mod memory {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() { super::$test(super::Store::memory()).await })*
        }
        mod sqlite {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $test() { super::$test(super::Store::sqlite()).await })*
        }
    };
}

on_every_store! {
    the_same_key_and_body_give_the_same_answer
    the_same_key_with_another_body_is_422
    another_key_makes_another_task
    without_a_key_every_request_makes_a_task
    a_refused_request_does_not_use_its_key_up
    a_key_belongs_to_its_tenant
    the_signature_stands_for_a_missing_key
    a_captured_signed_request_with_fresh_keys_makes_no_second_task
    the_same_key_at_the_same_moment_makes_one_task
    of_several_bodies_at_the_same_moment_one_wins
    a_key_expires_after_24_hours
}

fn keyed(app: &TestApp, key: &str, body: &str) -> Call {
    app.create(body)
        .bearer("one")
        .header("Idempotency-Key", key)
}

#[track_caller]
fn assert_mismatch(answer: &Answer) {
    assert_eq!(answer.status, 422, "{answer:?}");
    assert_eq!(answer.body["code"], 13_000_101);
}

async fn the_same_key_and_body_give_the_same_answer(store: Store) {
    let app = store.app().await;
    let first = keyed(&app, "key", TRANSFER).send().await;
    first.task_id();
    for _ in 0..3 {
        let again = keyed(&app, "key", TRANSFER).send().await;
        assert_eq!((again.status, &again.body), (first.status, &first.body));
    }
    app.stop().await;
}

async fn the_same_key_with_another_body_is_422(store: Store) {
    let app = store.app().await;
    let id = keyed(&app, "key", TRANSFER).send().await.task_id();
    assert_mismatch(&keyed(&app, "key", IMPORT).send().await);
    // The same to the byte: what means the same may still be a mistake.
    assert_mismatch(&keyed(&app, "key", &format!("{TRANSFER} ")).send().await);
    assert_eq!(keyed(&app, "key", TRANSFER).send().await.task_id(), id);
    app.stop().await;
}

async fn another_key_makes_another_task(store: Store) {
    let app = store.app().await;
    let id = keyed(&app, "key", TRANSFER).send().await.task_id();
    for key in ["KEY", "key2", "ke"] {
        assert_ne!(
            keyed(&app, key, TRANSFER).send().await.task_id(),
            id,
            "{key}"
        );
    }
    app.stop().await;
}

async fn without_a_key_every_request_makes_a_task(store: Store) {
    let app = store.app().await;
    let call = app.create(TRANSFER).bearer("one");
    let id = call.clone().send().await.task_id();
    assert_ne!(call.send().await.task_id(), id);
    app.stop().await;
}

async fn a_refused_request_does_not_use_its_key_up(store: Store) {
    let app = store.app().await;
    assert_eq!(keyed(&app, "key", "{}").send().await.status, 400);
    assert_eq!(keyed(&app, "key", "[]").send().await.status, 400);
    assert_eq!(
        keyed(&app, "key", TRANSFER)
            .bearer("bad")
            .send()
            .await
            .status,
        401
    );
    keyed(&app, "key", TRANSFER).send().await.task_id();
    app.stop().await;
}

async fn a_key_belongs_to_its_tenant(store: Store) {
    let app = store.app().await;
    let id = keyed(&app, "key", TRANSFER).send().await.task_id();
    let others = keyed(&app, "key", IMPORT)
        .bearer("other")
        .send()
        .await
        .task_id();
    assert_ne!(others, id);
    // Of one tenant, whichever its credential and its user.
    let signed = keyed(&app, "key", TRANSFER).header("X-User-Id", "another");
    assert_eq!(
        signed
            .signed("console", "secret-of-the-console")
            .send()
            .await
            .task_id(),
        id
    );
    app.stop().await;
}

async fn the_signature_stands_for_a_missing_key(store: Store) {
    let app = store.app().await;
    let call = app
        .create(TRANSFER)
        .signed("console", "secret-of-the-console");
    let id = call.clone().send().await.task_id();
    assert_eq!(call.send().await.task_id(), id, "a retry");
    let earlier = jiff::Timestamp::now() - SignedDuration::from_secs(2);
    let anew = app
        .create(TRANSFER)
        .at(earlier)
        .signed("console", "secret-of-the-console");
    assert_ne!(anew.send().await.task_id(), id, "a request of its own");
    app.stop().await;
}

async fn a_captured_signed_request_with_fresh_keys_makes_no_second_task(store: Store) {
    let app = store.app().await;
    let signed = app
        .create(TRANSFER)
        .signed("console", "secret-of-the-console");
    let with = |key| signed.clone().header("Idempotency-Key", key).send();
    let id = with("one").await.task_id();
    for key in ["two", "three", "one"] {
        let again = with(key).await;
        assert_eq!(again.task_id(), id, "{key}");
        assert_eq!(again.header("Idempotency-Replayed"), "true");
    }
    assert_eq!(signed.clone().send().await.task_id(), id, "without a key");

    let earlier = jiff::Timestamp::now() - SignedDuration::from_secs(2);
    let anew = app
        .create(TRANSFER)
        .at(earlier)
        .signed("console", "secret-of-the-console");
    for key in ["one", "two"] {
        let again = anew.clone().header("Idempotency-Key", key).send().await;
        assert_eq!(again.task_id(), id, "another signature, {key}");
    }
    app.stop().await;
}

async fn the_same_key_at_the_same_moment_makes_one_task(store: Store) {
    let app = store.app().await;
    let answers = join_all((0..40).map(|_| keyed(&app, "key", TRANSFER).send())).await;
    let id = answers[0].task_id();
    assert!(answers.iter().all(|answer| answer.task_id() == id));
    app.stop().await;
}

async fn of_several_bodies_at_the_same_moment_one_wins(store: Store) {
    let app = store.app().await;
    let bodies = (0..40).map(|n| format!(r#"{{"srcUserId":"{}","dstUserId":"b"}}"#, n % 4));
    let calls = bodies.map(|body| keyed(&app, "key", &body).send());
    let answers = join_all(calls).await;
    let (won, lost): (Vec<_>, Vec<_>) = answers.iter().partition(|a| a.status == 200);
    assert_eq!((won.len(), lost.len()), (10, 30));
    assert!(
        won.iter()
            .all(|answer| answer.task_id() == won[0].task_id())
    );
    lost.into_iter().for_each(assert_mismatch);
    app.stop().await;
}

async fn a_key_expires_after_24_hours(store: Store) {
    let clock = TestClock::new();
    let app = TestApp::start_at(&store.config(), Defaults::Serve, clock.clone()).await;
    let send = |body: &'static str| keyed(&app, "key", body).at(clock.now()).send();
    let first = send(TRANSFER).await.task_id();
    clock.advance(SignedDuration::from_hours(12));
    assert_eq!(send(TRANSFER).await.task_id(), first);
    assert_mismatch(&send(IMPORT).await);
    // A repetition does not prolong it.
    clock.advance(SignedDuration::from_hours(12));
    assert_eq!(send(TRANSFER).await.task_id(), first);
    clock.advance(SignedDuration::from_millis(1));
    let second = send(IMPORT).await.task_id();
    assert_ne!(second, first);
    // The new task has a day of its own.
    clock.advance(SignedDuration::from_hours(24));
    assert_eq!(send(IMPORT).await.task_id(), second);
    assert_mismatch(&send(TRANSFER).await);
    app.stop().await;
}

#[tokio::test]
async fn a_key_outlives_a_restart_on_sqlite() {
    let store = Store::sqlite();
    let app = store.app().await;
    let id = keyed(&app, "key", TRANSFER).send().await.task_id();
    let signed = app
        .create(TRANSFER)
        .signed("console", "secret-of-the-console");
    let signed_id = signed.clone().send().await.task_id();
    let address = app.address;
    app.stop().await;

    let app = store.app().await;
    assert_eq!(keyed(&app, "key", TRANSFER).send().await.task_id(), id);
    assert_mismatch(&keyed(&app, "key", IMPORT).send().await);
    // Signed for the old address: the same request, had the port not changed.
    let authority = address.to_string();
    let retried = signed
        .to(app.address)
        .header("Host", &authority)
        .send()
        .await;
    assert_eq!(retried.task_id(), signed_id);
    app.stop().await;
}

/// What passes while the service is down does not count: keys stand longer then.
#[tokio::test]
async fn a_key_expires_a_day_after_a_restart() {
    let (store, clock) = (Store::sqlite(), TestClock::new());
    let app = TestApp::start_at(&store.config(), Defaults::Serve, clock.clone()).await;
    let call = keyed(&app, "key", TRANSFER);
    let id = call.clone().at(clock.now()).send().await.task_id();
    app.stop().await;

    clock.advance(SignedDuration::from_hours(24));
    let app = TestApp::start_at(&store.config(), Defaults::Serve, clock.clone()).await;
    let again = || keyed(&app, "key", TRANSFER).at(clock.now()).send();
    assert_eq!(again().await.task_id(), id);
    clock.advance(SignedDuration::from_hours(24));
    assert_ne!(again().await.task_id(), id);
    app.stop().await;
}

#[tokio::test]
async fn a_malformed_key_is_400() {
    let app = TestApp::dev().await;
    for key in ["", "two words", "é", &"x".repeat(256)] {
        let answer = app
            .create(TRANSFER)
            .header("Idempotency-Key", key)
            .send()
            .await;
        assert_eq!(answer.status, 400, "{key}");
        assert_eq!(answer.body["code"], 13_000_102, "{key}");
        assert_eq!(
            answer.body["details"][0]["field"], "Idempotency-Key",
            "{key}"
        );
    }
    let call = app.create(TRANSFER).header("Idempotency-Key", "a");
    let answer = call.and_header("Idempotency-Key", "b").send().await;
    assert_eq!(
        answer.body["details"][0]["reason"],
        "must be given only once"
    );
    app.stop().await;
}

#[tokio::test]
async fn a_key_may_have_1_to_255_visible_characters() {
    let app = TestApp::dev().await;
    for key in [
        "!",
        "\"8e03978e-40d5-43e8-bc93-6894a57f9324\"",
        &"x".repeat(255),
    ] {
        app.create(TRANSFER)
            .header("Idempotency-Key", key)
            .send()
            .await
            .task_id();
    }
    app.stop().await;
}

#[tokio::test]
async fn an_answer_that_is_given_again_says_so() {
    let app = Store::memory().app().await;
    let call = app
        .create(TRANSFER)
        .bearer("one")
        .header("Idempotency-Key", "once");
    let first = call.clone().send().await;
    assert_eq!(first.headers.get("Idempotency-Replayed"), None);
    let again = call.send().await;
    assert_eq!(again.header("Idempotency-Replayed"), "true");
    assert_eq!(again.task_id(), first.task_id());
    app.stop().await;
}
