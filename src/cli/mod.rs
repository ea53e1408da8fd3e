//! The command line: one file for each subcommand.

mod backup;
mod completions;
mod config_check;
mod config_default;
mod credentials_new;
mod dev;
mod healthcheck;
mod man;
mod migrate;
mod openapi;
mod serve;
mod setting_argument;
mod sign;
mod unrepeated;

use std::process::ExitCode;
use std::sync::LazyLock;

use clap::{Parser, Subcommand};

/// A KooDrive-compatible task service.
#[derive(Debug, Parser)]
#[command(name = "kootask", version = version())]
struct Cli {
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the local stand-in for KooDrive: takes any caller at its word (default)
    Dev(dev::Dev),
    /// Run the service
    Serve(serve::Serve),
    /// Bring the store's schema up to date
    Migrate(migrate::Migrate),
    /// Copy a SQLite store, also while the service runs
    Backup(backup::Backup),
    /// Sign a request with an app secret
    Sign(sign::Sign),
    /// Print the OpenAPI document of the calls
    Openapi(openapi::OpenApi),
    /// Work with credentials
    #[command(subcommand)]
    Credentials(CredentialsCommand),
    /// Ask the running service whether it is ready; the exit code tells
    Healthcheck(healthcheck::Healthcheck),
    /// Print a script that completes commands and options in a shell
    Completions(completions::Completions),
    /// Print the manual page of kootask, or of one of its commands
    Man(man::Man),
    /// Work with the configuration
    #[command(subcommand)]
    Config(ConfigCommand),
}

#[derive(Debug, Subcommand)]
enum CredentialsCommand {
    /// Make a secret, and print it once with the configuration that knows it
    New(credentials_new::New),
}

#[derive(Debug, Subcommand)]
enum ConfigCommand {
    /// Read and check the configuration as `serve` would, and print what is in force
    Check(config_check::Check),
    /// Print every setting with its default and what it means, as a file to start from
    Default(config_default::Reference),
}

/// The version and, where it is known, the commit.
fn version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| {
        let (version, revision) = (crate::ops::VERSION, crate::ops::REVISION);
        format!("{version} (revision {revision})")
    });
    &VERSION
}

/// Why a command failed, as told to the user.
type CommandError = Box<dyn std::error::Error>;

/// Runs the program with the arguments of the process.
#[must_use]
pub fn run() -> ExitCode {
    let outcome = match Cli::parse().command {
        None => dev::Dev::default().run(),
        Some(Command::Dev(dev)) => dev.run(),
        Some(Command::Serve(serve)) => serve.run(),
        Some(Command::Migrate(migrate)) => migrate.run(),
        Some(Command::Backup(backup)) => backup.run(),
        Some(Command::Credentials(CredentialsCommand::New(new))) => new.run(),
        Some(Command::Sign(sign)) => sign.run(),
        Some(Command::Openapi(openapi)) => openapi.run(),
        Some(Command::Healthcheck(healthcheck)) => healthcheck.run(),
        Some(Command::Completions(completions)) => completions.run(),
        Some(Command::Man(man)) => man.run(),
        Some(Command::Config(ConfigCommand::Check(check))) => check.run(),
        Some(Command::Config(ConfigCommand::Default(default))) => default.run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("kootask: {error}");
            ExitCode::FAILURE
        }
    }
}
