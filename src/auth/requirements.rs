//! What a call asks of who makes it, as the OpenAPI document tells it.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::json;
use utoipa::openapi::path::Parameter;
use utoipa::openapi::schema::{ObjectBuilder, Type};
use utoipa::openapi::security::{ApiKey, ApiKeyValue, HttpAuthScheme, HttpBuilder, SecurityScheme};
use utoipa::openapi::{RefOr, Required, Schema};
use utoipa::{PartialSchema, ToSchema};

use crate::task::Identifier;
use crate::web::call::{Access, Requirements, header, schema};
use crate::web::error::{ApiError, Malformed, Reason, Violation};

const BEARER_DESCRIPTION: &str = "\
`Bearer TOKEN`, with the scheme in any case; also `Bearer+TOKEN`, as KooDrive prints it, or the \
bare token. A token may be bound to a user, whom `X-User-Id` must then name. Where `auth.jwt` \
is configured, a JWT of its issuer is a token, too.";

const APP_SIGNATURE_DESCRIPTION: &str = "\
App authentication: `HMAC-SHA256 AppId=…,SignedHeaders=host;x-date;x-user-id,Signature=…`. \
`Signature` is the lower-case hex of HMAC-SHA256, keyed with the app's secret, over \
`HMAC-SHA256`, a line feed and the hex SHA-256 of the canonical request; that is, joined by line \
feeds: the method, the canonical path, the canonical query, a line `name:value` for each signed \
header, an empty line, the list of signed headers, and the hex SHA-256 of the body. The path \
ends with `/`; query parameters are percent-encoded and sorted. `kootask sign --explain` shows \
it for a request.";

const WORKER_DESCRIPTION: &str = "\
`Bearer TOKEN`, of a worker that is listed under `auth.workers`. It opens no other call, and no \
other credential opens a worker's. Where `auth.mode` is `accept-any` any token does, and none.";

/// What an access asks of a request.
#[must_use]
pub fn requirements(access: Access) -> Requirements {
    match access {
        Access::Console => console(),
        Access::Worker => worker(),
        Access::Anyone => Requirements::default(),
    }
}

fn console() -> Requirements {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(BEARER_DESCRIPTION));
    let signature = ApiKeyValue::with_description("Authorization", APP_SIGNATURE_DESCRIPTION);
    Requirements {
        credentials: vec![
            ("bearer", SecurityScheme::Http(bearer.build())),
            (
                "appSignature",
                SecurityScheme::ApiKey(ApiKey::Header(signature)),
            ),
        ],
        headers: vec![user_id(), date()],
        errors: errors_of_every_caller()
            .into_iter()
            .chain([
                ApiError::DateOutsideWindow(outside_window().into()),
                ApiError::Forbidden,
                ApiError::TooManyRequests(Duration::from_secs(1)),
            ])
            .collect(),
    }
}

fn worker() -> Requirements {
    let bearer = HttpBuilder::new()
        .scheme(HttpAuthScheme::Bearer)
        .description(Some(WORKER_DESCRIPTION));
    Requirements {
        credentials: vec![("worker", SecurityScheme::Http(bearer.build()))],
        headers: Vec::new(),
        errors: errors_of_every_caller().into(),
    }
}

/// How a request is refused, whatever its credential should be.
fn errors_of_every_caller() -> [ApiError; 10] {
    [
        ApiError::Malformed(Malformed::NoHost),
        ApiError::Malformed(Malformed::RepeatedHost),
        ApiError::Malformed(Malformed::NotAHost),
        ApiError::Malformed(Malformed::DifferentHosts),
        // Any signed request may have a body, which is read to be hashed, and every
        // worker's has one.
        ApiError::Malformed(Malformed::UnreadableBody),
        ApiError::Malformed(Malformed::Trailers),
        ApiError::Malformed(Malformed::TransferEncoding),
        ApiError::Unauthenticated("".into()),
        ApiError::RequestTimeout,
        ApiError::BodyTooLarge,
    ]
}

/// An example, at the time of the example of `X-Date`.
fn outside_window() -> Violation {
    let now = Timestamp::constant(1_762_153_300, 0);
    Violation::new("X-Date", Reason::OutsideWindow { now })
}

fn user_id() -> Parameter {
    header("X-User-Id", schema::of::<Identifier>())
        .required(Required::True)
        .description(Some("The acting user."))
        .example(Some(json!("1505084218764547200")))
        .build()
}

fn date() -> Parameter {
    let form = ObjectBuilder::new()
        .schema_type(Type::String)
        .pattern(Some("^[0-9]{8}T[0-9]{6}Z$"));
    header("X-Date", form)
        .required(Required::True)
        .description(Some(
            "The time of the request in UTC: `YYYYMMDD'T'HHMMSS'Z'`. At most 15 minutes old \
             and not later than now, but for a small tolerance; otherwise 401, with the server's \
             time in `details`.",
        ))
        .example(Some(json!("20251103T070140Z")))
        .build()
}

impl ToSchema for Identifier {}

impl PartialSchema for Identifier {
    fn schema() -> RefOr<Schema> {
        schema::matching("[A-Za-z0-9_-]", Self::MAX_LENGTH)
            .description(Some(
                "The id of a user, an organization, a result or a tenant. Always a string: a \
                 JSON number of its size loses digits in many clients.",
            ))
            .into()
    }
}
