//! `kootask config check`: the configuration, read and checked as `serve` does.

use std::path::PathBuf;

use jiff::Timestamp;

use super::CommandError;
use super::serve::ALLOW;
use crate::app::BuildError;
use crate::config::{Config, Defaults, JwtConfig};
use crate::tls::Tls;

/// The arguments of `kootask config check`.
#[derive(Debug, clap::Args)]
pub(super) struct Check {
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "KOOTASK_CONFIG")]
    config: Option<PathBuf>,
}

impl Check {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let config = Config::load(self.config.as_deref(), Defaults::Serve, [])?;
        super::serve::require_credential(&config)?;
        if let Some(source) = config.auth.jwt.as_ref().and_then(JwtConfig::source) {
            source.check().map_err(BuildError::from)?;
        }
        let tls = config.server.tls_files().map(Tls::load).transpose();
        let tls = tls.map_err(BuildError::from)?;
        print!("{config}");
        let now = Timestamp::now();
        let of_tls = tls.and_then(|tls| tls.warning(now));
        for warning in config.warnings(now).into_iter().chain(of_tls) {
            eprintln!("kootask: warning: {warning}");
        }
        if config.lets_a_network_in() {
            eprintln!("kootask: warning: so «kootask serve» refuses to start without {ALLOW}");
        }
        Ok(())
    }
}
