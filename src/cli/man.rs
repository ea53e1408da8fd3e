//! `kootask man`: manual pages, made from what the program says of itself.

use std::io::Write;

use clap::CommandFactory;

use super::{Cli, CommandError};

/// The arguments of `kootask man`.
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// The command whose page is wanted, as in `config check`
    #[arg(value_name = "COMMAND")]
    path: Vec<String>,
}

impl Man {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let mut page = Vec::new();
        let mut command = Cli::command();
        // Gives each command its whole name.
        command.build();
        for name in &self.path {
            let found = command.find_subcommand(name).cloned();
            command = found.ok_or_else(|| format!("there is no command {name}"))?;
        }
        clap_mangen::Man::new(command).render(&mut page)?;
        Ok(std::io::stdout().write_all(&page)?)
    }
}
