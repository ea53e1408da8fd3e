//! The types that a single setting may have, and how each is written.

use std::net::{IpAddr, SocketAddr};
use std::num::NonZero;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytesize::ByteSize;
use ipnet::IpNet;
use jiff::{SignedDuration, Timestamp};

use super::server::OpsListen;
use super::tree::Content;
use crate::auth::jwt::JwksUrl;
use crate::auth::{AuthMode, TokenDigest};
use crate::stand_in::progress::Progress;
use crate::store::StoreUrl;
use crate::task::scope::Tenants;
use crate::task::{Identifier, TaskType, TenantId};
use crate::web::cors::Origin;
use crate::wire::TaskTypeNumber;

/// The type of a setting.
pub(super) trait Value: Sized {
    /// How a file holds it, beside text.
    const FORM: Form = Form::Text;
    /// What is wanted, as it goes on after «must be».
    const WANTED: &'static str;
    /// Whether there are so many values that an example helps.
    const IS_OPEN: bool = true;

    /// The value of this text.
    fn read(text: &str) -> Result<Self, Wrong>;

    /// The value as the file holds it.
    fn written(&self) -> toml::Value;

    /// Whether `other` is the same value.
    fn is_same(&self, other: &Self) -> bool {
        self.written() == other.written()
    }
}

/// Why a text is no value of a type. It never holds the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Wrong {
    /// It has another form than is wanted.
    Form,
    /// A whole sentence.
    Because(&'static str),
}

/// How a file holds a value. The environment and the arguments give text alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// As text alone: a number such as `1.10` would be another text when written
    /// again.
    Text,
    /// Also as a number.
    Number,
    /// Also as `true` or `false`.
    Boolean,
    /// Also as a date and time.
    Moment,
    /// Also as a list of texts or numbers; as text, they are separated by commas.
    List,
}

impl Form {
    /// The value's text, if the value has this form.
    pub(super) fn text_of(self, content: Content) -> Option<String> {
        match (content, self) {
            (Content::Text(text), _)
            | (Content::Number(text), Self::Number)
            | (Content::Moment(text), Self::Moment) => Some(text),
            (Content::Boolean(value), Self::Boolean) => Some(value.to_string()),
            (Content::List(entries), Self::List) => {
                let entries = entries.into_iter().map(|entry| match entry.content {
                    // A comma would make two entries of one.
                    Content::Text(text) | Content::Number(text) if !text.contains(',') => {
                        Some(text)
                    }
                    _ => None,
                });
                Some(entries.collect::<Option<Vec<_>>>()?.join(","))
            }
            _ => None,
        }
    }
}

/// Whether the text's value is one of the range. A text that is no value is no
/// one's.
pub(super) fn is_within<T: Value + PartialOrd>(text: &str, lowest: &str, highest: &str) -> bool {
    match (T::read(text), T::read(lowest), T::read(highest)) {
        (Ok(value), Ok(lowest), Ok(highest)) => (lowest..=highest).contains(&value),
        _ => false,
    }
}

fn parse<T: std::str::FromStr>(text: &str) -> Result<T, Wrong> {
    text.parse().map_err(|_| Wrong::Form)
}

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

impl Value for u16 {
    const FORM: Form = Form::Number;
    const WANTED: &'static str = "a whole number";

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        i64::from(*self).into()
    }
}

impl Value for u32 {
    const FORM: Form = Form::Number;
    const WANTED: &'static str = u16::WANTED;

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        i64::from(*self).into()
    }
}

impl Value for NonZero<u32> {
    const FORM: Form = Form::Number;
    const WANTED: &'static str = u16::WANTED;

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        i64::from(self.get()).into()
    }
}

impl Value for bool {
    const FORM: Form = Form::Boolean;
    const WANTED: &'static str = "true or false";
    const IS_OPEN: bool = false;

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        (*self).into()
    }
}

impl Value for ByteSize {
    const FORM: Form = Form::Number;
    const WANTED: &'static str = "a size in bytes or with a unit";

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        i64::try_from(self.as_u64()).unwrap_or(i64::MAX).into()
    }
}

impl Value for SignedDuration {
    const WANTED: &'static str = "a duration with its unit";

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        format!("{self:#}").into()
    }
}

impl Value for Duration {
    const WANTED: &'static str = SignedDuration::WANTED;

    fn read(text: &str) -> Result<Self, Wrong> {
        Self::try_from(SignedDuration::read(text)?).map_err(|_| Wrong::Form)
    }

    fn written(&self) -> toml::Value {
        SignedDuration::try_from(*self)
            .unwrap_or(SignedDuration::MAX)
            .written()
    }
}

impl Value for Timestamp {
    const FORM: Form = Form::Moment;
    const WANTED: &'static str = "a moment with its offset from UTC";

    fn read(text: &str) -> Result<Self, Wrong> {
        parse(text)
    }

    fn written(&self) -> toml::Value {
        self.to_string().into()
    }
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

impl Value for Tenants {
    const FORM: Form = Form::List;
    const WANTED: &'static str = "a list of tenants, or [\"*\"] for all of them";

    fn read(text: &str) -> Result<Self, Wrong> {
        match text {
            "*" => Ok(Self::All),
            list => entries(list, TenantId::read).map(|these| Self::These(these.into())),
        }
    }

    fn written(&self) -> toml::Value {
        match self {
            Self::All => vec!["*"].into(),
            Self::These(these) => toml::Value::Array(these.iter().map(Value::written).collect()),
        }
    }
}

/// The task types of a credential.
impl Value for Arc<[TaskType]> {
    const FORM: Form = Form::List;
    const WANTED: &'static str =
        "a list of task types: 0 (transfer and deletion), 1 (batch import)";

    fn read(text: &str) -> Result<Self, Wrong> {
        let read = |text: &str| {
            let number = parse(text)?;
            TaskTypeNumber::task_type(number).ok_or(Wrong::Form)
        };
        entries(text, read).map(Self::from)
    }

    fn written(&self) -> toml::Value {
        let numbers = self.iter().map(|kind| TaskTypeNumber::from(*kind));
        let numbers = numbers.map(|number| i64::from(u32::from(number)).into());
        toml::Value::Array(numbers.collect())
    }
}

impl Value for Arc<[IpNet]> {
    const FORM: Form = Form::List;
    const WANTED: &'static str = "a list of IP networks";

    fn read(text: &str) -> Result<Self, Wrong> {
        let read = |text: &str| {
            let address = || text.parse().map(|address: IpAddr| IpNet::from(address));
            parse::<IpNet>(text).or_else(|_| address().map_err(|_| Wrong::Form))
        };
        entries_or_none(text, read)
    }

    fn written(&self) -> toml::Value {
        texts(self)
    }
}

impl Value for Arc<[Origin]> {
    const FORM: Form = Form::List;
    const WANTED: &'static str = "a list of origins, without a path, in lower case";

    fn read(text: &str) -> Result<Self, Wrong> {
        entries_or_none(text, parse)
    }

    fn written(&self) -> toml::Value {
        texts(self)
    }
}

fn texts(entries: &[impl ToString]) -> toml::Value {
    let texts = entries.iter().map(|entry| entry.to_string().into());
    toml::Value::Array(texts.collect())
}

/// The entries of a list, which may be empty.
fn entries_or_none<T>(
    list: &str,
    read: impl Fn(&str) -> Result<T, Wrong>,
) -> Result<Arc<[T]>, Wrong> {
    match list {
        "" => Ok(Arc::default()),
        list => entries(list, read).map(Arc::from),
    }
}

/// The entries of a list, at least one.
fn entries<T>(list: &str, read: impl Fn(&str) -> Result<T, Wrong>) -> Result<Vec<T>, Wrong> {
    list.split(',').map(|entry| read(entry.trim())).collect()
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
