//! The table of states, over HTTP.

use std::time::Duration;

use kootask::config::Defaults;
use kootask::task::attempt::Fence;
use kootask::task::life_cycle::Command;
use kootask::task::retry::RetryPolicy;
use kootask::{tenant, worker};
use serde_json::{Value, json};

use super::{begun, claim_of, complete, path, report, status};
use crate::support::TestApp;
use crate::support::client::{Answer, TRANSFER};

every_store! {
    every_report_and_every_request_does_in_every_state_what_the_table_says,
    a_refused_report_tells_in_both_languages_what_became_of_the_attempt,
    a_refused_tenant_learns_the_state_of_the_task,
    a_late_worker_does_not_end_the_attempt_of_another,
    a_heartbeat_tells_of_each_task_whether_it_is_held,
}

/// How a task comes into a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    New,
    Waiting,
    Executing,
    Flagged,
    Success,
    Failed,
    /// Before it was ever started.
    Cancelled,
}

/// What is done to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Doing {
    Complete,
    FailRetry,
    FailFinal,
    Release,
    Cancel,
    Retry,
}

async fn act(app: &TestApp, template: &str, id: i64) -> Answer {
    app.post(&path(template, id)).send().await
}

async fn release(app: &TestApp, id: i64) -> Answer {
    report(app, worker::RELEASE, id, &json!({"fence": 1})).await
}

async fn fail(app: &TestApp, id: i64, retry: bool) -> Answer {
    let body = json!({"fence": 1, "resultCode": "18000205", "retry": retry});
    report(app, worker::FAIL, id, &body).await
}

async fn task_in(app: &TestApp, state: State) -> i64 {
    let id = match state {
        State::New | State::Cancelled => app.create(TRANSFER).send().await.task_id(),
        _ => begun(app).await,
    };
    let came = match state {
        State::New | State::Executing => return id,
        State::Waiting => release(app, id).await,
        State::Flagged | State::Cancelled => act(app, tenant::CANCEL, id).await,
        State::Success => complete(app, id, 1).await,
        State::Failed => fail(app, id, false).await,
    };
    assert_eq!(came.status, 200, "{came:?}");
    id
}

/// The HTTP status, and the task's status and result code afterwards.
fn expected(state: State, doing: Doing) -> (u16, (u64, Option<&'static str>)) {
    let before = match state {
        State::New | State::Waiting => (0, None),
        State::Executing | State::Flagged => (1, None),
        State::Success => (2, None),
        State::Failed => (3, Some("18000205")),
        State::Cancelled => (3, Some("18990002")),
    };
    let after = match (state, doing) {
        (State::New | State::Waiting, Doing::Cancel) => (3, Some("18990002")),
        (State::Executing | State::Flagged, Doing::Complete) => (2, None),
        (State::Executing, Doing::FailRetry | Doing::Release) => (0, None),
        (State::Flagged, Doing::FailRetry | Doing::Release) => (3, Some("18990003")),
        (State::Executing | State::Flagged, Doing::FailFinal) => (3, Some("18000205")),
        (State::Executing | State::Flagged, Doing::Cancel) => (1, None),
        // Done already, or cancelled already.
        (State::Success, Doing::Complete)
        | (State::Failed, Doing::FailRetry | Doing::FailFinal)
        | (State::Cancelled, Doing::Cancel) => before,
        (State::Failed | State::Cancelled, Doing::Retry) => (0, None),
        _ => return (409, before),
    };
    (200, after)
}

async fn every_report_and_every_request_does_in_every_state_what_the_table_says(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    for state in [
        State::New,
        State::Waiting,
        State::Executing,
        State::Flagged,
        State::Success,
        State::Failed,
        State::Cancelled,
    ] {
        for doing in [
            Doing::Complete,
            Doing::FailRetry,
            Doing::FailFinal,
            Doing::Release,
            Doing::Cancel,
            Doing::Retry,
        ] {
            let id = task_in(&app, state).await;
            let answer = match doing {
                Doing::Complete => complete(&app, id, 1).await,
                Doing::FailRetry => fail(&app, id, true).await,
                Doing::FailFinal => fail(&app, id, false).await,
                Doing::Release => release(&app, id).await,
                Doing::Cancel => act(&app, tenant::CANCEL, id).await,
                Doing::Retry => act(&app, tenant::RETRY, id).await,
            };
            let (expected, after) = expected(state, doing);
            assert_eq!(answer.status, expected, "{state:?} {doing:?} {answer:?}");
            let (now, code) = status(&app, id).await;
            assert_eq!((now, code.as_deref()), after, "{state:?} {doing:?}");
            if matches!(doing, Doing::Cancel | Doing::Retry) && expected == 200 {
                assert_eq!(answer.body["status"], after.0, "{state:?} {doing:?}");
            }
        }
    }
    app.stop().await;
}

async fn a_refused_report_tells_in_both_languages_what_became_of_the_attempt(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    let superseded = begun(&app).await;
    let over = task_in(&app, State::Waiting).await;
    let ended = task_in(&app, State::Failed).await;
    let old_fence = 7;
    for (id, fence, en, zh) in [
        (
            superseded,
            old_fence,
            "is superseded: the task was started again, or by another credential",
            "已被取代：任务已被再次启动，或由其他凭证启动",
        ),
        (
            over,
            1,
            "is over: the task was given back, or its lease ended",
            "已结束：任务已被归还，或租约已到期",
        ),
        (ended, 1, "has ended, with its task", "任务已结束"),
    ] {
        let call = app.worker(&path(worker::COMPLETE, id), &json!({"fence": fence}));
        for (language, reason, msg) in [
            ("en-US", en, "The report changes nothing."),
            ("zh-CN", zh, "该报告未生效。"),
        ] {
            let answer = call.clone().header("language", language).send().await;
            assert_eq!(answer.status, 409);
            let details = json!([{"field": "fence", "reason": reason}]);
            assert_eq!(
                answer.body,
                json!({"code": 13_000_101, "msg": msg, "details": details})
            );
        }
    }
    app.stop().await;
}

async fn a_refused_tenant_learns_the_state_of_the_task(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    for (state, template, en) in [
        (
            State::New,
            tenant::RETRY,
            "The task has not been started yet.",
        ),
        (
            State::Waiting,
            tenant::RETRY,
            "The task waits to be tried again.",
        ),
        (
            State::Executing,
            tenant::RETRY,
            "The task is being executed.",
        ),
        (State::Success, tenant::RETRY, "The task has ended well."),
        (State::Success, tenant::CANCEL, "The task has ended well."),
        (State::Failed, tenant::CANCEL, "The task has failed."),
    ] {
        let id = task_in(&app, state).await;
        let answer = act(&app, template, id).await;
        assert_eq!(answer.status, 409);
        assert_eq!(answer.body, json!({"code": 13_000_101, "msg": en}));
    }
    app.stop().await;
}

async fn a_late_worker_does_not_end_the_attempt_of_another(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    let id = begun(&app).await;
    let lost = Command::LoseLease {
        fence: Fence::new(1),
        retry: RetryPolicy {
            max_attempts: 1,
            ..RetryPolicy::default()
        }
        .backoff(Duration::ZERO),
    };
    app.apply(id, lost).await;
    act(&app, tenant::RETRY, id).await;
    app.apply(id, claim_of("dev")).await;
    // Of two attempts the second has fence 2.
    let late = complete(&app, id, 1).await;
    assert_eq!(late.status, 409);
    assert_eq!(status(&app, id).await, (1, None));
    assert_eq!(complete(&app, id, 2).await.status, 200);
    app.stop().await;
}

async fn a_heartbeat_tells_of_each_task_whether_it_is_held(store: &str) {
    let app = TestApp::start_on(store, "", Defaults::Dev).await;
    let (held, flagged, superseded) = (begun(&app).await, begun(&app).await, begun(&app).await);
    let new = app.create(TRANSFER).send().await.task_id();
    act(&app, tenant::CANCEL, flagged).await;
    let nobody = 4_611_686_018_427_387_904_i64;
    let beat = |id: i64, fence: u32| json!({"taskId": id.to_string(), "fence": fence});
    let body = json!({"tasks": [
        beat(held, 1),
        beat(flagged, 1),
        beat(superseded, 2),
        beat(new, 1),
        beat(nobody, 1),
        {"taskId": held.to_string(), "fence": 1, "successCount": 1, "failCount": 0},
    ]});
    let answer = app.worker(worker::HEARTBEAT, &body).send().await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let told = answer.body["tasks"].as_array().unwrap();
    let states: Vec<&Value> = told.iter().map(|task| &task["state"]).collect();
    assert_eq!(states, ["held", "cancel", "lost", "lost", "lost", "held"]);
    let ids: Vec<_> = told.iter().map(|task| task["taskId"].as_str()).collect();
    let ids_sent = [held, flagged, superseded, new, nobody, held].map(|id| id.to_string());
    assert_eq!(ids, ids_sent.each_ref().map(|id| Some(id.as_str())));
    app.stop().await;
}
