//! TLS of the listener.

mod files;
mod reload;
mod serving;

use tempfile::TempDir;

use crate::support::tls::{Authority, Pair};

/// An authority, a pair that it has issued, and the folder with that.
struct Issued {
    authority: Authority,
    pair: Pair,
    folder: TempDir,
    /// What has the service use the pair.
    config: String,
}

impl Issued {
    fn new() -> Self {
        let authority = Authority::new("the authority");
        let (pair, folder) = (authority.issue(), tempfile::tempdir().unwrap());
        let config = pair.configured_in(folder.path());
        Self {
            authority,
            pair,
            folder,
            config,
        }
    }

    /// As `new`, and clients must show a certificate of this authority.
    fn to_clients_of(clients: &Authority) -> Self {
        let mut issued = Self::new();
        let path = issued.folder.path().join("clients.crt");
        std::fs::write(&path, clients.pem()).unwrap();
        let client_ca = format!("tls_client_ca_file = \"{}\"\n", path.display());
        issued.config.push_str(&client_ca);
        issued
    }
}
