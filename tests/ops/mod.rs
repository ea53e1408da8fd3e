//! The operations listener, and what stands around a running service: health,
//! readiness, metrics, the document, proxies, and systemd.

mod commands;
mod documentation;
mod health;
mod metrics;
mod proxies;
mod readiness;
mod systemd;
mod traces;

use std::io::{BufRead, BufReader};
use std::net::SocketAddr;
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use serde_json::Value;

use crate::cli::serve::admit;
use crate::support::client::{Call, TRANSFER};
use crate::support::process::{kootask, send_signal};
use crate::support::until;

/// The bearer token that the services of these tests admit.
const TOKEN: &str = "a-token";

/// A running `kootask serve` with an operations listener; killed when dropped.
struct Watched {
    child: Child,
    /// Of the operations listener.
    ops: SocketAddr,
    lines: Arc<Mutex<Vec<Value>>>,
}

/// An answer of the operations listener.
struct Answer {
    status: StatusCode,
    media_type: String,
    text: String,
}

impl Answer {
    fn json(&self) -> Value {
        serde_json::from_str(&self.text).unwrap()
    }
}

/// `kootask serve` on ports of its own, with memory for a store.
fn serve() -> Command {
    let mut command = kootask();
    admit(&mut command, TOKEN)
        .arg("serve")
        .env("KOOTASK__SERVER__LISTEN", "127.0.0.1:0")
        .env("KOOTASK__SERVER__OPS_LISTEN", "127.0.0.1:0")
        .env("KOOTASK__STORE__URL", "memory:");
    command
}

fn address_of(line: &Value) -> SocketAddr {
    line["address"].as_str().unwrap().parse().unwrap()
}

impl Watched {
    /// Starts it, and waits for the operations listener alone.
    fn start(mut command: Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap()).lines();
        let lines = Arc::<Mutex<Vec<Value>>>::default();
        let ops = loop {
            let line = log.next().expect("it ended").unwrap();
            let line: Value = serde_json::from_str(&line).unwrap();
            if line["message"] == "operations listener" {
                break address_of(&line);
            }
        };
        let kept = Arc::clone(&lines);
        std::thread::spawn(move || {
            for line in log.map_while(Result::ok) {
                kept.lock()
                    .unwrap()
                    .push(serde_json::from_str(&line).unwrap());
            }
        });
        Self { child, ops, lines }
    }

    async fn get(&self, path: &str) -> Answer {
        get(self.ops, path).await.unwrap()
    }

    /// The line of the log with this message, once it is there.
    async fn line(&self, message: &str) -> Value {
        let find = || {
            let lines = self.lines.lock().unwrap();
            lines
                .iter()
                .find(|line| line["message"] == message)
                .cloned()
        };
        until(message, async || find().is_some()).await;
        find().unwrap()
    }

    /// The address of the service, once it takes requests.
    async fn address(&self) -> SocketAddr {
        address_of(&self.line("ready").await)
    }

    /// What `/readyz` answers, once its status is this.
    async fn readiness(&self, status: &str) -> Answer {
        until(status, async || {
            self.get("/readyz").await.json()["status"] == status
        })
        .await;
        self.get("/readyz").await
    }

    async fn create(&self) -> StatusCode {
        let call = Call::create(self.address().await, TRANSFER).bearer(TOKEN);
        call.send().await.status
    }

    fn signal(&self, signal: &str) {
        send_signal(&self.child, signal);
    }
}

impl Drop for Watched {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

async fn get(address: SocketAddr, path: &str) -> reqwest::Result<Answer> {
    let client = reqwest::Client::builder().no_proxy().build()?;
    let answer = client.get(format!("http://{address}{path}")).send().await?;
    let media_type = answer.headers().get("content-type");
    Ok(Answer {
        status: answer.status(),
        media_type: media_type
            .map(|value| value.to_str().unwrap().to_owned())
            .unwrap_or_default(),
        text: answer.text().await?,
    })
}
