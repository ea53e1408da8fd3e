//! Who checks credentials, as the configuration says.

use std::sync::Arc;

use crate::auth::Authenticator;
use crate::auth::jwt::{JwksError, Jwt};
use crate::config::Config;
use crate::reload::Reload;
use crate::shutdown::Background;
use crate::task::clock::SharedClock;

/// Who checks credentials. Keys of JWTs are kept up to date in the background.
pub(super) fn authenticator(
    config: &Config,
    clock: &SharedClock,
    reload: &Reload,
    background: &Background,
) -> Result<Authenticator, JwksError> {
    let auth = &config.auth;
    let credentials = auth.credentials();
    let mut authenticator =
        Authenticator::new(auth.mode, auth.clock_skew, credentials, Arc::clone(clock));
    if config.dev.is_some() {
        authenticator = authenticator.in_the_stand_in();
    }
    if let Some(jwt) = &auth.jwt
        && let Some(source) = jwt.source()
    {
        let (tasks, stop) = (background.tasks(), background.token());
        let jwt = Jwt::new(jwt.issuer(), source, clock, reload, &tasks, stop)?;
        authenticator = authenticator.with_jwt(jwt);
    }
    Ok(authenticator)
}
