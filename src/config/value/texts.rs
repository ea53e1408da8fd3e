//! What is written as text: addresses, names, paths, URLs and words.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::{Value, Wrong, parse};
use crate::auth::jwt::JwksUrl;
use crate::auth::{AuthMode, TokenDigest};
use crate::config::server::OpsListen;
use crate::stand_in::progress::Progress;
use crate::store::StoreUrl;
use crate::task::{Identifier, TenantId};

/// Implements [`Value`] for types that are written as their `Display` and read
/// by their `FromStr`.
macro_rules! text_values {
    ($($type:ty: $wanted:literal;)*) => {$(
        impl Value for $type {
            const WANTED: &'static str = $wanted;

            fn read(text: &str) -> Result<Self, Wrong> {
                parse(text)
            }

            fn written(&self) -> toml::Value {
                toml::Value::String(self.to_string())
            }
        }
    )*};
}

text_values! {
    SocketAddr: "an IP address and a port (names are not resolved)";
    OpsListen: "an IP address and a port (names are not resolved), or off";
    Identifier: "1 to 64 characters of A-Z a-z 0-9 _ -";
    Progress: "\"immediate\", \"manual\", or two times or numbers of polls";
}

impl Value for PathBuf {
    const WANTED: &'static str = "a path";

    fn read(text: &str) -> Result<Self, Wrong> {
        match text {
            "" => Err(Wrong::Form),
            _ => parse(text),
        }
    }

    fn written(&self) -> toml::Value {
        self.display().to_string().into()
    }
}

impl Value for String {
    const WANTED: &'static str = "text that is not empty";

    fn read(text: &str) -> Result<Self, Wrong> {
        match text {
            "" => Err(Wrong::Form),
            _ => Ok(text.to_owned()),
        }
    }

    fn written(&self) -> toml::Value {
        self.clone().into()
    }
}

impl Value for JwksUrl {
    const WANTED: &'static str = "the URL of a JSON Web Key Set";

    fn read(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(Wrong::Because)
    }

    fn written(&self) -> toml::Value {
        self.to_string().into()
    }
}

impl Value for StoreUrl {
    const WANTED: &'static str = "the URL of a store";

    fn read(text: &str) -> Result<Self, Wrong> {
        text.parse().map_err(Wrong::Because)
    }

    /// Without the password.
    fn written(&self) -> toml::Value {
        self.to_string().into()
    }
}

impl Value for TenantId {
    const WANTED: &'static str = Identifier::WANTED;

    fn read(text: &str) -> Result<Self, Wrong> {
        Identifier::read(text).map(Self::from)
    }

    fn written(&self) -> toml::Value {
        self.as_str().into()
    }
}

impl Value for AuthMode {
    const WANTED: &'static str = "\"verify\" or \"accept-any\"";
    const IS_OPEN: bool = false;

    fn read(text: &str) -> Result<Self, Wrong> {
        match text {
            "verify" => Ok(Self::Verify),
            "accept-any" => Ok(Self::AcceptAny),
            _ => Err(Wrong::Form),
        }
    }

    fn written(&self) -> toml::Value {
        self.to_string().into()
    }
}

impl Value for TokenDigest {
    const WANTED: &'static str = "64 hexadecimal digits, the token's SHA-256";
    const IS_OPEN: bool = false;

    fn read(text: &str) -> Result<Self, Wrong> {
        let mut digest = [0; 32];
        hex::decode_to_slice(text, &mut digest).map_err(|_| Wrong::Form)?;
        Ok(Self(digest))
    }

    fn written(&self) -> toml::Value {
        hex::encode(self.0).into()
    }
}
