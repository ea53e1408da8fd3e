//! The servers that are measured against each other.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use crate::command::command;
use crate::postgres::TestDatabase;
use crate::request::Credential;
use crate::{bare, single};

/// The contender that the others are compared with; it is the first.
pub(crate) const LIMIT: &str = "a";
/// The service as a stand-in for development is used.
pub(crate) const MEMORY: &str = "b";
/// The service as one node of it is used in earnest.
pub(crate) const SQLITE: &str = "c";
/// The service as one of many instances is used in earnest.
pub(crate) const POSTGRES: &str = "d";
/// What that is compared with: a statement for each create.
pub(crate) const SINGLE: &str = "e";

/// One server with the requests it is sent.
pub(crate) struct Contender {
    /// Short, for the bars and file names.
    pub(crate) key: &'static str,
    /// For the report.
    pub(crate) name: &'static str,
    /// What its requests carry.
    pub(crate) credential: Credential,
    /// The command that starts it.
    pub(crate) start: fn(&Place) -> io::Result<Command>,
}

/// Where one instance of a contender lives.
pub(crate) struct Place {
    /// The address that it listens on.
    pub(crate) listen: SocketAddr,
    /// An empty directory of its own, on the disk.
    pub(crate) directory: PathBuf,
    /// An empty database of its own, on a server that the contenders share.
    pub(crate) database: TestDatabase,
}

/// The contenders, in the order in which each round measures them.
pub(crate) fn contenders() -> Vec<Contender> {
    vec![
        Contender {
            key: LIMIT,
            name: "bare axum, JSON only",
            credential: Credential::Bearer,
            start: |place| {
                let mut command = command(std::env::current_exe()?);
                command.arg(bare::SUBCOMMAND).arg(place.listen.to_string());
                Ok(command)
            },
        },
        Contender {
            key: MEMORY,
            name: "kootask, bearer, memory",
            credential: Credential::Bearer,
            start: |place| Ok(kootask(place, "memory:")),
        },
        Contender {
            key: SQLITE,
            name: "kootask, signed, SQLite",
            credential: Credential::Signed,
            start: |place| {
                let file = place.directory.join("kootask.db");
                Ok(kootask(place, &format!("sqlite://{}", file.display())))
            },
        },
        Contender {
            key: POSTGRES,
            name: "kootask, signed, PostgreSQL",
            credential: Credential::Signed,
            start: |place| Ok(kootask(place, &place.database.url)),
        },
        Contender {
            key: SINGLE,
            name: "(d), an insert a request",
            credential: Credential::Signed,
            start: |place| {
                let mut command = command(std::env::current_exe()?);
                command
                    .arg(single::SUBCOMMAND)
                    .arg(place.listen.to_string())
                    .arg(&place.database.url);
                Ok(command)
            },
        },
    ]
}

/// The service as shipped, with a store of its own.
fn kootask(place: &Place, store: &str) -> Command {
    let mut command = command(env!("CARGO_BIN_EXE_kootask"));
    command
        .args([
            "dev",
            "--listen",
            &place.listen.to_string(),
            "--progress",
            "manual",
        ])
        .args(["--store", store])
        .current_dir(&place.directory);
    command
}
