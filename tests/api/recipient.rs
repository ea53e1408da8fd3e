//! `GET /koodrive/ose/v1/task/dstUserInfo/{src_user_id}`, and the names that the
//! user directory gives.

use kootask::config::Defaults;
use reqwest::StatusCode;
use serde_json::json;

use crate::support::client::{Answer, TRANSFER};
use crate::support::credentials::token;
use crate::support::{TestApp, until};

const SOURCE: &str = "1397687227244555008";

async fn recipient(app: &TestApp, source: &str) -> Answer {
    app.read(&format!("/koodrive/ose/v1/task/dstUserInfo/{source}"))
        .send()
        .await
}

#[tokio::test]
async fn it_is_the_recipient_of_the_newest_transfer() {
    let app = TestApp::dev().await;
    app.create(TRANSFER).send().await.task_id();
    app.create(&TRANSFER.replace("1507947856550550784", "somebody-else"))
        .send()
        .await
        .task_id();
    let answer = recipient(&app, SOURCE).await;
    assert_eq!(
        answer.body,
        json!({"id": "somebody-else", "code": 0, "msg": "Success."})
    );
    app.stop().await;
}

#[tokio::test]
async fn an_unknown_user_and_another_tenants_user_are_the_same_404() {
    let toml = token("one", "acme") + &token("two", "umbrella");
    let app = TestApp::start(&toml, Defaults::Serve).await;
    app.create(TRANSFER).bearer("one").send().await.task_id();
    let of = |user: &str| {
        app.read(&format!("/koodrive/ose/v1/task/dstUserInfo/{user}"))
            .bearer("two")
            .send()
    };
    let (theirs, none) = (of(SOURCE).await, of("nobody").await);
    assert_eq!(
        (theirs.status, &theirs.body["code"]),
        (StatusCode::NOT_FOUND, &json!(13_000_309))
    );
    assert_eq!((none.status, none.body), (theirs.status, theirs.body));
    app.stop().await;
}

#[tokio::test]
async fn what_is_no_user_id_is_an_invalid_parameter() {
    let app = TestApp::dev().await;
    for user in ["a%20b", "%E4%B8%AD", "%FF", &"x".repeat(65)] {
        let answer = recipient(&app, user).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{user}");
        assert_eq!(answer.body["details"][0]["field"], "src_user_id");
    }
    app.stop().await;
}

#[tokio::test]
async fn names_come_from_the_directory_and_follow_its_file() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("users.csv");
    std::fs::write(&file, format!("user_id,name\n{SOURCE},Jane\nbroken\n")).unwrap();
    let toml = format!("[directory]\nfile = \"{}\"\n", file.display());
    let app = TestApp::start(&toml, Defaults::Dev).await;
    let id = app.create(TRANSFER).send().await.task_id();
    let detail = || async {
        app.read(&format!("/koodrive/ose/v1/task/{id}"))
            .send()
            .await
    };
    assert_eq!(detail().await.body["taskName"], "Jane");
    assert_eq!(recipient(&app, SOURCE).await.body.get("name"), None);

    let names = format!("user_id,name\n{SOURCE},Janet\n1507947856550550784,\"Doe, John\"\n");
    std::fs::write(&file, names).unwrap();
    until("the new names are there", async || {
        detail().await.body["taskName"] == "Janet"
    })
    .await;
    assert_eq!(recipient(&app, SOURCE).await.body["name"], "Doe, John");

    // A file that goes away or makes no sense costs nothing.
    std::fs::write(&file, "no headers at all\n").unwrap();
    std::fs::remove_file(&file).unwrap();
    assert_eq!(detail().await.body["taskName"], "Janet");
    app.stop().await;
}
