//! The form of a signature header, and whose secrets make it good.

use http::StatusCode;
use kootask::config::Defaults;

use super::gate::Gate;
use super::model::{Meaning, SIGNED_HEADERS};
use crate::support::TestApp;
use crate::support::client::TRANSFER;
use crate::support::credentials::app as app_entry;

fn request() -> Meaning {
    Meaning {
        method: "POST".to_owned(),
        segments: vec![b"create".to_vec()],
        parameters: Vec::new(),
        host: "h".to_owned(),
        user: "user".to_owned(),
        extra: "more".to_owned(),
        body: b"{}".to_vec(),
    }
}

/// The verdict on a signed request whose signature header is edited.
async fn judged(edit: impl FnOnce(String) -> String) -> StatusCode {
    let written = request().written(0);
    let authorization = edit(written.authorization());
    Gate::new().judge(written.request(&authorization)).await
}

#[tokio::test]
async fn spaces_may_follow_commas_and_the_scheme_is_of_any_case() {
    assert_eq!(judged(|header| header).await, 200);
    assert_eq!(judged(|header| header.replace(',', ", ")).await, 200);
    assert_eq!(judged(|header| header.replace(',', ",   ")).await, 200);
    assert_eq!(
        judged(|header| header.replace("HMAC-SHA256", "hmac-sha256")).await,
        200
    );
}

#[tokio::test]
async fn the_parameters_may_come_in_any_order() {
    let reversed = |header: String| {
        let parameters = header.strip_prefix("HMAC-SHA256 ").unwrap();
        let reversed: Vec<_> = parameters.split(',').rev().collect();
        format!("HMAC-SHA256 {}", reversed.join(","))
    };
    assert_eq!(judged(reversed).await, 200);
}

#[tokio::test]
async fn each_parameter_must_be_there_once_and_no_other() {
    for missing in ["AppId", "SignedHeaders", "Signature"] {
        let edit = |header: String| {
            let parameters = header.strip_prefix("HMAC-SHA256 ").unwrap();
            let kept: Vec<_> = parameters
                .split(',')
                .filter(|p| !p.starts_with(missing))
                .collect();
            format!("HMAC-SHA256 {}", kept.join(","))
        };
        assert_eq!(judged(edit).await, 401, "without {missing}");
        let twice = |header: String| {
            let parameters = header.strip_prefix("HMAC-SHA256 ").unwrap().to_owned();
            let again = parameters
                .split(',')
                .find(|p| p.starts_with(missing))
                .unwrap();
            format!("{header},{again}")
        };
        assert_eq!(judged(twice).await, 401, "{missing} twice");
    }
    assert_eq!(judged(|header| header + ",Extra=1").await, 401);
    assert_eq!(judged(|header| header + ",").await, 401);
    assert_eq!(judged(|header| header.replace(',', " ")).await, 401);
    assert_eq!(judged(|_| "HMAC-SHA256".to_owned()).await, 401);
    assert_eq!(judged(|_| "HMAC-SHA256 ".to_owned()).await, 401);
}

#[tokio::test]
async fn the_signature_is_of_64_lower_case_hexadecimal_digits() {
    let with = |change: fn(&str) -> String| {
        move |header: String| {
            let (rest, signature) = header.rsplit_once('=').unwrap();
            format!("{rest}={}", change(signature))
        }
    };
    assert_eq!(judged(with(str::to_uppercase)).await, 401);
    assert_eq!(judged(with(|hex| hex[2..].to_owned())).await, 401);
    assert_eq!(judged(with(|hex| format!("{hex}00"))).await, 401);
    assert_eq!(judged(with(|hex| hex.replace(|_| true, "g"))).await, 401);
    assert_eq!(judged(with(|_| String::new())).await, 401);
}

#[tokio::test]
async fn the_signed_headers_are_lower_case_sorted_and_hold_the_three() {
    for names in [
        "Host;x-date;x-extra;x-user-id",
        "x-date;host;x-extra;x-user-id",
        "host;x-date;x-date;x-extra;x-user-id",
        "x-date;x-extra;x-user-id",
        "host;x-user-id",
        "host;x-date",
        "",
        "host;x-date;x-user-id;",
        "host,x-date,x-user-id",
        "host;x-date;x-not-there;x-user-id",
    ] {
        let edit = |header: String| header.replace(SIGNED_HEADERS, names);
        assert_eq!(judged(edit).await, 401, "{names}");
    }
}

#[tokio::test]
async fn another_apps_id_or_none_is_refused() {
    let edit = |header: String| header.replace("AppId=a", "AppId=b");
    assert_eq!(judged(edit).await, 401);
    let edit = |header: String| header.replace("AppId=a", "AppId= a");
    assert_eq!(judged(edit).await, 401);
}

#[tokio::test]
async fn a_signed_header_that_is_there_twice_is_refused() {
    let written = request().written(0);
    let mut sent = written.request(&written.authorization());
    sent.headers_mut()
        .append("x-extra", "again".parse().unwrap());
    assert_eq!(Gate::new().judge(sent).await, 401);
}

/// The status of a create call signed with this secret.
async fn signed_with(app: &TestApp, app_id: &str, secret: &str) -> u16 {
    app.create(TRANSFER)
        .signed(app_id, secret)
        .send()
        .await
        .status
        .as_u16()
}

#[tokio::test]
async fn all_secrets_of_an_app_are_good_while_one_is_rotated() {
    let config = [
        app_entry("console", "the old secret it had", "acme"),
        app_entry("another", "the other one's secret", "umbrella"),
        app_entry("console", "the new secret it has", "acme"),
    ];
    let app = TestApp::start(&config.concat(), Defaults::Serve).await;
    assert_eq!(
        signed_with(&app, "console", "the old secret it had").await,
        200
    );
    assert_eq!(
        signed_with(&app, "console", "the new secret it has").await,
        200
    );
    assert_eq!(
        signed_with(&app, "another", "the other one's secret").await,
        200
    );
    for (app_id, secret) in [
        ("console", "the other one's secret"),
        ("another", "the old secret it had"),
        ("console", ""),
        ("console", "the old secret it hadthe new secret it has"),
        ("unknown", "the old secret it had"),
    ] {
        assert_eq!(
            signed_with(&app, app_id, secret).await,
            401,
            "{app_id} {secret}"
        );
    }
    app.stop().await;
}

#[tokio::test]
async fn a_signature_is_verified_in_the_stand_in_too() {
    let app = TestApp::start(
        &app_entry("console", "secret-of-the-console", "acme"),
        Defaults::Dev,
    )
    .await;
    assert_eq!(
        signed_with(&app, "console", "secret-of-the-console").await,
        200
    );
    assert_eq!(signed_with(&app, "console", "wrong").await, 401);
    assert_eq!(
        signed_with(&app, "unknown", "secret-of-the-console").await,
        401
    );
    app.stop().await;
}

#[tokio::test]
async fn what_is_signed_cannot_be_changed_on_the_way() {
    let app = TestApp::start(
        &app_entry("console", "secret-of-the-console", "acme"),
        Defaults::Serve,
    )
    .await;
    let signed = app
        .create(TRANSFER)
        .signed("console", "secret-of-the-console");
    let earlier = jiff::Timestamp::now() - jiff::SignedDuration::from_secs(5);
    let changed = [
        signed.clone().body(TRANSFER.replace('3', "4")),
        signed.clone().body(""),
        signed.clone().header("X-User-Id", "another"),
        signed.clone().header("Host", "elsewhere"),
        signed.clone().at(earlier),
    ];
    for call in changed {
        assert_eq!(call.send().await.status, 401);
    }
    signed.send().await.task_id();
    app.stop().await;
}
