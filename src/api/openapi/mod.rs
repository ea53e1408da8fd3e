//! The OpenAPI 3.1 document of the calls, made from the code: the paths are the
//! routes' constants, the schemas of the answers come from the structs that are
//! serialized, statuses and codes from the table of errors.
//!
//! `kootask openapi` prints it; `docs/openapi.json` is its copy.

mod calls;
mod examples;
mod parameters;
mod responses;
mod schemas;

use utoipa::openapi::extensions::Extensions;
use utoipa::openapi::security::{
    ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityRequirement, SecurityScheme,
};
use utoipa::openapi::tag::TagBuilder;
use utoipa::openapi::{
    Components, InfoBuilder, LicenseBuilder, OpenApi, OpenApiBuilder, PathsBuilder,
};

use self::calls::Call;

pub(super) use self::schemas::Time;

/// The tag that all calls carry: KooDrive's name for them.
const TAG: &str = "Basic Task Operations";
/// The names of the security schemes.
const BEARER: &str = "bearer";
const APP_SIGNATURE: &str = "appSignature";

const DESCRIPTION: &str = "\
Starts long-running tasks, such as transferring a leaving user's files to another user and \
deleting the account, or importing users in a batch, and reads back what became of them.

Bodies are UTF-8 JSON. Every call carries `X-User-Id`, `X-Date` and `Host` (HTTP/2: \
`:authority`). A header that may be given once must not be repeated. Every error, of every \
layer, has the one form of the schema `Error`; all violations of a request are reported at once.

A credential belongs to a tenant; a caller sees and touches only its own tenant's tasks. Where \
`auth.mode` is `accept-any`, as in the stand-in `kootask dev`, the credential may be absent.";

const BEARER_DESCRIPTION: &str = "\
`Bearer TOKEN`, with the scheme in any case; also `Bearer+TOKEN`, as KooDrive prints it, or the \
bare token. A token may be bound to a user, whom `X-User-Id` must then name.";

const APP_SIGNATURE_DESCRIPTION: &str = "\
App authentication: `HMAC-SHA256 AppId=…,SignedHeaders=host;x-date;x-user-id,Signature=…`. \
`Signature` is the lower-case hex of HMAC-SHA256, keyed with the app's secret, over \
`HMAC-SHA256`, a line feed and the hex SHA-256 of the canonical request; that is, joined by line \
feeds: the method, the canonical path, the canonical query, a line `name:value` for each signed \
header, an empty line, the list of signed headers, and the hex SHA-256 of the body. The path \
ends with `/`; query parameters are percent-encoded and sorted. `kootask sign --explain` shows \
it for a request.";

/// The document.
#[must_use]
pub fn document() -> OpenApi {
    let paths = Call::ALL
        .into_iter()
        .fold(PathsBuilder::new(), |paths, call| {
            paths.path(call.path(), call.path_item())
        });
    let license = LicenseBuilder::new()
        .name(env!("CARGO_PKG_LICENSE"))
        .identifier(Some(env!("CARGO_PKG_LICENSE")));
    let info = InfoBuilder::new()
        .title(env!("CARGO_PKG_NAME"))
        .description(Some(DESCRIPTION))
        .version(env!("CARGO_PKG_VERSION"))
        .license(Some(license.build()));
    let tag = TagBuilder::new().name(TAG).build();
    OpenApiBuilder::new()
        .info(info.build())
        .paths(paths)
        .components(Some(components()))
        .security(Some([BEARER, APP_SIGNATURE].map(|scheme| {
            SecurityRequirement::new(scheme, std::iter::empty::<String>())
        })))
        .tags(Some([tag]))
        .build()
}

fn components() -> Components {
    let mut components = Components::new();
    components.schemas.extend(schemas::components());
    components.parameters.extend(parameters::components());
    components.headers.extend(responses::headers());
    components.responses.extend(responses::components());
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(BEARER_DESCRIPTION));
    components.add_security_scheme(BEARER, SecurityScheme::Http(bearer.build()));
    let signature = ApiKeyValue::with_description("Authorization", APP_SIGNATURE_DESCRIPTION);
    components.add_security_scheme(
        APP_SIGNATURE,
        SecurityScheme::ApiKey(ApiKey::Header(signature)),
    );
    components
}

/// A field of OpenAPI's that utoipa has no name for.
fn field(name: &str, value: bool) -> Option<Extensions> {
    Some(Extensions::from_iter([(name, value)]))
}
