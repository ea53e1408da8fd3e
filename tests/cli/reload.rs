//! What changes while the service runs: credentials and limits, by SIGHUP and by
//! themselves.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use super::serve::Service;
use crate::support::client::{Call, TRANSFER};
use crate::support::credentials::{app, token};
use crate::support::process::send_signal;
use crate::support::until;
use crate::support::volume::Volume;

/// The service with `kootask.toml` of this volume.
pub(super) fn serve(volume: &Volume) -> Service {
    Service::start(|command| {
        command
            .env("KOOTASK__SERVER__OPS_LISTEN", "127.0.0.1:0")
            .arg("--config")
            .arg(volume.path("kootask.toml"))
    })
}

/// The status of a create call with this bearer token.
pub(super) async fn status(service: &Service, token: &str) -> u16 {
    let call = Call::create(service.address, TRANSFER).bearer(token);
    call.send().await.status.as_u16()
}

/// The reload that a signal asks for; the line, of such a message, that tells what came
/// of it.
pub(super) fn reload_until(
    service: &mut Service,
    tells: impl Fn(&str) -> bool,
) -> serde_json::Value {
    send_signal(&service.child, "HUP");
    service.line(|line| tells(line["message"].as_str().unwrap_or_default()))
}

fn reload(service: &mut Service) -> serde_json::Value {
    reload_until(service, |message| {
        message.starts_with("configuration reloaded") || message.contains("is not reloaded")
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_replaced_under_load_and_nobody_is_turned_away() {
    let tokens = |second: &str| token("steady", "acme") + &token(second, "acme");
    let volume = Volume::new(&[("kootask.toml", &tokens("token-1"))]);
    let service = serve(&volume);
    let stop = Arc::new(AtomicBool::new(false));
    let steady: Vec<_> = (0..4)
        .map(|_| {
            let (call, stop) = (Call::create(service.address, TRANSFER), Arc::clone(&stop));
            tokio::spawn(async move {
                let mut answered = 0;
                while !stop.load(Ordering::Relaxed) {
                    call.clone()
                        .at(jiff::Timestamp::now())
                        .bearer("steady")
                        .send()
                        .await
                        .task_id();
                    answered += 1;
                }
                answered
            })
        })
        .collect();
    for (old, new) in [("token-1", "token-2"), ("token-2", "token-3")] {
        assert_eq!(status(&service, old).await, 200);
        // As many bytes as before, of the same time, and no signal.
        volume.swap(&[("kootask.toml", &tokens(new))]);
        until("the new token is good", async || {
            status(&service, new).await == 200
        })
        .await;
        assert_eq!(status(&service, old).await, 401);
    }
    stop.store(true, Ordering::Relaxed);
    for caller in steady {
        assert!(caller.await.unwrap() > 0);
    }
    assert_eq!(service.end("TERM").0, Some(0));
}

#[tokio::test]
async fn a_secret_in_a_file_of_its_own_is_rotated() {
    let app = |folder: &Path| {
        format!(
            "[[auth.apps]]\napp_id = \"console\"\ntenant_id = \"acme\"\napp_secret_file = \"{}\"\n",
            folder.join("secret").display()
        )
    };
    let volume = Volume::new(&[]);
    let config = app(&volume.path(""));
    let files = |secret| [("kootask.toml", config.as_str()), ("secret", secret)];
    let (old, new) = ("the first secret of them", "the second secret, newer");
    volume.swap(&files(old));
    let service = serve(&volume);
    let signed = async |secret: &str| {
        let call = Call::create(service.address, TRANSFER);
        call.signed("console", secret).send().await.status.as_u16()
    };
    assert_eq!(signed(old).await, 200);
    volume.swap(&files(new));
    until("the new secret is good", async || signed(new).await == 200).await;
    assert_eq!(signed(old).await, 401);
}

#[tokio::test]
async fn a_configuration_of_no_use_is_refused_and_reported_and_the_old_one_stays() {
    let good = token("good", "acme");
    let volume = Volume::new(&[("kootask.toml", &good)]);
    let mut service = serve(&volume);
    let short = app("console", "a-short-secret", "acme");
    for (content, why) in [
        ("[[auth.tokens]\n", "no TOML"),
        ("", "no credential"),
        (short.as_str(), "app_secret"),
        ("[server]\nlissten = \"x\"\n", "server.listen was meant?"),
    ] {
        volume.swap(&[("kootask.toml", content)]);
        let refused = reload(&mut service);
        assert_eq!(refused["level"], "ERROR");
        let error = refused["error"].as_str().unwrap();
        assert!(error.contains(why), "{error}");
        assert!(!error.contains("a-short-secret"), "{error}");
        assert_eq!(status(&service, "good").await, 200);
    }
    std::fs::remove_file(volume.path("kootask.toml")).unwrap();
    assert_eq!(reload(&mut service)["level"], "ERROR");
    assert_eq!(status(&service, "good").await, 200);

    volume.swap(&[("kootask.toml", &token("better", "acme"))]);
    assert_eq!(reload(&mut service)["changed"], "auth.tokens");
    assert_eq!(status(&service, "good").await, 401);
    assert_eq!(status(&service, "better").await, 200);
}

#[tokio::test]
async fn all_of_a_configuration_is_taken_or_nothing_of_it() {
    let volume = Volume::new(&[("kootask.toml", &token("good", "acme"))]);
    let mut service = serve(&volume);
    let half = token("other", "acme") + "[limits]\nrequests_per_second = 0\n";
    volume.swap(&[("kootask.toml", &half)]);
    assert_eq!(reload(&mut service)["level"], "ERROR");
    assert_eq!(status(&service, "other").await, 401);
    assert_eq!(status(&service, "good").await, 200);
}

#[test]
fn a_changed_setting_that_needs_a_restart_is_named() {
    let good = token("good", "acme");
    let volume = Volume::new(&[("kootask.toml", &good)]);
    let mut service = serve(&volume);
    let changed =
        "[server]\nbody_limit = \"1KiB\"\n[store]\nmax_connections = 9\n".to_owned() + &good;
    volume.swap(&[("kootask.toml", &changed)]);
    send_signal(&service.child, "HUP");
    for key in ["server.body_limit", "store.max_connections"] {
        let named = service.line(|line| line["level"] == "WARN");
        assert_eq!(
            named["message"],
            "a changed setting takes effect at restart"
        );
        assert_eq!(named["key"], key);
    }
}

#[tokio::test]
async fn limits_are_put_in_force_and_lifted() {
    let good = token("good", "acme");
    let limited = "[limits]\nrequests_per_second = 1\n".to_owned() + &good;
    let volume = Volume::new(&[("kootask.toml", &good)]);
    let mut service = serve(&volume);
    for _ in 0..3 {
        assert_eq!(status(&service, "good").await, 200);
    }
    volume.swap(&[("kootask.toml", &limited)]);
    assert_eq!(
        reload(&mut service)["changed"],
        "limits.requests_per_second"
    );
    until("a request is too many", async || {
        status(&service, "good").await == 429
    })
    .await;
    volume.swap(&[("kootask.toml", &good)]);
    reload(&mut service);
    for _ in 0..3 {
        assert_eq!(status(&service, "good").await, 200);
    }
}
