//! The program over a PostgreSQL database.

use std::io::{BufRead, BufReader};
use std::process::{Child, ChildStdout, Stdio};

use socket2::{Domain, Socket, Type};

use super::dev::Greeting;
use super::serve::{Service, admit};
use super::{outcome, pasted};
use crate::support::postgres::TestDatabase;
use crate::support::process::{kootask, send_signal};
use crate::support::proxy::{ClosedPort, Proxy};
use crate::support::until;

#[test]
fn dev_greets_without_the_password_and_its_requests_work_as_pasted() {
    let database = TestDatabase::shared();
    let role = database.role("hunter2");
    database.sql(&format!("GRANT ALL ON SCHEMA public TO {role}"));
    let url = database.url_as(&format!("{role}:hunter2"));
    let mut command = kootask();
    command.args(["dev", "--listen", "127.0.0.1:0", "--store", &url]);
    let greeting = Greeting::of(command);
    let text = &greeting.text;
    let store = format!("store {}, ", database.url_as(&role));
    assert!(text.contains(&store) && !text.contains("hunter2"), "{text}");
    let mut made = 0;
    for command in greeting.commands() {
        let Some(outcome) = pasted(&command) else {
            continue;
        };
        assert!(outcome.out.contains("\"taskId\":\""), "{outcome:?}");
        made += 1;
        assert_eq!(
            database.sql("SELECT count(*) FROM task"),
            format!("{made}"),
            "{command}"
        );
    }
}

/// A `kootask dev` whose database does not listen yet, at the moment at which it
/// says so; killed when dropped.
struct Waiting {
    child: Child,
    /// Held open: a program whose messages nobody can read may end.
    _log: BufReader<ChildStdout>,
    /// The database's address, where nobody else can come up.
    _address: Socket,
}

impl Waiting {
    fn start() -> Self {
        let address = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        let loopback = std::net::SocketAddr::from(([127, 0, 0, 1], 0));
        address.bind(&loopback.into()).unwrap();
        let port = address.local_addr().unwrap().as_socket().unwrap().port();
        let url = format!("postgres://me:hunter2@127.0.0.1:{port}/tasks");
        let mut child = kootask()
            .args(["dev", "--listen", "127.0.0.1:0", "--store", &url])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stdout.take().unwrap());
        let mut line = String::new();
        log.read_line(&mut line).unwrap();
        assert!(line.contains("waits for the database"), "{line}");
        assert!(line.contains("refused"), "{line}");
        assert!(!line.contains("hunter2"), "{line}");
        Self {
            child,
            _log: log,
            _address: address,
        }
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[tokio::test]
async fn a_signal_ends_with_0_what_waits_for_its_database() {
    for signal in ["TERM", "INT"] {
        let mut waiting = Waiting::start();
        send_signal(&waiting.child, signal);
        let mut status = None;
        until("its end", async || {
            status = waiting.child.try_wait().unwrap();
            status.is_some()
        })
        .await;
        assert_eq!(status.unwrap().code(), Some(0), "{signal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_background_logs_tells_the_node() {
    let (database, closed) = (TestDatabase::shared(), ClosedPort::new());
    let proxy = Proxy::to(database.port()).await;
    let url = database.url_through(proxy.port);
    let mut service = Service::start(|command| admit(command, "t").env("KOOTASK__STORE__URL", url));
    let held = service
        .said
        .iter()
        .find(|line| line["message"] == "holds a node");
    let node = held.unwrap()["node"].clone();
    proxy.turn_to(closed.port);
    proxy.cut();
    let lost = service.line(|line| line["level"] == "ERROR");
    assert_eq!(
        lost["message"],
        "the node's lease cannot be renewed for now"
    );
    assert_eq!(lost["node"], node);
}

#[test]
fn an_address_in_use_leaves_no_node_held() {
    let database = TestDatabase::shared();
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let outcome = outcome(
        admit(kootask().arg("serve"), "t")
            .env("KOOTASK__STORE__URL", &database.url)
            .env(
                "KOOTASK__SERVER__LISTEN",
                taken.local_addr().unwrap().to_string(),
            ),
    );
    assert_eq!(outcome.code, Some(1));
    assert!(outcome.err.contains("cannot listen on"), "{}", outcome.err);
    let held = "SELECT count(*) FROM node_lease WHERE expires_at > now()";
    assert_eq!(database.sql(held), "0");
    assert_eq!(database.sql("SELECT count(*) FROM node_lease"), "1");
}
