//! `kootask credentials new`: a fresh secret, and the configuration that knows it.

use rand::TryRngCore;
use rand::rngs::OsRng;

use super::CommandError;
use crate::auth::TokenDigest;
use crate::task::Identifier;

/// The bytes of a secret: 256 bits.
const SECRET_BYTES: usize = 32;

/// The arguments of `kootask credentials new`.
#[derive(Debug, clap::Args)]
pub(super) struct New {
    #[command(subcommand)]
    kind: Kind,
}

#[derive(Debug, clap::Subcommand)]
enum Kind {
    /// An app that signs its requests
    App {
        /// Its name, as in AppId
        #[arg(value_name = "NAME")]
        app_id: Identifier,
        /// The tenant it belongs to
        #[arg(long, value_name = "TENANT")]
        tenant: Identifier,
    },
    /// A bearer token
    Token {
        /// The tenant it belongs to
        #[arg(long, value_name = "TENANT")]
        tenant: Identifier,
        /// The one user it may act as [default: any user of the tenant]
        #[arg(long, value_name = "USER")]
        user: Option<Identifier>,
    },
    /// A worker's bearer token
    Worker {
        /// The worker's name
        #[arg(value_name = "NAME")]
        name: Identifier,
        /// The tenants whose tasks it may take [default: all]
        #[arg(long, value_name = "TENANT", value_delimiter = ',')]
        tenant: Vec<Identifier>,
    },
}

impl New {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let mut bytes = [0; SECRET_BYTES];
        OsRng.try_fill_bytes(&mut bytes)?;
        print!("{}", self.kind.told(&hex::encode(bytes)));
        Ok(())
    }
}

impl Kind {
    /// What to paste, and the secret for whoever shall have it.
    fn told(&self, secret: &str) -> String {
        let digest = hex::encode(TokenDigest::of(secret).0);
        let (entry, whose) = match self {
            Self::App { app_id, tenant } => (
                format!(
                    "[[auth.apps]]\napp_id = \"{app_id}\"\ntenant_id = \"{tenant}\"\n\
                     app_secret = \"{secret}\"\n"
                ),
                "The app's secret",
            ),
            Self::Token { tenant, user } => {
                let user = user
                    .as_ref()
                    .map_or_else(String::new, |user| format!("user_id = \"{user}\"\n"));
                (
                    format!(
                        "[[auth.tokens]]\ntoken_sha256 = \"{digest}\"\ntenant_id = \"{tenant}\"\n\
                         {user}"
                    ),
                    "The token",
                )
            }
            Self::Worker { name, tenant } => (
                format!(
                    "[[auth.workers]]\nname = \"{name}\"\ntoken_sha256 = \"{digest}\"\n\
                     tenants = [{}]\n",
                    tenants(tenant)
                ),
                "The worker's token",
            ),
        };
        format!(
            "# To the configuration file; a running service takes it within seconds.\n\
             {entry}\n\
             # {whose}, which is shown this once:\n\
             # {secret}\n"
        )
    }
}

fn tenants(tenants: &[Identifier]) -> String {
    if tenants.is_empty() {
        return "\"*\"".to_owned();
    }
    let quoted = tenants.iter().map(|tenant| format!("\"{tenant}\""));
    quoted.collect::<Vec<_>>().join(", ")
}
