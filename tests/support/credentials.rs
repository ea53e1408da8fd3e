//! Credentials as a configuration file lists them.

use sha2::{Digest, Sha256};

/// A bearer token of this tenant; further keys can be appended.
pub fn token(token: &str, tenant: &str) -> String {
    let digest = hex::encode(Sha256::digest(token));
    format!("[[auth.tokens]]\ntoken_sha256 = \"{digest}\"\ntenant_id = \"{tenant}\"\n")
}

/// An app of this tenant.
pub fn app(app_id: &str, secret: &str, tenant: &str) -> String {
    format!(
        "[[auth.apps]]\napp_id = \"{app_id}\"\napp_secret = \"{secret}\"\ntenant_id = \"{tenant}\"\n"
    )
}

/// A worker with this token, for tasks of these tenants, as TOML lists them.
pub fn worker(name: &str, token: &str, tenants: &str) -> String {
    let digest = hex::encode(Sha256::digest(token));
    format!(
        "[[auth.workers]]\nname = \"{name}\"\ntoken_sha256 = \"{digest}\"\ntenants = {tenants}\n"
    )
}
