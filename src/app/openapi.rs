//! The OpenAPI document of all calls. `kootask openapi` prints it;
//! `docs/openapi.json` is its copy.

use utoipa::openapi::{InfoBuilder, LicenseBuilder, OpenApi};

use crate::auth;
use crate::web::call::{Access, Document};

const DESCRIPTION: &str = "\
Starts long-running tasks, such as transferring a leaving user's files to another user and \
deleting the account, or importing users in a batch, and reads back what became of them.

Bodies are UTF-8 JSON. Every call carries `Host` (HTTP/2: `:authority`) and, but a worker's, \
`X-User-Id` and `X-Date`. A header that may be given once must not be repeated. Every error, of every \
layer, has the one form of the schema `Error`; all violations of a request are reported at once.

A credential belongs to a tenant; a caller sees and touches only its own tenant's tasks. Workers \
have credentials of their own, and get tasks done. Where \
`auth.mode` is `accept-any`, as in the stand-in `kootask dev`, the credential may be absent.";

/// The document.
#[must_use]
pub fn openapi() -> OpenApi {
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")));
    let info = InfoBuilder::new()
        .title(env!("CARGO_PKG_NAME"))
        .description(Some(DESCRIPTION))
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(license.build()));
    Document::new(info.build(), Access::Console, auth::requirements)
        .with(super::calls())
        .build()
}
