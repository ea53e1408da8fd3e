//! A way to a server that a test can turn elsewhere, cut and clog.

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// Passes on what comes to its port; ends with the test.
pub struct Proxy {
    pub port: u16,
    state: Arc<watch::Sender<State>>,
    accepting: JoinHandle<()>,
}

/// Connections are known by their numbers, from 0 on.
#[derive(Clone, Copy)]
struct State {
    /// The port that new connections lead to.
    target: u16,
    /// How many connections there were.
    accepted: usize,
    /// Those below this one are cut.
    cut_below: usize,
    /// Of those below this one nothing is passed on.
    silent_below: usize,
    /// Of those below this one nothing is passed on that the server says.
    unanswered_below: usize,
}

/// Which way bytes go.
#[derive(Clone, Copy)]
enum Way {
    ToServer,
    ToClient,
}

impl State {
    fn is_free(&self, number: usize, way: Way) -> bool {
        let held_below = match way {
            Way::ToServer => self.silent_below,
            Way::ToClient => self.silent_below.max(self.unanswered_below),
        };
        number >= held_below
    }
}

/// A port at which nobody listens, for as long as this lives.
pub struct ClosedPort {
    _bound: TcpSocket,
    pub port: u16,
}

impl ClosedPort {
    pub fn new() -> Self {
        let bound = TcpSocket::new_v4().unwrap();
        bound.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let port = bound.local_addr().unwrap().port();
        Self {
            _bound: bound,
            port,
        }
    }
}

impl Proxy {
    /// A way to this port.
    pub async fn to(target: u16) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let state = Arc::new(watch::Sender::new(State {
            target,
            accepted: 0,
            cut_below: 0,
            silent_below: 0,
            unanswered_below: 0,
        }));
        let accepting = tokio::spawn(accept(listener, Arc::clone(&state)));
        Self {
            port,
            state,
            accepting,
        }
    }

    /// How many connections there were so far.
    pub fn accepted(&self) -> usize {
        self.state.borrow().accepted
    }

    /// Leads new connections to this port.
    pub fn turn_to(&self, target: u16) {
        self.state.send_modify(|state| state.target = target);
    }

    /// Cuts every connection.
    pub fn cut(&self) {
        self.state
            .send_modify(|state| state.cut_below = state.accepted);
    }

    /// Passes nothing on any more, and ends nothing: what is sent gets lost on
    /// the way, and new connections are answered by nobody.
    pub fn silence(&self) {
        self.state
            .send_modify(|state| state.silent_below = usize::MAX);
    }

    /// Passes on what the server is told, but on the connections that there are
    /// no more of what it says.
    pub fn hold_answers_back(&self) {
        self.state
            .send_modify(|state| state.unanswered_below = state.accepted);
    }

    /// Passes everything on again, what was held back first.
    pub fn heal(&self) {
        self.state.send_modify(|state| state.silent_below = 0);
    }

    /// Passes on what new connections bring; those that there are stay silent for
    /// ever, as connections to a machine that is gone.
    pub fn heal_for_new(&self) {
        self.state
            .send_modify(|state| state.silent_below = state.accepted);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn accept(listener: TcpListener, state: Arc<watch::Sender<State>>) {
    // They end with this.
    let mut connections = JoinSet::new();
    while let Ok((client, _)) = listener.accept().await {
        let number = state.borrow().accepted;
        state.send_modify(|state| state.accepted += 1);
        connections.spawn(serve(client, number, state.subscribe()));
    }
}

async fn serve(client: TcpStream, number: usize, state: watch::Receiver<State>) {
    let mut cut = state.clone();
    // Both sockets are closed, whatever comes first.
    tokio::select! {
        _ = forward(client, number, state) => {}
        _ = cut.wait_for(|state| number < state.cut_below) => {}
    }
}

async fn forward(
    client: TcpStream,
    number: usize,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let target = way_is_free(number, Way::ToServer, &mut state).await;
    let server = TcpStream::connect((Ipv4Addr::LOCALHOST, target)).await?;
    for stream in [&client, &server] {
        stream.set_nodelay(true)?;
    }
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    tokio::try_join!(
        pump(from_client, to_server, number, Way::ToServer, state.clone()),
        pump(from_server, to_client, number, Way::ToClient, state),
    )?;
    Ok(())
}

async fn pump(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    number: usize,
    way: Way,
    mut state: watch::Receiver<State>,
) -> io::Result<()> {
    let mut bytes = vec![0; 16 * 1024];
    loop {
        let count = from.read(&mut bytes).await?;
        way_is_free(number, way, &mut state).await;
        if count == 0 {
            return to.shutdown().await;
        }
        to.write_all(&bytes[..count]).await?;
    }
}

/// Waits until the connection may pass something on; where new ones lead to.
async fn way_is_free(number: usize, way: Way, state: &mut watch::Receiver<State>) -> u16 {
    // Without a sender the test is over.
    let free = state
        .wait_for(|state| state.is_free(number, way))
        .await
        .unwrap();
    free.target
}
