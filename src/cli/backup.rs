//! `kootask backup`: a copy of a SQLite database, also while the service runs.

use std::path::PathBuf;

use super::CommandError;
use super::setting_argument::SettingArgument;
use crate::config::{Argument, Config, Defaults};
use crate::store::{StoreUrl, sqlite};

/// The arguments of `kootask backup`.
#[derive(Debug, clap::Args)]
pub(super) struct Backup {
    /// The copy to make; it takes the place of an earlier one only when it is whole
    #[arg(value_name = "FILE")]
    file: PathBuf,
    /// The store [default: that of the configuration]
    #[arg(long, value_name = "URL", value_parser = SettingArgument::STORE)]
    store: Option<Argument>,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "KOOTASK_CONFIG")]
    config: Option<PathBuf>,
}

impl Backup {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let config = Config::load(self.config.as_deref(), Defaults::Serve, self.store)?;
        let url = config.store.url;
        let path = match &url {
            StoreUrl::Sqlite(path) => path,
            StoreUrl::Memory => return Err("a store in memory cannot be copied".into()),
            StoreUrl::Postgres(_) => {
                return Err(format!("{url} is copied by PostgreSQL's own pg_dump").into());
            }
        };
        let bytes = sqlite::backup(path, &self.file)?;
        println!("{url} is copied to {}: {bytes} bytes", self.file.display());
        Ok(())
    }
}
