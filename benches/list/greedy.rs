//! A caller that asks for pages on many connections without a pause. One thread that
//! looks at no more than an answer's head: on the CPUs that it shares with the
//! service, what it costs itself would count as what it costs others.

use std::io::{ErrorKind, Read, Write};
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use mio::net::TcpStream;
use mio::{Events, Interest, Poll, Token};

use crate::client;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// How long no answer may come.
const STALL: Duration = Duration::from_secs(10);
/// How long it may go on once it shall end.
const END: Duration = Duration::from_millis(100);
/// Room for the largest part of an answer that is read at once.
const ROOM: usize = 64 * 1024;

/// The caller at work.
pub(crate) struct Greedy {
    stop: Arc<AtomicBool>,
    answered: Arc<AtomicU64>,
    thread: JoinHandle<std::result::Result<(), String>>,
    connections: usize,
}

struct Connection {
    stream: TcpStream,
    /// The status of the answer that is being received, and how much of it is to
    /// come; nothing before its head has come.
    coming: Option<(u16, usize)>,
}

impl Connection {
    fn send(&mut self, request: &[u8]) -> Result<()> {
        if self.stream.write(request)? != request.len() {
            return Err("a request did not go out in one write".into());
        }
        Ok(())
    }

    /// The status of an answer that has come in full.
    fn receive(&mut self, room: &mut [u8]) -> Result<Option<u16>> {
        loop {
            let read = match self.stream.read(room) {
                Ok(0) => return Err("the connection was closed".into()),
                Ok(read) => read,
                Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(None),
                Err(error) => return Err(error.into()),
            };
            let (status, left) = match self.coming.take() {
                Some(coming) => coming,
                None => client::expected(&room[..read])?,
            };
            match left.checked_sub(read).ok_or("more than one answer")? {
                0 => return Ok(Some(status)),
                left => self.coming = Some((status, left)),
            }
        }
    }
}

impl Greedy {
    /// Has it call with this bearer token from now on.
    pub(crate) fn start(
        server: SocketAddr,
        token: &str,
        path: &str,
        connections: usize,
    ) -> Result<Self> {
        let (stop, answered) = (Arc::<AtomicBool>::default(), Arc::<AtomicU64>::default());
        let request = client::request(server, token, path);
        let mut calls = Calls::connect(server, connections)?;
        let (ends, counts) = (Arc::clone(&stop), Arc::clone(&answered));
        let thread = std::thread::spawn(move || {
            let ran = calls.run(request.as_bytes(), &ends, &counts);
            ran.map_err(|error| error.to_string())
        });
        Ok(Self {
            stop,
            answered,
            thread,
            connections,
        })
    }

    /// Waits until it has had as many answers as it has connections.
    pub(crate) fn wait_until_at_work(&self) {
        let enough = u64::try_from(self.connections).unwrap_or(u64::MAX);
        while self.answered.load(Ordering::Relaxed) < enough && !self.thread.is_finished() {
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// How often it was answered.
    pub(crate) fn end(self) -> Result<u64> {
        self.stop.store(true, Ordering::Relaxed);
        let ended = self.thread.join();
        ended.map_err(|_| "the greedy caller panicked")??;
        Ok(self.answered.load(Ordering::Relaxed))
    }
}

struct Calls {
    poll: Poll,
    connections: Vec<Connection>,
    received: Vec<u8>,
}

impl Calls {
    fn connect(server: SocketAddr, connections: usize) -> Result<Self> {
        let poll = Poll::new()?;
        let connect = |number| {
            let stream = std::net::TcpStream::connect_timeout(&server, STALL)?;
            stream.set_nodelay(true)?;
            stream.set_nonblocking(true)?;
            let mut stream = TcpStream::from_std(stream);
            poll.registry()
                .register(&mut stream, Token(number), Interest::READABLE)?;
            Ok(Connection {
                stream,
                coming: None,
            })
        };
        Ok(Self {
            connections: (0..connections).map(connect).collect::<Result<_>>()?,
            poll,
            received: vec![0; ROOM],
        })
    }

    fn run(&mut self, request: &[u8], stop: &AtomicBool, answered: &AtomicU64) -> Result<()> {
        let mut events = Events::with_capacity(self.connections.len());
        for connection in &mut self.connections {
            connection.send(request)?;
        }
        let mut silent = Duration::ZERO;
        while !stop.load(Ordering::Relaxed) {
            self.poll.poll(&mut events, Some(END))?;
            silent = if events.is_empty() {
                silent + END
            } else {
                Duration::ZERO
            };
            if silent > STALL {
                return Err(format!("no answer for {STALL:?}").into());
            }
            for event in &events {
                let connection = &mut self.connections[event.token().0];
                while let Some(status) = connection.receive(&mut self.received)? {
                    match status {
                        200 => answered.fetch_add(1, Ordering::Relaxed),
                        // Overload is said, and no error.
                        503 => 0,
                        status => return Err(format!("status {status}").into()),
                    };
                    connection.send(request)?;
                }
            }
        }
        Ok(())
    }
}
