//! `kootask config default`: the reference of every setting.

use super::CommandError;
use crate::config::Config;

/// The arguments of `kootask config default`.
#[derive(Debug, clap::Args)]
pub(super) struct Reference {}

impl Reference {
    pub(super) fn run(self) -> Result<(), CommandError> {
        print!("{}", Config::reference());
        Ok(())
    }
}
