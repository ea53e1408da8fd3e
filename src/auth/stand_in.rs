//! The tenants of the stand-in `kootask dev`, as credentials name them.
//!
//! Contract: `stand-in.md`, "Tests side by side".

use super::signature::SigningKey;
use crate::task::{Identifier, TenantId};

/// The tenant of whoever names none.
pub const TENANT: &str = "dev";
/// The app that can always sign in the stand-in, with [`APP_SECRET`]; with `-NAME`
/// behind it, for tenant NAME.
pub const APP_ID: &str = "kootask-dev";
/// The secret of [`APP_ID`], which everybody knows.
pub const APP_SECRET: &str = "kootask-dev-secret";

/// The tenant of whoever names none.
#[must_use]
pub fn tenant() -> TenantId {
    TenantId::of_constant(TENANT)
}

/// The tenant that a bearer token `tenant.NAME` names.
#[must_use]
pub fn tenant_of_token(token: &str) -> Option<TenantId> {
    named(token.strip_prefix("tenant.")?)
}

/// The tenant that an app `kootask-dev-NAME` names.
#[must_use]
pub fn tenant_of_app(app_id: &str) -> Option<TenantId> {
    named(app_id.strip_prefix(APP_ID)?.strip_prefix('-')?)
}

fn named(name: &str) -> Option<TenantId> {
    name.parse::<Identifier>().ok().map(TenantId::from)
}

/// The key that the stand-in's apps sign with.
pub(super) fn key() -> SigningKey {
    SigningKey::new(&APP_SECRET.into())
}
