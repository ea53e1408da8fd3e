//! `[server]`: the listener and its limits.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;

use super::reading::Table;
use super::section::section;
use crate::tls::TlsFiles;
use crate::web::cors::Origin;

section! {
    /// The listener and its limits.
    pub struct ServerConfig checked by refuse_half_of_tls {
        /// Where requests are taken: an IP address and a port.
        #[default("127.0.0.1:8080")]
        pub listen: SocketAddr,

        /// Where the operations listener is: /healthz, /readyz, /metrics and /docs. It
        /// asks for no credential. An IP address and a port, or off.
        #[default("127.0.0.1:8081", dev = "off")]
        pub ops_listen: OpsListen,

        /// TLS, in place of plain HTTP: a PEM file with the certificate and those between
        /// it and its authority. Read again within seconds of a change, and at SIGHUP, with
        /// the two files below: a pair that does not match is refused, and what was in
        /// force stays. The operations listener stays plain.
        #[example("/etc/kootask/tls/tls.crt")]
        pub tls_cert_file: Option<PathBuf>,

        /// The certificate's private key, in PEM and not encrypted.
        #[example("/etc/kootask/tls/tls.key")]
        pub tls_key_file: Option<PathBuf>,

        /// A PEM file with the authorities that sign the certificates of clients: whoever
        /// shows none of theirs cannot connect. Without it no client needs one. It is asked
        /// for beside the credential, not in its place.
        #[example("/etc/kootask/tls/clients.crt")]
        pub tls_client_ca_file: Option<PathBuf>,

        /// The networks of proxies before the service: of a request that comes from one of
        /// them the log tells, as its peer, the right-most address of X-Forwarded-For (or,
        /// without that, of Forwarded) that is in none of them. For the log alone.
        #[default([])]
        #[example(["10.0.0.0/8"])]
        pub trusted_proxies: Arc<[IpNet]>,

        /// The origins whose pages may call from a browser, with a credential as anybody
        /// (CORS). «kootask dev» lets those of this machine in without being told.
        #[default([])]
        #[example(["https://console.example.com"])]
        pub cors_origins: Arc<[Origin]>,

        /// How long a request may take, from its headers to its answer. A body that is
        /// not there by then is answered with 408, a store that is not ready with 503.
        #[default("10s")]
        #[range("1ms", "24h")]
        pub request_timeout: Duration,

        /// The most bytes a body may have. It is held in memory.
        #[default("16KiB")]
        #[range(1, "16MiB")]
        pub body_limit: ByteSize,

        /// How long a connection may be without a request. Proxies before the service
        /// must let go of theirs earlier: most do after 60 s.
        #[default("75s")]
        #[range("1s", "24h")]
        pub keep_alive: Duration,

        /// How long connections are still accepted after SIGTERM, until those who send
        /// them here know of the end. SIGINT, or a second SIGTERM, skips the rest of it.
        #[default("0s")]
        #[range("0s", "24h")]
        pub drain_delay: Duration,

        /// How long requests in flight may take after SIGTERM or SIGINT, and after
        /// drain_delay. With what follows it the service ends within the 10 s that
        /// «docker stop» waits.
        #[default("7s")]
        #[range("1ms", "24h")]
        pub shutdown_grace: Duration,
    }
}

impl ServerConfig {
    /// The scheme of the service's URLs.
    #[must_use]
    pub fn scheme(&self) -> &'static str {
        match self.tls_files() {
            Some(_) => "https",
            None => "http",
        }
    }

    /// The files that TLS is spoken with, if it is.
    #[must_use]
    pub fn tls_files(&self) -> Option<TlsFiles> {
        let (cert, key) = self
            .tls_cert_file
            .as_ref()
            .zip(self.tls_key_file.as_ref())?;
        Some(TlsFiles {
            cert: cert.clone(),
            key: key.clone(),
            client_ca: self.tls_client_ca_file.clone(),
        })
    }
}

fn refuse_half_of_tls(server: &mut ServerConfig, table: &mut Table<'_>) {
    let needs = |table: &mut Table<'_>, name, other| {
        table.mistake(name, format!("is of no use without {other}"));
    };
    match (&server.tls_cert_file, &server.tls_key_file) {
        (Some(_), None) => needs(table, "tls_cert_file", "tls_key_file"),
        (None, Some(_)) => needs(table, "tls_key_file", "tls_cert_file"),
        (None, None) if server.tls_client_ca_file.is_some() => {
            // Nobody would be asked for what must be shown.
            needs(table, "tls_client_ca_file", "tls_cert_file");
        }
        _ => {}
    }
}

/// Where the operations listener is, if it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OpsListen {
    /// There is none.
    Off,
    /// At this address.
    At(SocketAddr),
}

impl OpsListen {
    const OFF: &str = "off";

    /// The address, if there is a listener.
    #[must_use]
    pub const fn address(self) -> Option<SocketAddr> {
        match self {
            Self::Off => None,
            Self::At(address) => Some(address),
        }
    }
}

impl FromStr for OpsListen {
    type Err = AddrParseError;

    fn from_str(text: &str) -> Result<Self, AddrParseError> {
        if text == Self::OFF {
            Ok(Self::Off)
        } else {
            text.parse().map(Self::At)
        }
    }
}

impl fmt::Display for OpsListen {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Off => formatter.write_str(Self::OFF),
            Self::At(address) => address.fmt(formatter),
        }
    }
}
