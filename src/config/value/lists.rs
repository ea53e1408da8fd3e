//! Lists of texts or numbers.

use std::net::IpAddr;
use std::sync::Arc;

use ipnet::IpNet;

use super::{Form, Value, Wrong, parse};
use crate::task::scope::Tenants;
use crate::task::{TaskType, TenantId};
use crate::web::cors::Origin;
use crate::wire::TaskTypeNumber;

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
