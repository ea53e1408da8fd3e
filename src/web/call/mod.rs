//! A call of the service, registered once: its route and its place in the
//! OpenAPI document are made from the same [`Call`].
//!
//! A call's file declares it beside its handler. A room puts its calls into one
//! list ([`Calls`]); lists are merged. [`Calls::routes`] makes the router and
//! [`Document`] the document, so neither can name a call that the other lacks.

mod calls;
mod declaration;
mod document;
mod parameter;
mod response;
pub mod schema;

pub use self::calls::Calls;
pub use self::declaration::Call;
pub use self::document::{Document, Requirements};
pub use self::parameter::{header, in_path, query};

/// Who may make a call. It decides which layer admits the call's requests, and
/// what the document says of credentials, headers and errors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Who has a credential of KooDrive's console: an app or a token.
    Console,
    /// Who has a worker's credential.
    Worker,
    /// Anybody.
    Anyone,
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::middleware::map_response;
    use axum::response::Response;
    use serde_json::{Value, json};
    use tower::ServiceExt;
    use utoipa::openapi::InfoBuilder;
    use utoipa::openapi::security::{HttpAuthScheme, HttpBuilder, SecurityScheme};

    use super::*;
    use crate::web::error::ApiError;

    async fn found() -> &'static str {
        "found"
    }

    fn calls() -> Calls<()> {
        let read = Call::get(Access::Console, "/thing", found).named("read", "", "");
        let write = Call::post(Access::Anyone, "/thing", found).named("write", "", "");
        Calls::tagged("one")
            .with(read)
            .and(Calls::tagged("other").with(write))
    }

    fn requirements(access: Access) -> Requirements {
        let bearer = HttpBuilder::new().scheme(HttpAuthScheme::Bearer);
        match access {
            Access::Console => Requirements {
                credentials: vec![("bearer", SecurityScheme::Http(bearer.build()))],
                headers: vec![header("X-Own", schema::integer()).build()],
                errors: vec![ApiError::Forbidden],
            },
            Access::Worker | Access::Anyone => Requirements::default(),
        }
    }

    fn document() -> Value {
        let document = Document::new(InfoBuilder::new().build(), Access::Console, requirements);
        serde_json::to_value(document.with(calls()).build()).unwrap()
    }

    #[tokio::test]
    async fn a_guard_is_put_around_the_calls_of_its_access_alone() {
        let router: Router = calls().routes(|access, route| match access {
            Access::Console => {
                route.route_layer(map_response(async |_: Response| ApiError::Forbidden))
            }
            Access::Worker | Access::Anyone => route,
        });
        for (method, status) in [("GET", 403), ("POST", 200), ("PUT", 405)] {
            let request = http::Request::builder().method(method).uri("/thing");
            let request = request.body(axum::body::Body::empty()).unwrap();
            let answer = router.clone().oneshot(request).await.unwrap();
            assert_eq!(answer.status(), status, "{method}");
        }
    }

    #[test]
    fn merged_lists_make_one_document_and_each_keeps_its_tag() {
        let path = &document()["paths"]["/thing"];
        assert_eq!(path["get"]["tags"], json!(["one"]));
        assert_eq!(path["post"]["tags"], json!(["other"]));
        assert_eq!(
            document()["tags"],
            json!([{"name": "one"}, {"name": "other"}])
        );
    }

    #[test]
    fn who_may_call_decides_on_credentials_headers_and_errors() {
        let document = document();
        assert_eq!(document["security"], json!([{"bearer": []}]));
        let (usual, open) = (
            &document["paths"]["/thing"]["get"],
            &document["paths"]["/thing"]["post"],
        );
        assert_eq!(usual.get("security"), None);
        assert_eq!(open["security"], json!([]));
        let own = json!({"$ref": "#/components/parameters/X-Own"});
        assert_eq!(usual["parameters"][0], own);
        assert!(!open["parameters"].as_array().unwrap().contains(&own));
        assert!(usual["responses"]["403"].is_object());
        assert_eq!(open["responses"].get("403"), None);
    }
}
