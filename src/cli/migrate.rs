//! `kootask migrate`: brings the store's schema up to date.

use std::path::PathBuf;

use super::CommandError;
use super::setting_argument::SettingArgument;
use crate::config::{Argument, Config, Defaults};
use crate::logging;
use crate::store;

/// The arguments of `kootask migrate`.
#[derive(Debug, clap::Args)]
pub(super) struct Migrate {
    /// The store [default: that of the configuration]
    #[arg(long, value_name = "URL", value_parser = SettingArgument::STORE)]
    store: Option<Argument>,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "KOOTASK_CONFIG")]
    config: Option<PathBuf>,
}

impl Migrate {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let config = Config::load(self.config.as_deref(), Defaults::Serve, self.store)?;
        let url = config.store.url;
        logging::waits_on_stderr()?;
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()?;
        match runtime.block_on(store::migrate(&url))? {
            None => println!("{url} has no schema"),
            Some(migrated) if migrated.from == migrated.to => {
                println!(
                    "{url} is up to date: its schema has version {}",
                    migrated.to
                );
            }
            Some(migrated) => println!(
                "{url} is migrated from schema version {} to {}",
                migrated.from, migrated.to
            ),
        }
        Ok(())
    }
}
