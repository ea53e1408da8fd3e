//! `[store]`: where tasks are kept.

use std::num::NonZero;

use secrecy::SecretString;

use super::reading::Table;
use super::section::section;
use super::tree::Place;
use crate::store::StoreUrl;

section! {
    /// Where tasks are kept.
    pub struct StoreConfig checked by settle_password {
        /// The store, one of:
        /// - memory: keeps tasks until the process ends.
        /// - sqlite://PATH is a file, made at need, its folder included.
        ///   sqlite://data/x.db is relative to the working directory,
        ///   sqlite:///data/x.db is not. One process at a time.
        /// - postgres://USER@HOST:PORT/DATABASE?sslmode=verify-full is a PostgreSQL
        ///   database, which any number of instances share. libpq's sslmode (prefer if
        ///   absent: TLS where the server offers it, unverified), sslcert and sslkey,
        ///   and for sslmode=verify-ca and verify-full sslrootcert. The folder of a
        ///   socket stands in HOST's place, percent-encoded: %2Fvar%2Frun%2Fpostgresql.
        #[default("sqlite://data/kootask.db", dev = "memory:")]
        pub url: StoreUrl,

        /// PostgreSQL's password, or a file that holds it, read at start; give one of
        /// the two, or neither. In the environment: KOOTASK__STORE__PASSWORD.
        #[example("/run/secrets/kootask-database")]
        pub password: Option<SecretString>,

        /// Whether the store's schema is brought up to date at start. If not, a schema
        /// that is behind is refused: «kootask migrate» brings it up to date.
        #[default(true)]
        pub migrate: bool,

        /// The most connections of this instance to PostgreSQL: one writes what is
        /// created, two what becomes of tasks, and the rest read. The default is 6 more
        /// than there are cores, at most 22.
        #[computed(default_max_connections)]
        #[example(8)]
        #[range(4, 1000)]
        pub max_connections: u16,
    }
}

/// Three connections for writing and, for reads, three and one more for each core:
/// from 8 with 2 cores up to 22. A database works best on about as many
/// statements at a time as it has cores and disks; the rest may wait.
fn default_max_connections() -> u16 {
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);
    u16::try_from(cores)
        .unwrap_or(u16::MAX)
        .min(16)
        .saturating_add(6)
}

/// A password is both in the URL, for whoever connects, and beside it, for
/// whoever prints.
fn settle_password(store: &mut StoreConfig, table: &mut Table<'_>) {
    let StoreUrl::Postgres(url) = &store.url else {
        // It stands ready for when no argument names another store.
        let is_idle = matches!(table.place("url"), Some(Place::Argument(_)));
        if store.password.take().is_some() && !is_idle {
            table.mistake("password", "is for a PostgreSQL store");
        }
        return;
    };
    match (url.password().cloned(), &store.password) {
        (Some(password), None) => store.password = Some(password),
        (None, Some(password)) => {
            store.url = StoreUrl::Postgres(url.clone().with_password(password.clone()));
        }
        (Some(of_url), Some(_)) => {
            if matches!(table.place("url"), Some(Place::Argument(_))) {
                store.password = Some(of_url);
            } else {
                table.mistake("password", "is in store.url already; give one");
            }
        }
        (None, None) => {}
    }
}
