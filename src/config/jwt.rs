//! `[auth.jwt]`: the issuer whose JWTs are taken.

use std::path::PathBuf;

use super::reading::Table;
use super::section::{Field, Key, Section, Shape, section};
use crate::auth::jwt::{Issuer, JwksSource, JwksUrl};

section! {
    /// The issuer whose JWTs are taken as bearer tokens, such as an OpenID provider. A
    /// JWT is signed with RS256 to RS512, PS256 to PS512, ES256, ES384 or EdDSA, names
    /// its bearer (sub) and has an end (exp). It cannot be revoked before that.
    pub struct JwtConfig checked by refuse_other_than_one_source {
        /// Its name, as in iss.
        #[example("https://login.example.com/")]
        pub issuer: String,

        /// Whom its tokens must be for, as in aud.
        #[example("koodrive-tasks")]
        pub audience: String,

        /// The file with its public keys, a JSON Web Key Set. Read again when its
        /// contents change. Give this or jwks_url.
        #[example("/etc/kootask/jwks.json")]
        pub jwks_file: Option<PathBuf>,

        /// Where its public keys are asked for: every ten minutes, and when a token names
        /// a key that is not known, every 30 s at most. It may be away when the service
        /// starts. https://, or http:// to a loopback address.
        #[example("https://login.example.com/.well-known/jwks.json")]
        pub jwks_url: Option<JwksUrl>,

        /// The claim with the id of the tenant.
        #[example("tenant_id")]
        pub tenant_claim: String,

        /// The claim with the id of the one user that the bearer may act as, whom
        /// X-User-Id must then name; any user of the tenant if absent.
        #[example("user_id")]
        pub user_claim: Option<String>,
    }
}

/// A table that may be absent.
impl Field for Option<JwtConfig> {
    type Value = ();
    const SHAPE: Shape = Shape::Table(JwtConfig::DOC, JwtConfig::KEYS);

    fn read(table: &mut Table<'_>, key: &'static Key) -> Option<Self> {
        if !table.is_set(key.name) {
            table.take(key.name);
            return Some(None);
        }
        let jwt = table.table(key, JwtConfig::KEYS);
        jwt.and_then(<JwtConfig as Section>::read).map(Some)
    }

    fn write(&self, name: &str, table: &mut toml::Table) {
        if let Some(jwt) = self {
            jwt.write(name, table);
        }
    }
}

impl JwtConfig {
    /// Whose JWTs are taken.
    #[must_use]
    pub fn issuer(&self) -> Issuer {
        Issuer {
            name: self.issuer.clone(),
            audience: self.audience.clone(),
            tenant_claim: self.tenant_claim.clone(),
            user_claim: self.user_claim.clone(),
        }
    }

    /// Where the issuer's keys are.
    #[must_use]
    pub fn source(&self) -> Option<JwksSource> {
        let file = self.jwks_file.clone().map(JwksSource::File);
        file.or_else(|| self.jwks_url.clone().map(JwksSource::Url))
    }
}

fn refuse_other_than_one_source(jwt: &mut JwtConfig, table: &mut Table<'_>) {
    match (&jwt.jwks_file, &jwt.jwks_url) {
        (None, None) => table.mistake_of_all("needs jwks_file or jwks_url"),
        (Some(_), Some(_)) => {
            table.mistake_of_all("has both jwks_file and jwks_url; give one");
        }
        _ => {}
    }
}
