//! Requests within TLS, and connections that do not get that far.

use std::time::{Duration, Instant};

use futures_util::future::join_all;
use kootask::api::{CREATE, LIST};
use kootask::config::Defaults;

use super::Issued;
use crate::cli::{outcome, pasted};
use crate::support::TestApp;
use crate::support::http2;
use crate::support::process::{TestProcess, kootask};
use crate::support::tls::{Authority, Client, VERSIONS};
use crate::support::wire::{Wire, transfer_from};

/// The service waits 30 s for a handshake and a head; this is when it must have lost
/// patience.
const PATIENCE: Duration = Duration::from_secs(34);

async fn dev(issued: &Issued) -> TestApp {
    TestApp::start(&issued.config, Defaults::Dev).await
}

/// The status of a create call over a connection of this client's, if it got one.
async fn create(app: &TestApp, client: &Client) -> Option<u16> {
    let mut wire = Wire::over(client.connect(app.address).await.ok()?);
    let reply = wire.create("", &transfer_from("source")).await?;
    Some(reply.status)
}

#[tokio::test]
async fn tls_1_2_and_1_3_are_spoken() {
    let issued = Issued::new();
    let app = dev(&issued).await;
    for versions in VERSIONS {
        let client = Client::trusting(&issued.authority).with_versions(versions);
        assert_eq!(create(&app, &client).await, Some(200));
        assert_eq!(client.shown(app.address).await, issued.pair.der());
    }
    let stranger = Client::trusting(&Authority::new("another"));
    assert!(stranger.connect(app.address).await.is_err());
    app.stop().await;
}

#[tokio::test]
async fn http_2_is_agreed_on_where_the_client_offers_it() {
    let issued = Issued::new();
    let app = dev(&issued).await;
    for (offered, agreed) in [(&["h2", "http/1.1"][..], "h2"), (&["http/1.1"], "http/1.1")] {
        let client = Client::trusting(&issued.authority).offering(offered);
        let stream = client.connect(app.address).await.unwrap();
        let protocol = stream.get_ref().1.alpn_protocol().map(<[u8]>::to_vec);
        assert_eq!(protocol.as_deref(), Some(agreed.as_bytes()));
        if agreed == "h2" {
            let mut wire = Wire::over(stream);
            let request = [http2::preface(&[]), http2::get(1, LIST)].concat();
            wire.send(request).await.unwrap();
            let has_answer = |bytes: &[u8]| {
                let frames = http2::frames(bytes);
                frames
                    .iter()
                    .any(|(kind, _, stream)| (*kind, *stream) == (1, 1))
            };
            assert!(has_answer(wire.received(has_answer).await));
        }
    }
}

#[test]
fn a_signature_is_good_within_tls_by_both_protocols() {
    let issued = Issued::new();
    let process = TestProcess::configured(&issued.config);
    let root = issued.folder.path().join("root.crt");
    std::fs::write(&root, issued.authority.pem()).unwrap();
    for protocol in ["--http1.1", "--http2"] {
        let mut sign = kootask();
        sign.args(["sign", "--curl", "--app-id", "kootask-dev", "--cacert"])
            .arg(&root)
            .args([
                "--user",
                "somebody",
                "--data",
                &transfer_from("source"),
                "POST",
            ])
            .arg(format!("https://{}{CREATE}", process.address))
            .env("KOOTASK_APP_SECRET", "kootask-dev-secret");
        let signed = outcome(&mut sign);
        assert_eq!(signed.code, Some(0), "{signed:?}");
        let command = signed
            .out
            .replacen("curl ", &format!("curl -sS {protocol} "), 1);
        let Some(answer) = pasted(&command) else {
            return;
        };
        assert!(answer.out.contains("\"code\":0"), "{answer:?}");
    }
}

#[tokio::test]
async fn a_client_needs_a_certificate_where_authorities_of_clients_are_named() {
    let clients = Authority::new("clients");
    let issued = Issued::to_clients_of(&clients);
    let app = dev(&issued).await;
    let nobody = Client::trusting(&issued.authority);
    let known = nobody.clone().showing(&clients.issue());
    let foreign = nobody.clone().showing(&issued.authority.issue());
    let ended = nobody.clone().showing(&clients.issue_until(2020));
    for versions in VERSIONS {
        let create = async |client: &Client| {
            let client = client.clone().with_versions(versions);
            create(&app, &client).await
        };
        assert_eq!(create(&known).await, Some(200));
        for refused in [&nobody, &foreign, &ended] {
            assert_eq!(create(refused).await, None);
        }
    }
}

#[tokio::test]
async fn who_speaks_no_tls_is_told_nothing_and_harms_nobody() {
    let issued = Issued::new();
    let app = dev(&issued).await;
    let mut plain = Wire::connect(app.address).await;
    assert!(plain.create("", &transfer_from("source")).await.is_none());
    let gone = Wire::connect(app.address).await;
    drop(gone);
    let client = Client::trusting(&issued.authority);
    assert_eq!(create(&app, &client).await, Some(200));
}

#[tokio::test]
async fn handshakes_that_do_not_go_on_are_ended_in_time_and_keep_nobody_out() {
    let issued = Issued::new();
    let app = dev(&issued).await;
    let client = Client::trusting(&issued.authority);
    let begun = Instant::now();
    let mut stalled = join_all((0..50).map(|_| Wire::connect(app.address))).await;
    for wire in &mut stalled[25..] {
        // The beginning of a ClientHello.
        wire.send([22, 3, 1, 2, 0, 1]).await.unwrap();
    }
    let silent = client.connect(app.address).await.unwrap();
    stalled.push(Wire::over(silent));
    assert_eq!(create(&app, &client).await, Some(200));
    assert!(begun.elapsed() < Duration::from_secs(20), "it was held up");
    let closed = join_all(stalled.into_iter().map(|wire| wire.closed_within(PATIENCE)));
    closed.await;
    assert_eq!(create(&app, &client).await, Some(200));
}

#[tokio::test]
async fn handshakes_and_idle_connections_do_not_hold_the_exit_up() {
    let issued = Issued::new();
    let app = dev(&issued).await;
    let client = Client::trusting(&issued.authority);
    let stalled = Wire::connect(app.address).await;
    let mut idle = Wire::over(client.connect(app.address).await.unwrap());
    let reply = idle.create("", &transfer_from("source")).await.unwrap();
    assert_eq!(reply.status, 200);
    let asked = Instant::now();
    app.stop().await;
    assert!(asked.elapsed() < Duration::from_secs(5));
    // In order: with a close_notify.
    assert!(idle.ends_in_order().await);
    drop(stalled);
}
