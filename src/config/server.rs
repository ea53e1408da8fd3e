//! `[server]`: the listener and its limits.

use std::net::SocketAddr;
use std::time::Duration;

use bytesize::ByteSize;

use super::section::section;

section! {
    /// The listener and its limits.
    pub struct ServerConfig {
        /// Where requests are taken: an IP address and a port.
        #[default("127.0.0.1:8080")]
        pub listen: SocketAddr,

        /// Reserved for the operations listener (health, metrics); nothing listens
        /// there yet.
        #[example("127.0.0.1:9090")]
        pub ops_listen: Option<SocketAddr>,

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
