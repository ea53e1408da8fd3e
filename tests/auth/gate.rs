//! The auth layer alone, around a service that lets everything through.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use http::{Request, StatusCode};
use jiff::SignedDuration;
use kootask::auth::layer::AuthLayer;
use kootask::auth::limits::{Limiter, Limits};
use kootask::auth::signature::SigningKey;
use kootask::auth::{App, AuthMode, Authenticator, Credentials};
use kootask::task::{Identifier, TenantId};
use kootask::web::context::RequestLimits;
use kootask::web::envelope::EnvelopeLayer;
use tower::{Layer, ServiceExt, service_fn};

use crate::support::clock::TestClock;

pub const APP_ID: &str = "a378331eca141163119eb602adb67b78";
pub const SECRET: &str = "vector-secret-do-not-use-in-production";
/// The date of the vectors, which is always now here.
pub const DATE: &str = "20240909T033325Z";
pub const MOMENT: &str = "2024-09-09T03:33:25Z";

/// Checks signatures of [`APP_ID`].
pub struct Gate(AuthLayer);

impl Gate {
    pub fn new() -> Self {
        let tenant: Identifier = "acme".parse().unwrap();
        let app = App {
            tenant_id: TenantId::from(tenant),
            keys: vec![SigningKey::new(&SECRET.into())],
        };
        let apps = HashMap::from([(APP_ID.parse().unwrap(), app)]);
        let authenticator = Authenticator::new(
            AuthMode::Verify,
            SignedDuration::ZERO,
            Credentials::new(apps, HashMap::new()),
            TestClock::at(MOMENT),
        );
        let limiter = Limiter::new(Limits::default(), 8);
        Self(AuthLayer::new(Arc::new(authenticator), Arc::new(limiter)))
    }

    /// 200 if the request is let through.
    pub async fn judge(&self, request: Request<Body>) -> StatusCode {
        let open = service_fn(async |_: Request<Body>| Ok::<_, Infallible>(Response::default()));
        let limits = RequestLimits {
            body: 64 * 1024,
            timeout: Duration::from_secs(60),
        };
        let service = EnvelopeLayer::new(limits).layer(self.0.layer(open));
        service.oneshot(request).await.unwrap().status()
    }
}
