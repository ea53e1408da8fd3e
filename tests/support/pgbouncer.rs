//! PgBouncer before a database.

use std::fs::Permissions;
use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::process::{Child, ChildStderr, Command, Stdio};

use tempfile::TempDir;

use super::command::command;
use super::postgres::TestDatabase;

/// A PgBouncer as it comes, but for its mode; gone with it.
pub struct PgBouncer {
    _folder: TempDir,
    process: Child,
    /// Held open: it writes on.
    _log: BufReader<ChildStderr>,
    pub port: u16,
}

/// It refuses to run as root.
fn program() -> Command {
    const PROGRAM: &str = "/usr/sbin/pgbouncer";
    let is_root = command("id").arg("-u").output().unwrap().stdout == b"0\n";
    if !is_root {
        return command(PROGRAM);
    }
    let mut program = command("setpriv");
    program.args(["--reuid=postgres", "--regid=postgres", "--init-groups"]);
    program.arg(PROGRAM);
    program
}

impl PgBouncer {
    /// One before this database's server, in this `pool_mode`.
    pub fn before(database: &TestDatabase, mode: &str) -> Self {
        // Somebody else may take the port in between.
        let started = (0..5).find_map(|_| Self::start(database.port(), mode));
        started.expect("pgbouncer does not start")
    }

    fn start(database: u16, mode: &str) -> Option<Self> {
        let free = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let port = free.local_addr().unwrap().port();
        let folder = TempDir::new().unwrap();
        let (settings, users) = (folder.path().join("ini"), folder.path().join("users"));
        std::fs::write(&users, "\"postgres\" \"\"\n").unwrap();
        let text = format!(
            "[databases]\n* = host=127.0.0.1 port={database}\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\n\
             auth_type = trust\nauth_file = {}\npool_mode = {mode}\n",
            users.display(),
        );
        std::fs::write(&settings, text).unwrap();
        // It is another user's.
        std::fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        drop(free);
        let mut process = program()
            .arg(&settings)
            .stdin(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the tests need pgbouncer");
        let mut log = BufReader::new(process.stderr.take().unwrap());
        let is_up = log
            .by_ref()
            .lines()
            .any(|line| line.unwrap().contains("process up"));
        let started = Self {
            _folder: folder,
            process,
            _log: log,
            port,
        };
        is_up.then_some(started)
    }
}

impl Drop for PgBouncer {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
