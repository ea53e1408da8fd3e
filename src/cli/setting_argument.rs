//! An argument that is a setting. A mistake in it is told as one in the file is,
//! and without the value, for it may hold a password.

use std::ffi::OsStr;

use clap::builder::TypedValueParser;
use clap::{Arg, Command, Error};

use super::unrepeated::refusal;
use crate::config::Argument;

/// Reads the value of one setting.
#[derive(Debug, Clone, Copy)]
pub(super) struct SettingArgument {
    key: &'static str,
    name: &'static str,
}

impl SettingArgument {
    pub(super) const LISTEN: Self = Self {
        key: "server.listen",
        name: "--listen",
    };
    pub(super) const STORE: Self = Self {
        key: "store.url",
        name: "--store",
    };
    pub(super) const PROGRESS: Self = Self {
        key: "dev.progress",
        name: "--progress",
    };
    pub(super) const SEED: Self = Self {
        key: "dev.seed",
        name: "--seed",
    };
}

impl TypedValueParser for SettingArgument {
    type Value = Argument;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<Argument, Error> {
        let Self { key, name } = *self;
        let Some(value) = value.to_str().map(str::to_owned) else {
            return Err(refusal(command, argument, "is no UTF-8"));
        };
        let setting = Argument { key, name, value };
        match setting.problem() {
            Some(problem) => Err(refusal(command, argument, &problem)),
            None => Ok(setting),
        }
    }
}
