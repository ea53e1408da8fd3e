//! What stands between a store and its database, and may fail. Unlike
//! `support::proxy`, which knows connections alone, it looks into what is sent:
//! it can cut the very request that a test means.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::support::postgres::TestDatabase;
use crate::support::until;

/// What becomes of connections and of what is sent on them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Rule {
    /// It is forwarded.
    Forward,
    /// New connections are closed at once.
    HangUp,
    /// On new connections nothing is ever said.
    Silence,
    /// The next request with this text is not forwarded: its connection is cut.
    /// Then as [`Rule::Forward`].
    CutBefore(&'static str),
    /// Likewise, but it is forwarded: the database works on it.
    CutDuring(&'static str),
    /// Likewise, but when the database has answered it.
    CutAfter(&'static str),
}

struct Shared {
    rule: Mutex<Rule>,
    connections: AtomicUsize,
    database: u16,
}

/// A proxy; gone with the test's runtime.
pub(super) struct Proxy {
    pub(super) port: u16,
    shared: Arc<Shared>,
}

impl Proxy {
    /// A proxy that forwards to the server of this database.
    pub(super) async fn before(database: &TestDatabase) -> Self {
        Self::at("127.0.0.1", database).await
    }

    /// As [`Proxy::before`], at this address.
    pub(super) async fn at(address: &str, database: &TestDatabase) -> Self {
        let listener = TcpListener::bind((address, 0)).await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let shared = Arc::new(Shared {
            rule: Mutex::new(Rule::Forward),
            connections: AtomicUsize::new(0),
            database: database.port(),
        });
        tokio::spawn({
            let shared = Arc::clone(&shared);
            async move {
                loop {
                    let (client, _) = listener.accept().await.unwrap();
                    tokio::spawn(Arc::clone(&shared).serve(client));
                }
            }
        });
        Self { port, shared }
    }

    pub(super) fn set(&self, rule: Rule) {
        *self.shared.rule.lock().unwrap() = rule;
    }

    /// What is in force; [`Rule::Forward`] after a cut.
    pub(super) fn rule(&self) -> Rule {
        self.shared.rule.lock().unwrap().clone()
    }

    /// How many connections were made so far.
    pub(super) fn connections(&self) -> usize {
        self.shared.connections.load(Ordering::SeqCst)
    }

    /// Waits for another connection than the first `before`.
    pub(super) async fn connection_after(&self, before: usize) {
        until("a connection", async || self.connections() > before).await;
    }
}

impl Shared {
    async fn serve(self: Arc<Self>, mut client: TcpStream) {
        let rule = self.rule.lock().unwrap().clone();
        self.connections.fetch_add(1, Ordering::SeqCst);
        match rule {
            Rule::HangUp => {}
            Rule::Silence => {
                // Until the client gives up.
                let _ = client.read_to_end(&mut Vec::new()).await;
            }
            _ => {
                // Whichever side fails, both are closed.
                let _ = self.forward(client).await;
            }
        }
    }

    async fn forward(&self, mut client: TcpStream) -> std::io::Result<()> {
        let mut database = TcpStream::connect(("127.0.0.1", self.database)).await?;
        client.set_nodelay(true)?;
        database.set_nodelay(true)?;
        let (mut request, mut answer) = (vec![0; 1 << 16], vec![0; 1 << 16]);
        loop {
            tokio::select! {
                read = client.read(&mut request) => {
                    let sent = &request[..read?];
                    if sent.is_empty() {
                        return Ok(());
                    }
                    match self.cut_of(sent) {
                        Rule::CutBefore(_) => return Ok(()),
                        Rule::CutDuring(_) => {
                            database.write_all(sent).await?;
                            return Ok(());
                        }
                        Rule::CutAfter(_) => {
                            database.write_all(sent).await?;
                            // It answers what it has committed.
                            assert_ne!(database.read(&mut answer).await?, 0);
                            return Ok(());
                        }
                        _ => database.write_all(sent).await?,
                    }
                }
                read = database.read(&mut answer) => {
                    let sent = &answer[..read?];
                    if sent.is_empty() {
                        return Ok(());
                    }
                    client.write_all(sent).await?;
                }
            }
        }
    }

    /// The cut that this request is for, which is then over.
    fn cut_of(&self, request: &[u8]) -> Rule {
        let mut rule = self.rule.lock().unwrap();
        match *rule {
            Rule::CutBefore(text) | Rule::CutDuring(text) | Rule::CutAfter(text)
                if request
                    .windows(text.len())
                    .any(|part| part == text.as_bytes()) =>
            {
                std::mem::replace(&mut *rule, Rule::Forward)
            }
            _ => Rule::Forward,
        }
    }
}
