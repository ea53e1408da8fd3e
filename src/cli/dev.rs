//! `kootask dev`: the local stand-in for KooDrive.

use std::io::Write;
use std::net::SocketAddr;
use std::path::PathBuf;

use super::CommandError;
use super::serve::serve;
use super::setting_argument::SettingArgument;
use crate::api;
use crate::auth::stand_in::{self, APP_ID, APP_SECRET};
use crate::config::{AppConfig, Argument, Config, Defaults, Source};
use crate::logging;

/// The arguments of `kootask dev`.
#[derive(Debug, Default, clap::Args)]
pub(super) struct Dev {
    /// Where to listen [default: 127.0.0.1:8080]
    #[arg(long, value_name = "ADDR", value_parser = SettingArgument::LISTEN)]
    listen: Option<Argument>,
    /// Where to keep tasks: memory:, sqlite://PATH or postgres://… [default: memory:]
    #[arg(long, value_name = "URL", value_parser = SettingArgument::STORE)]
    store: Option<Argument>,
    /// How tasks come on: "new 200ms, executing 800ms", "new 1 poll, executing 2 polls",
    /// immediate or manual [default: new 200ms, executing 800ms]
    #[arg(long, value_name = "PROGRESS", value_parser = SettingArgument::PROGRESS)]
    progress: Option<Argument>,
    /// The tasks and rules to begin with: a file, or a folder of *.toml and *.json
    #[arg(long, value_name = "PATH", value_parser = SettingArgument::SEED)]
    seed: Option<Argument>,
    /// The configuration file
    #[arg(long, value_name = "FILE", env = "KOOTASK_CONFIG")]
    config: Option<PathBuf>,
}

impl Dev {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let arguments = [self.listen, self.store, self.progress, self.seed];
        let source = Source {
            file: self.config,
            defaults: Defaults::Dev,
            arguments: arguments.into_iter().flatten().collect(),
            apps: vec![AppConfig {
                app_id: APP_ID.parse()?,
                tenant_id: stand_in::tenant(),
                app_secret: APP_SECRET.into(),
            }],
        };
        let config = source.load().config?;
        take_small_pages();
        let log = logging::start()?;
        serve(config.clone(), source, &log, |address| {
            // A stand-in whose words nobody hears serves all the same.
            let _ = writeln!(std::io::stderr(), "{}", banner(address, &config));
        })
    }
}

/// Has memory be had by small pages: many stand-ins run beside each other and have
/// little to do, and huge pages would make up a third of what each takes.
fn take_small_pages() {
    // It does without where the kernel knows of none.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
}

/// What this is, where it listens, and a request to paste.
fn banner(address: SocketAddr, config: &Config) -> String {
    let path = api::CREATE;
    let program = std::env::args()
        .next()
        .unwrap_or_else(|| "kootask".to_owned());
    let store = &config.store.url;
    let scheme = config.server.scheme();
    let mode = config.auth.mode;
    let warning = if address.ip().is_loopback() {
        "It must not face a network."
    } else {
        "WARNING: this address is not loopback. Whoever reaches it may do anything here;\n\
         it must not face a network that you do not trust."
    };
    format!(
        "\
kootask dev: a local stand-in for KooDrive's task operations.
Listens on {scheme}://{address}, store {store}, auth.mode {mode}.
Shows what happens at {scheme}://{address}/kootask/dev/
{warning}

Try it:

  curl -s {scheme}://{address}{path} \\
    -H 'Content-Type: application/json' \\
    -H \"X-Date: $(date -u +%Y%m%dT%H%M%SZ)\" -H 'X-User-Id: 1505084218764547200' \\
    -d '{{\"taskType\":0,\"srcUserId\":\"1397687227244555008\",\"dstUserId\":\"1507947856550550784\"}}'

or signed, with the app {APP_ID} and its secret {APP_SECRET}:

  KOOTASK_APP_SECRET={APP_SECRET} {program} sign --send --app-id {APP_ID} --user 1505084218764547200 \\
    --data '{{\"taskType\":0,\"srcUserId\":\"1397687227244555008\",\"dstUserId\":\"1507947856550550784\"}}' \\
    POST {scheme}://{address}{path}
"
    )
}
