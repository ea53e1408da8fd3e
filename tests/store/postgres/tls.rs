//! The way to the database, encrypted and not.

use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::super::{create_new, transfer};
use super::proxy::Proxy;
use super::{Place, open, refused};
use crate::support::command::command;
use crate::support::postgres::{PostgresServer, TestDatabase};

/// A server, for its certificate, and a database on it.
struct Server {
    server: PostgresServer,
    place: Place,
}

impl Server {
    fn start() -> Self {
        let server = PostgresServer::start(&["fsync=off"]);
        let place = Place::on(server.database());
        Self { server, place }
    }

    fn database(&self) -> &TestDatabase {
        &self.place.database
    }

    /// The parameters that have the server's certificate verified.
    fn verified(&self, mode: &str) -> String {
        verified_by(mode, &self.server.root_certificate())
    }

    /// Uses the database by this URL; whether every session was encrypted.
    async fn is_encrypted(&self, url: &str) -> bool {
        let url = url.parse().unwrap();
        let store = open(&url, self.place.context(None)).await.unwrap();
        let id = create_new(&store, transfer("source"), None).await;
        // A session for writing, and one for reading.
        store
            .find(&super::super::tenant(), id)
            .await
            .unwrap()
            .unwrap();
        let sessions = self.database().sql(
            "SELECT DISTINCT ssl, count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid)
             WHERE application_name = 'kootask' GROUP BY ssl",
        );
        store.close().await;
        match sessions.split_once('|') {
            Some(("t", _)) => true,
            Some(("f", _)) => false,
            _ => panic!("{sessions}"),
        }
    }

    async fn refusal(&self, url: &str) -> String {
        let asked = std::time::Instant::now();
        let refused = refused(&url.parse().unwrap(), self.place.context(None)).await;
        // What is wrong stays wrong: it is not waited for.
        assert!(asked.elapsed().as_secs() < 20, "{refused}");
        refused.to_string()
    }
}

fn verified_by(mode: &str, root: &Path) -> String {
    format!("sslmode={mode}&sslrootcert={}", root.display())
}

/// A root that has signed nothing.
fn another_root(folder: &Path) -> PathBuf {
    let (key, root) = (folder.join("ca.key"), folder.join("ca.crt"));
    let made = command("openssl")
        .args(["req", "-x509", "-newkey", "ec", "-pkeyopt"])
        .args(["ec_paramgen_curve:P-256", "-nodes", "-days", "2"])
        .args(["-subj", "/CN=root", "-keyout"])
        .arg(&key)
        .arg("-out")
        .arg(&root)
        .stderr(Stdio::null())
        .status();
    assert!(made.unwrap().success());
    root
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_session_is_encrypted_and_its_server_verified_as_the_url_says() {
    let server = Server::start();
    let database = server.database();
    for (parameters, is_encrypted) in [
        ("sslmode=disable", false),
        ("sslmode=require", true),
        ("sslmode=prefer", true),
        (&server.verified("verify-ca"), true),
        (&server.verified("verify-full"), true),
    ] {
        let url = database.url_with(parameters);
        assert_eq!(server.is_encrypted(&url).await, is_encrypted, "{url}");
    }
    // By name as by address, and as well as possible without a word about it.
    let by_name = database
        .url_with(&server.verified("verify-full"))
        .replace("127.0.0.1", "localhost");
    assert!(server.is_encrypted(&by_name).await);
    let (without, _) = database.url.split_once('?').unwrap();
    assert!(server.is_encrypted(without).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_cannot_be_verified_is_refused() {
    let server = Server::start();
    let database = server.database();
    let folder = tempfile::tempdir().unwrap();
    let another = another_root(folder.path());
    for mode in ["verify-ca", "verify-full"] {
        let url = database.url_with(&verified_by(mode, &another));
        let said = server.refusal(&url).await;
        assert!(said.contains("certificate"), "{said}");
        // No public authority has signed it either.
        let said = server
            .refusal(&database.url_with(&format!("sslmode={mode}")))
            .await;
        assert!(said.contains("certificate"), "{said}");
    }

    // The certificate is of another name.
    let proxy = Proxy::at("127.0.0.2", database).await;
    let by_another_name = |mode: &str| {
        let url = database.url_with(&server.verified(mode));
        url.replace(
            &format!("127.0.0.1:{}", database.port()),
            &format!("127.0.0.2:{}", proxy.port),
        )
    };
    let said = server.refusal(&by_another_name("verify-full")).await;
    assert!(said.contains("certificate"), "{said}");
    assert!(server.is_encrypted(&by_another_name("verify-ca")).await);
}

#[tokio::test]
async fn a_file_of_the_url_that_is_missing_is_named() {
    let place = Place::new();
    let missing = "/nowhere/ca.crt";
    for parameters in [
        format!("sslmode=verify-full&sslrootcert={missing}"),
        format!("sslmode=require&sslcert={missing}&sslkey={missing}"),
    ] {
        let url = place.database.url_with(&parameters).parse().unwrap();
        let said = refused(&url, place.context(None)).await.to_string();
        assert!(said.contains(&format!("{missing}: No such file")), "{said}");
    }
}
