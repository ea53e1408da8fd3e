//! `--store URL`: a mistake in it is told without it, for it may hold a password.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

use crate::store::StoreUrl;

/// Reads the URL of a store.
#[derive(Debug, Clone)]
pub(super) struct StoreArgument;

impl TypedValueParser for StoreArgument {
    type Value = StoreUrl;

    fn parse_ref(
        &self,
        command: &Command,
        _: Option<&Arg>,
        value: &OsStr,
    ) -> Result<StoreUrl, Error> {
        let url = value.to_str().ok_or("is no UTF-8").and_then(str::parse);
        url.map_err(|problem| {
            let problem = format!("invalid value for '--store <URL>': {problem}\n");
            Error::raw(ErrorKind::ValueValidation, problem).with_cmd(command)
        })
    }
}
