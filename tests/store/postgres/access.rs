//! Getting at the database: who may, and what those are told who may not.

use kootask::config::{Config, Defaults};
use kootask::store::StoreUrl;
use kootask::store::postgres::{OpenError, PostgresUrl};

use super::super::{create_new, transfer};
use super::proxy::{Proxy, Rule};
use super::{Place, open, refused};

const PASSWORD: &str = "hunter2-hunter2";

/// What is said of a refusal, without a trace of the password.
fn said(refused: &OpenError) -> String {
    let said = refused.to_string();
    assert!(!format!("{said} {refused:?}").contains("hunter2"), "{said}");
    said
}

#[tokio::test]
async fn a_wrong_password_is_refused_and_not_shown() {
    let place = Place::new();
    let role = place.database.role("right");
    let url = place.database.url_as(&format!("{role}:{PASSWORD}"));
    let refused = refused(&url.parse().unwrap(), place.context(None)).await;
    let said = said(&refused);
    let expected = format!("says: password authentication failed for user \"{role}\"");
    assert!(said.ends_with(&expected), "{said}");
}

#[tokio::test]
async fn a_database_that_does_not_exist_is_refused_by_its_name() {
    let place = Place::new();
    let role = place.database.role(PASSWORD);
    let url = place.database.url_as(&format!("{role}:{PASSWORD}"));
    let url = url.replace("/test_", "/nowhere_");
    let refused = refused(&url.parse().unwrap(), place.context(None)).await;
    let said = said(&refused);
    assert!(said.contains("says: database \"nowhere_"), "{said}");
    assert!(said.ends_with("does not exist"), "{said}");
}

#[tokio::test]
async fn the_password_may_stand_in_the_url_in_a_setting_or_in_a_file() {
    let place = Place::migrated().await;
    let password = "p@ss/w:ör?d#'";
    let role = place.database.role(password);
    place.database.sql(&format!(
        "GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO {role}"
    ));
    let url = |credentials: &str| {
        let url = place.database.url_as(credentials);
        format!("[store]\nurl = \"{url}\"\n")
    };
    let bare = url(&role);
    let encoded = "p%40ss%2Fw%3A%C3%B6r%3Fd%23%27";
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("password");
    std::fs::write(&file, format!("{password}\n")).unwrap();
    for toml in [
        url(&format!("{role}:{encoded}")),
        format!("{bare}password = \"{password}\""),
        format!("{bare}password_file = \"{}\"", file.display()),
    ] {
        let config = Config::from_toml(&toml, Defaults::Serve).unwrap();
        let StoreUrl::Postgres(url) = config.store.url else {
            panic!("{toml}");
        };
        let store = open(&url, place.context(None)).await.unwrap();
        create_new(&store, transfer("source"), None).await;
        store.close().await;
    }
    // None at all is no way in.
    let config = Config::from_toml(&bare, Defaults::Serve).unwrap();
    let StoreUrl::Postgres(url) = config.store.url else {
        panic!("{bare}");
    };
    let said = refused(&url, place.context(None)).await.to_string();
    assert!(said.contains("password"), "{said}");
}

/// A service and its database are often started together.
#[tokio::test]
async fn a_database_that_comes_up_meanwhile_is_used() {
    let place = Place::new();
    let proxy = Proxy::before(&place.database).await;
    let url: PostgresUrl = place.database.url_through(proxy.port).parse().unwrap();
    for rule in [Rule::HangUp, Rule::Silence] {
        let before = proxy.connections();
        proxy.set(rule);
        let up = async {
            proxy.connection_after(before).await;
            proxy.set(Rule::Forward);
        };
        let (store, ()) = tokio::join!(open(&url, place.context(None)), up);
        let store = store.unwrap();
        create_new(&store, transfer("source"), None).await;
        store.close().await;
    }
}
