//! PostgreSQL: a server that the tests share, with a database for each, and
//! servers of a test's own, to be stopped and started.

use std::io::{BufRead, BufReader, Write};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;
use uuid::Uuid;

use super::command::command;

/// The variable with the URL of the server that `tests/run` starts.
const SHARED: &str = "KOOTASK_TEST_POSTGRES";

/// A server of the test's own; gone with it.
pub struct PostgresServer {
    folder: TempDir,
    url: String,
}

/// A database of the test's own, on a server that it may share.
pub struct TestDatabase {
    /// Of the superuser.
    pub url: String,
}

/// Keeps everybody else out of what is locked as long as it lives.
pub struct HeldLock(Child);

fn script() -> Command {
    let mut script = command("bash");
    script
        .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/postgres"))
        .stdin(Stdio::null());
    script
}

/// What the command printed; it must succeed.
#[track_caller]
fn printed(command: &mut Command) -> String {
    let output = command.output().unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {error}");
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

impl PostgresServer {
    /// A server with these options, `name=value`.
    pub fn start(options: &[&str]) -> Self {
        let folder = TempDir::new().unwrap();
        let url = printed(script().arg("start").arg(folder.path()).args(options));
        Self { folder, url }
    }

    /// Starts it again, after it was stopped.
    pub fn start_again(&self) {
        let url = printed(script().arg("start").arg(self.folder.path()));
        assert_eq!(url, self.url);
    }

    /// Stops it, as an administrator does: what is being done is aborted.
    pub fn stop(&self) {
        printed(script().arg("stop").arg(self.folder.path()));
    }

    /// Stops it as a crash does.
    pub fn crash(&self) {
        let mode = "immediate";
        printed(script().arg("stop").arg(self.folder.path()).arg(mode));
    }

    /// The root of its certificate.
    pub fn root_certificate(&self) -> std::path::PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// An empty database on it.
    pub fn database(&self) -> TestDatabase {
        TestDatabase::create(&self.url)
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        let _ = script()
            .arg("stop")
            .arg(self.folder.path())
            .arg("immediate")
            .stderr(Stdio::null())
            .status();
    }
}

impl Drop for HeldLock {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

impl TestDatabase {
    /// An empty database on the server that the tests share.
    pub fn shared() -> Self {
        let server = std::env::var(SHARED).unwrap_or_else(|_| {
            panic!("{SHARED} is not set: start the tests by tests/run, or see tests/postgres")
        });
        Self::create(&server)
    }

    fn create(server: &str) -> Self {
        let name = format!("test_{}", Uuid::new_v4().simple());
        run_sql(server, &format!("CREATE DATABASE {name}"));
        let url = server.replace("/postgres?", &format!("/{name}?"));
        Self { url }
    }

    /// Runs statements as the superuser; what they return, a line each, columns
    /// separated by `|`.
    pub fn sql(&self, statements: &str) -> String {
        run_sql(&self.url, statements)
    }

    /// Has connections to it accepted or not; told to the server through another
    /// database.
    pub fn accept_connections(&self, accept: bool) {
        let (server, _) = self.url.split_once("/test_").unwrap();
        let (_, parameters) = self.url.split_once('?').unwrap();
        let name = self.name();
        let statement = format!("ALTER DATABASE {name} ALLOW_CONNECTIONS {accept}");
        run_sql(&format!("{server}/postgres?{parameters}"), &statement);
    }

    /// Its name.
    pub fn name(&self) -> &str {
        let (_, tail) = self.url.rsplit_once('/').unwrap();
        tail.split_once('?').unwrap().0
    }

    /// A role of the test's own that needs this password and may do nothing yet.
    pub fn role(&self, password: &str) -> String {
        let name = format!("role_{}", Uuid::new_v4().simple());
        let password = password.replace('\'', "''");
        self.sql(&format!("CREATE ROLE {name} LOGIN PASSWORD '{password}'"));
        name
    }

    /// The URL with other credentials, `USER[:PASSWORD]`.
    pub fn url_as(&self, credentials: &str) -> String {
        self.url.replace("postgres@", &format!("{credentials}@"))
    }

    /// Whether this expression is true.
    pub fn is_true(&self, expression: &str) -> bool {
        self.sql(&format!("SELECT {expression}")) == "t"
    }

    /// Takes the table away from everybody else.
    pub fn lock(&self, table: &str) -> HeldLock {
        self.hold(&format!("LOCK TABLE {table} IN ACCESS EXCLUSIVE MODE"))
    }

    /// Holds what this statement locks, and returns nothing of.
    pub fn hold(&self, statement: &str) -> HeldLock {
        let mut session = command("psql")
            .args([&self.url, "-X", "-q", "-t", "-A", "-v", "ON_ERROR_STOP=1"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        // The transaction ends with the input.
        let statements =
            format!("SET lock_timeout = '20s';\nBEGIN;\n{statement};\nSELECT 'locked';\n");
        let input = session.stdin.as_mut().unwrap();
        input.write_all(statements.as_bytes()).unwrap();
        let mut said = String::new();
        let mut output = BufReader::new(session.stdout.as_mut().unwrap());
        output.read_line(&mut said).unwrap();
        assert_eq!(said, "locked\n", "{statement}");
        HeldLock(session)
    }

    /// The URL with other parameters.
    pub fn url_with(&self, parameters: &str) -> String {
        let (base, _) = self.url.split_once('?').unwrap();
        format!("{base}?{parameters}")
    }

    /// The URL through another port.
    pub fn url_through(&self, port: u16) -> String {
        let (head, tail) = self.url.split_once("127.0.0.1:").unwrap();
        let (_, tail) = tail.split_once('/').unwrap();
        format!("{head}127.0.0.1:{port}/{tail}")
    }

    /// The server's port.
    pub fn port(&self) -> u16 {
        let (_, tail) = self.url.split_once("127.0.0.1:").unwrap();
        tail.split_once('/').unwrap().0.parse().unwrap()
    }
}

#[track_caller]
fn run_sql(url: &str, statements: &str) -> String {
    printed(command("psql").args([url, "-X", "-q", "-t", "-A", "-c", statements]))
}
