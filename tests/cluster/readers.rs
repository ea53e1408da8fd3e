//! Clients that read one task again and again on connections of their own.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

use super::{REQUEST_LIMIT, detail};
use crate::support::wire::Wire;

/// Clients at work. Each read must end in time, with the task or with an answer
/// that asks for patience.
pub(super) struct Readers {
    clients: JoinSet<Read>,
    enough: Arc<AtomicBool>,
}

/// What became of reads.
#[derive(Debug, Default)]
pub(super) struct Read {
    pub(super) answered: usize,
    pub(super) refused: usize,
    pub(super) slowest: Duration,
}

impl Readers {
    /// This many clients, which read this task.
    pub(super) fn start(address: SocketAddr, clients: usize, id: i64) -> Self {
        let enough = Arc::new(AtomicBool::new(false));
        let clients = (0..clients)
            .map(|_| read_on(address, detail(id), Arc::clone(&enough)))
            .collect();
        Self { clients, enough }
    }

    /// Lets every client finish the read it is at.
    pub(super) async fn stop(self) -> Read {
        self.enough.store(true, Ordering::SeqCst);
        let mut all = Read::default();
        for client in self.clients.join_all().await {
            all.answered += client.answered;
            all.refused += client.refused;
            all.slowest = all.slowest.max(client.slowest);
        }
        all
    }
}

async fn read_on(address: SocketAddr, target: String, enough: Arc<AtomicBool>) -> Read {
    let mut read = Read::default();
    let mut wire = Wire::connect(address).await;
    while !enough.load(Ordering::SeqCst) {
        let asked = Instant::now();
        let reply = wire.read(&target).await.unwrap();
        let took = asked.elapsed();
        assert!(took < REQUEST_LIMIT, "a read took {took:?}");
        read.slowest = read.slowest.max(took);
        if reply.status == 200 {
            read.answered += 1;
        } else {
            reply.assert_unavailable();
            read.refused += 1;
        }
        // Reads are here to be hit by faults, not to fill the machine.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    read
}
