//! `kootask healthcheck`: asks the running service, for images without a shell.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use super::CommandError;
use crate::config::{Config, Defaults};

/// How long the answer may take.
const TIMEOUT: Duration = Duration::from_secs(4);
/// The most bytes of an answer that are read.
const MOST_BYTES: u64 = 4096;

/// The arguments of `kootask healthcheck`.
#[derive(Debug, clap::Args)]
pub(super) struct Healthcheck {
    /// Ask whether it is alive, not whether it is ready
    #[arg(long)]
    live: bool,
    /// The configuration file of the service, for the address
    #[arg(long, value_name = "FILE", env = "KOOTASK_CONFIG")]
    config: Option<PathBuf>,
}

impl Healthcheck {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let config = Config::load(self.config.as_deref(), Defaults::Serve, [])?;
        let address = config
            .server
            .ops_listen
            .address()
            .ok_or("server.ops_listen is off, so there is nobody to ask")?;
        let path = if self.live { "/healthz" } else { "/readyz" };
        let url = format!("http://{}{path}", reachable(address));
        let agent: ureq::Agent = ureq::Agent::config_builder()
            .timeout_global(Some(TIMEOUT))
            .http_status_as_error(false)
            .proxy(None)
            .build()
            .into();
        let mut answer = agent
            .get(&url)
            .call()
            .map_err(|error| format!("{url}: {error}"))?;
        let body = answer.body_mut().with_config().limit(MOST_BYTES);
        let body = body.read_to_string()?;
        let (status, body) = (answer.status(), body.trim_end());
        if status.is_success() {
            println!("{body}");
            Ok(())
        } else {
            Err(format!("{url}: {status}: {body}").into())
        }
    }
}

/// The address by which a listener of this machine is reached.
fn reachable(address: SocketAddr) -> SocketAddr {
    let ip = match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        IpAddr::V6(ip) if ip.is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        ip => ip,
    };
    SocketAddr::new(ip, address.port())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_listener_on_all_addresses_is_asked_on_loopback() {
        let of = |text: &str| reachable(text.parse().unwrap()).to_string();
        assert_eq!(of("0.0.0.0:8081"), "127.0.0.1:8081");
        assert_eq!(of("[::]:8081"), "[::1]:8081");
        assert_eq!(of("10.0.0.1:1"), "10.0.0.1:1");
    }
}
