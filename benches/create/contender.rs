//! The servers that are measured against each other.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Command;

use crate::command::command;
use crate::postgres::TestDatabase;
use crate::request::Credential;
use crate::service::{PROGRAM, service};
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
/// Another build of the service on SQLite, where one is named.
pub(crate) const BEFORE: &str = "f";

/// One server with the requests it is sent.
pub(crate) struct Contender {
    /// Short, for the bars and file names.
    pub(crate) key: &'static str,
    /// For the report.
    pub(crate) name: &'static str,
    /// What its requests carry.
    pub(crate) credential: Credential,
    /// The command that starts it.
    pub(crate) start: Start,
}

/// Makes the command that starts a contender.
type Start = Box<dyn Fn(&Place) -> io::Result<Command>>;

/// Where one instance of a contender lives.
pub(crate) struct Place {
    /// The address that it listens on.
    pub(crate) listen: SocketAddr,
    /// An empty directory of its own, on the disk.
    pub(crate) directory: PathBuf,
    /// An empty database of its own, on a server that the contenders share.
    pub(crate) database: TestDatabase,
}

impl Place {
    /// A SQLite store in the directory.
    fn sqlite(&self) -> String {
        format!("sqlite://{}", self.directory.join("kootask.db").display())
    }
}

/// The contenders, in the order in which a round measures them; beside the one on SQLite
/// `before`, another build of the program.
pub(crate) fn contenders(before: Option<PathBuf>) -> Vec<Contender> {
    let before = before.map(|program| Contender {
        key: BEFORE,
        name: "(c), of the build before",
        credential: Credential::Signed,
        start: Box::new(move |place| Ok(service(&program, place.listen, &place.sqlite()))),
    });
    let mut contenders = contenders_of_this_build();
    let beside = contenders.iter().position(|of| of.key == SQLITE);
    if let Some(before) = before {
        contenders.insert(beside.map_or(0, |of| of + 1), before);
    }
    contenders
}

fn contenders_of_this_build() -> Vec<Contender> {
    vec![
        Contender {
            key: LIMIT,
            name: "bare axum, JSON only",
            credential: Credential::Bearer,
            start: Box::new(|place| {
                let mut command = command(std::env::current_exe()?);
                command.arg(bare::SUBCOMMAND).arg(place.listen.to_string());
                Ok(command)
            }),
        },
        Contender {
            key: MEMORY,
            name: "kootask, bearer, memory",
            credential: Credential::Bearer,
            start: Box::new(|place| Ok(service(PROGRAM, place.listen, "memory:"))),
        },
        Contender {
            key: SQLITE,
            name: "kootask, signed, SQLite",
            credential: Credential::Signed,
            start: Box::new(|place| Ok(service(PROGRAM, place.listen, &place.sqlite()))),
        },
        Contender {
            key: POSTGRES,
            name: "kootask, signed, PostgreSQL",
            credential: Credential::Signed,
            start: Box::new(|place| Ok(service(PROGRAM, place.listen, &place.database.url))),
        },
        Contender {
            key: SINGLE,
            name: "(d), an insert a request",
            credential: Credential::Signed,
            start: Box::new(|place| {
                let mut command = command(std::env::current_exe()?);
                command
                    .arg(single::SUBCOMMAND)
                    .arg(place.listen.to_string())
                    .arg(&place.database.url);
                Ok(command)
            }),
        },
    ]
}
