//! `[server]`: the listener and its limits.

use std::fmt;
use std::net::{AddrParseError, SocketAddr};
use std::str::FromStr;
use std::time::Duration;

use bytesize::ByteSize;

use super::section::section;

section! {
    /// The listener and its limits.
    pub struct ServerConfig {
        /// Where requests are taken: an IP address and a port.
        #[default("127.0.0.1:8080")]
        pub listen: SocketAddr,

        /// Where the operations listener is: /healthz, /readyz, /metrics and /docs. It
        /// asks for no credential. An IP address and a port, or off.
        #[default("127.0.0.1:8081", dev = "off")]
        pub ops_listen: OpsListen,

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
