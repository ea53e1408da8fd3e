//! A pooler between a store and its database.

use kootask::store::postgres::{OpenError, PostgresUrl, Unfit};

use super::super::{create, create_new, key, tenant, transfer};
use super::{Place, open, refused};
use crate::support::pgbouncer::PgBouncer;

impl Place {
    fn url_through(&self, pooler: &PgBouncer) -> PostgresUrl {
        self.database.url_through(pooler.port).parse().unwrap()
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pgbouncer_in_session_mode_works_as_it_comes_and_what_is_set_is_in_force() {
    let place = Place::migrated().await;
    place.database.sql(
        "CREATE TABLE witnessed (setting text);
         CREATE FUNCTION witness() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
             INSERT INTO witnessed VALUES (concat_ws(' ', current_setting('statement_timeout'),
                 current_setting('idle_in_transaction_session_timeout'),
                 current_setting('synchronous_commit')));
             RETURN NEW;
         END $$;
         CREATE TRIGGER witness BEFORE INSERT ON task FOR EACH ROW EXECUTE FUNCTION witness()",
    );
    let pooler = PgBouncer::before(&place.database, "session");
    let store = open(&place.url_through(&pooler), place.context(None))
        .await
        .unwrap();
    let id = create_new(&store, transfer("source"), Some(key("key"))).await;
    let again = create(&store, transfer("source"), Some(key("key"))).await;
    assert!(again.is_ok(), "{again:?}");
    assert!(store.find(&tenant(), id).await.unwrap().is_some());
    store.close().await;
    assert_eq!(place.database.sql("SELECT * FROM witnessed"), "3s 5s on");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_pooler_that_hands_sessions_round_is_refused_before_anything_is_written() {
    for mode in ["transaction", "statement"] {
        let place = Place::new();
        let pooler = PgBouncer::before(&place.database, mode);
        let refused = refused(&place.url_through(&pooler), place.context(None)).await;
        assert!(
            matches!(
                refused,
                OpenError::Unfit {
                    error: Unfit::SharedSessions,
                    ..
                }
            ),
            "{mode}: {refused}"
        );
        assert!(refused.to_string().contains("pool_mode = session"));
        let tables = "SELECT count(*) FROM pg_tables WHERE schemaname = 'public'";
        assert_eq!(place.number(tables), 0);
    }
}
