//! Clients that create one task after another on connections of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::ledger::Ledger;
use crate::support::until;
use crate::support::wire::{Reply, Wire, transfer_from};

/// Clients at work.
pub struct Load {
    clients: JoinSet<Ledger>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    answered: AtomicUsize,
    refused: AtomicUsize,
    enough: AtomicBool,
    /// How long a client rests after an answer.
    rest: Duration,
}

/// The header line of an idempotency key.
pub fn key_line(key: &str) -> String {
    format!("Idempotency-Key: {key}\r\n")
}

/// A create for this source user, who is also the idempotency key.
pub async fn create_keyed(wire: &mut Wire, source: &str) -> Option<Reply> {
    wire.create(&key_line(source), &transfer_from(source)).await
}

/// Sends the keyed create for this source user, on new connections, until it
/// is answered with success.
pub async fn retry_keyed(address: SocketAddr, source: &str) -> i64 {
    let mut id = None;
    until("a success at last", async || {
        let Ok(mut wire) = Wire::try_connect(address).await else {
            return false;
        };
        if let Some(reply) = create_keyed(&mut wire, source).await {
            if reply.status == 200 {
                id = Some(reply.task_id());
            } else {
                reply.assert_unavailable();
            }
        }
        id.is_some()
    })
    .await;
    id.unwrap()
}

impl Load {
    /// Starts this many clients. Half of them send idempotency keys. A client
    /// that is refused for now goes on with another task; it ends when its
    /// connection does, or when the load is told to stop.
    pub fn start(address: SocketAddr, clients: usize, name: &str) -> Self {
        Self::start_resting(address, clients, name, Duration::ZERO)
    }

    /// As [`Load::start`], of clients that rest after each answer: for a load
    /// that shall last and leave the machine some time for others.
    pub fn start_resting(address: SocketAddr, clients: usize, name: &str, rest: Duration) -> Self {
        let shared = Arc::new(Shared {
            rest,
            ..Shared::default()
        });
        let clients = (0..clients)
            .map(|number| {
                let name = format!("{name}-{number}");
                run_client(address, name, number.is_multiple_of(2), Arc::clone(&shared))
            })
            .collect();
        Self { clients, shared }
    }

    pub fn answered(&self) -> usize {
        self.shared.answered.load(Ordering::SeqCst)
    }

    /// Waits for this many answers more.
    pub async fn answers(&self, more: usize) {
        let enough = self.answered() + more;
        until("answers", async || self.answered() >= enough).await;
    }

    pub fn refused(&self) -> usize {
        self.shared.refused.load(Ordering::SeqCst)
    }

    /// Waits for this many refusals more.
    pub async fn refusals(&self, more: usize) {
        let enough = self.refused() + more;
        until("refusals", async || self.refused() >= enough).await;
    }

    /// Lets every client finish the request it is at.
    pub async fn stop(self) -> Ledger {
        self.shared.enough.store(true, Ordering::SeqCst);
        self.ended().await
    }

    /// Waits until every client has ended.
    pub async fn ended(self) -> Ledger {
        let mut ledger = Ledger::default();
        for client in self.clients.join_all().await {
            ledger.extend(client);
        }
        ledger
    }
}

async fn run_client(address: SocketAddr, name: String, keyed: bool, shared: Arc<Shared>) -> Ledger {
    let mut ledger = Ledger::default();
    let Ok(mut wire) = Wire::try_connect(address).await else {
        return ledger;
    };
    for number in 0.. {
        if shared.enough.load(Ordering::SeqCst) {
            break;
        }
        let source = source(&name, number, keyed);
        let asked = Instant::now();
        let reply = if keyed {
            create_keyed(&mut wire, &source).await
        } else {
            wire.create("", &transfer_from(&source)).await
        };
        ledger.slowest = ledger.slowest.max(asked.elapsed());
        match reply {
            Some(reply) if reply.status == 200 => {
                ledger.answered.push((source, reply.task_id()));
                shared.answered.fetch_add(1, Ordering::SeqCst);
                if !shared.rest.is_zero() {
                    tokio::time::sleep(shared.rest).await;
                }
            }
            Some(reply) => {
                reply.assert_unavailable();
                ledger.unknown.push(source);
                shared.refused.fetch_add(1, Ordering::SeqCst);
                // As a client that minds Retry-After would, if less patient.
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            None => {
                ledger.unknown.push(source);
                break;
            }
        }
    }
    ledger
}

const KEYED: &str = "-keyed";

fn source(name: &str, number: usize, keyed: bool) -> String {
    format!("{name}-{number}{}", if keyed { KEYED } else { "" })
}

/// Whether the create for this source user had an idempotency key.
pub fn is_keyed(source: &str) -> bool {
    source.ends_with(KEYED)
}

/// Retries every keyed create without an answer until it has one, as a client
/// does that must not lose or repeat a task.
pub async fn settle(address: SocketAddr, ledger: &mut Ledger) {
    let (keyed, rest) = std::mem::take(&mut ledger.unknown)
        .into_iter()
        .partition(|source| is_keyed(source));
    ledger.unknown = rest;
    let keyed: Vec<String> = keyed;
    for source in keyed {
        let id = retry_keyed(address, &source).await;
        assert_eq!(retry_keyed(address, &source).await, id);
        ledger.answered.push((source, id));
    }
}
