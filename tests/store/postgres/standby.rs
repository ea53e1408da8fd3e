//! Synchronous replication, while the standby is away: a commit waits for it, and
//! what waits has not been answered. A name of a standby that never comes will do.

use super::super::{create, create_new, key, transfer};
use super::Place;
use crate::support::postgres::PostgresServer;
use crate::support::until;

/// A server and a database on it, whose standby a test takes away.
struct Primary {
    place: Place,
    _server: PostgresServer,
}

impl Primary {
    fn new() -> Self {
        let server = PostgresServer::start(&["fsync=off"]);
        Self {
            place: Place::on(server.database()),
            _server: server,
        }
    }

    /// Has commits wait for this standby; for none, without a name.
    async fn wait_for(&self, standby: &str) {
        let set = |statement: &str| self.place.database.sql(statement);
        set(&format!(
            "ALTER SYSTEM SET synchronous_standby_names = '{standby}'"
        ));
        set("SELECT pg_reload_conf()");
        until("the setting to be in force", async || {
            set("SHOW synchronous_standby_names") == standby
        })
        .await;
    }

    /// The processes in which creates wait for the standby.
    fn waiting(&self) -> Vec<String> {
        let processes = self.place.database.sql(
            "SELECT pid FROM pg_stat_activity
             WHERE wait_event = 'SyncRep' AND query LIKE '%INSERT INTO task%'",
        );
        processes.lines().map(str::to_owned).collect()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_create_that_is_tried_again_waits_for_the_standby_as_the_first_time() {
    let primary = Primary::new();
    for idempotency in [None, Some(key("key"))] {
        let store = primary.place.open(None).await;
        create_new(&store, transfer("source"), None).await;
        primary.wait_for("away").await;
        let broken = async {
            let mut waiting = Vec::new();
            until("a create to wait", async || {
                waiting = primary.waiting();
                !waiting.is_empty()
            })
            .await;
            // It has committed, but not on the standby.
            let process = &waiting[0];
            primary
                .place
                .database
                .sql(&format!("SELECT pg_terminate_backend({process})"));
            until("another attempt to wait", async || {
                primary.waiting().iter().any(|other| other != process)
            })
            .await;
        };
        let (answer, ()) = tokio::join!(create(&store, transfer("source"), idempotency), broken);
        assert!(answer.is_err(), "it was answered: {answer:?}");
        primary.wait_for("").await;
        until("the store to go on", async || {
            create(&store, transfer("source"), None).await.is_ok()
        })
        .await;
        store.close().await;
    }
}

/// Each was given up after seconds, and would be there for as long as the standby is
/// away.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_the_standby_is_away_sessions_do_not_pile_up() {
    let primary = Primary::new();
    let store = primary.place.open(None).await;
    create_new(&store, transfer("source"), None).await;
    primary.wait_for("away").await;
    let waiting = || {
        primary
            .place
            .number("SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'SyncRep'")
    };
    for _ in 0..4 {
        let refused = create(&store, transfer("source"), None).await;
        assert!(refused.is_err(), "{refused:?}");
    }
    // The first session's, and that of the last attempt.
    assert!(waiting() <= 3, "{}", waiting());
    primary.wait_for("").await;
    until("the store to go on", async || {
        create(&store, transfer("source"), None).await.is_ok()
    })
    .await;
}
