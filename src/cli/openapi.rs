//! `kootask openapi`: the OpenAPI document.

use super::CommandError;
use crate::app;

/// The arguments of `kootask openapi`.
#[derive(Debug, clap::Args)]
pub(super) struct OpenApi {}

impl OpenApi {
    pub(super) fn run(self) -> Result<(), CommandError> {
        println!("{}", app::openapi().to_pretty_json()?);
        Ok(())
    }
}
