//! Certificates that are replaced while the service runs.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::Value;

use crate::cli::outcome;
use crate::cli::serve::{Service, admit};
use crate::support::client::USER;
use crate::support::process::{kootask, send_signal};
use crate::support::tls::{Authority, Client, Pair, configuration};
use crate::support::until;
use crate::support::volume::Volume;
use crate::support::wire::{Wire, create_request, transfer_from};

const TOKEN: &str = "a-token";

/// A service whose certificate is in a volume.
struct Secure {
    service: Service,
    volume: Volume,
    config: String,
}

impl Secure {
    fn start(pair: &Pair) -> Self {
        let volume = Volume::new(&[]);
        let config = configuration(&volume.path(""));
        let mut secure = Vec::from(files(pair));
        secure.push(("kootask.toml", &config));
        volume.swap(&secure);
        let service = Service::start(|command| {
            admit(command, TOKEN)
                .env("KOOTASK__SERVER__OPS_LISTEN", "127.0.0.1:0")
                .arg("--config")
                .arg(volume.path("kootask.toml"))
        });
        Self {
            service,
            volume,
            config,
        }
    }

    /// Puts these in place of the pair there is.
    fn swap(&self, files: [(&'static str, &str); 2]) {
        let [cert, key] = files;
        let config = ("kootask.toml", &*self.config);
        self.volume.swap(&[cert, key, config]);
    }

    fn address(&self) -> SocketAddr {
        self.service.address
    }

    /// Has everything reloaded, until a line tells this of the certificate. It may be
    /// told twice: the files are looked at without being asked, too.
    fn reload(&mut self, message: &str, is_it: impl Fn(&Value) -> bool) -> Value {
        send_signal(&self.service.child, "HUP");
        self.service.line(|line| {
            let said = line["message"].as_str().unwrap_or_default();
            said.starts_with(message) && is_it(line)
        })
    }

    fn take(&mut self, pair: &Pair, end: &str) {
        self.swap(files(pair));
        self.reload("certificate reloaded", |line| line["end"] == end);
    }
}

fn files(pair: &Pair) -> [(&'static str, &str); 2] {
    [("tls.crt", &pair.cert), ("tls.key", &pair.key)]
}

/// Creates tasks, a connection for each, until it is told to stop; how many.
async fn create_until(stop: Arc<AtomicBool>, client: Client, address: SocketAddr) -> usize {
    let mut created = 0;
    while !stop.load(Ordering::Relaxed) {
        let stream = client.connect(address).await.expect("no connection");
        let authorization = format!("Authorization: Bearer {TOKEN}\r\n");
        let request = create_request(&authorization, &transfer_from(USER));
        let mut wire = Wire::over(stream);
        wire.send(request).await.unwrap();
        wire.reply().await.task_id();
        created += 1;
    }
    created
}

#[tokio::test(flavor = "multi_thread")]
async fn a_certificate_is_replaced_under_load_and_nobody_is_turned_away() {
    let authority = Authority::new("the authority");
    let secure = Secure::start(&authority.issue());
    let (client, address) = (Client::trusting(&authority), secure.address());
    let stop = Arc::<AtomicBool>::default();
    let clients: Vec<_> = (0..4)
        .map(|_| tokio::spawn(create_until(Arc::clone(&stop), client.clone(), address)))
        .collect();
    for _ in 0..2 {
        // As many bytes as before, of the same time, and no signal.
        let pair = authority.issue();
        secure.swap(files(&pair));
        until("the new certificate is shown", async || {
            client.shown(address).await == pair.der()
        })
        .await;
    }
    stop.store(true, Ordering::Relaxed);
    for client in clients {
        assert!(client.await.unwrap() > 0);
    }
    assert_eq!(secure.service.end("TERM").0, Some(0));
}

#[tokio::test]
async fn a_pair_of_no_use_is_refused_and_counted_and_the_old_one_stays() {
    let authority = Authority::new("the authority");
    let (old, new) = (authority.issue(), authority.issue());
    let ended = authority.issue_until(2020);
    let mut secure = Secure::start(&old);
    let client = Client::trusting(&authority);
    let [old_cert, old_key] = files(&old);
    let [new_cert, new_key] = files(&new);
    for (files, why) in [
        ([new_cert, old_key], "is not that of the certificate"),
        ([old_cert, new_key], "is not that of the certificate"),
        ([("tls.crt", ""), new_key], "there is no certificate"),
        ([new_cert, ("tls.key", "x")], "there is no private key"),
        (files(&ended), "ended at 2020-01-01T00:00:00Z"),
    ] {
        secure.swap(files);
        let refused = secure.reload("the certificate is not reloaded", |line| {
            line["error"].as_str().unwrap().contains(why)
        });
        assert_eq!(refused["level"], "ERROR");
        assert_eq!(client.shown(secure.address()).await, old.der());
    }
    let refused = "kootask_reloads_total{what=\"certificate\",outcome=\"refused\"}";
    assert!(secure.service.metric(refused).await >= 5.0);
    let loaded = "kootask_reloads_total{what=\"certificate\",outcome=\"loaded\"}";
    assert_eq!(secure.service.metric(loaded).await, 0.0);

    secure.take(&new, "2100-01-01T00:00:00Z");
    assert_eq!(client.shown(secure.address()).await, new.der());
    assert!(secure.service.metric(loaded).await >= 1.0);
}

#[tokio::test]
async fn the_end_of_the_certificate_in_force_is_a_metric() {
    let authority = Authority::new("the authority");
    let mut secure = Secure::start(&authority.issue_until(2100));
    let name = "kootask_tls_expiry_timestamp_seconds";
    assert_eq!(secure.service.metric(name).await, 4_102_444_800.0);
    let pair = authority.issue_until(2050);
    secure.take(&pair, "2050-01-01T00:00:00Z");
    assert_eq!(secure.service.metric(name).await, 2_524_608_000.0);
}

#[test]
fn the_operations_listener_stays_plain_and_healthcheck_asks_it() {
    let authority = Authority::new("the authority");
    let secure = Secure::start(&authority.issue());
    let mut check = kootask();
    check
        .args(["healthcheck", "--config"])
        .arg(secure.volume.path("kootask.toml"))
        .env(
            "KOOTASK__SERVER__OPS_LISTEN",
            secure.service.ops().to_string(),
        );
    let checked = outcome(admit(&mut check, TOKEN));
    assert_eq!(checked.code, Some(0), "{checked:?}");
    assert!(checked.out.contains("\"status\":\"ready\""));
}
