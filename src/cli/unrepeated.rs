//! Refusals of arguments that do not repeat the value, for it may hold a password.

use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

/// What is wrong with the value of this argument, as clap tells it.
pub(super) fn refusal(command: &Command, argument: Option<&Arg>, problem: &str) -> Error {
    let argument = argument.map_or_else(|| "an argument".to_owned(), Arg::to_string);
    let problem = format!("invalid value for '{argument}': {problem}\n");
    Error::raw(ErrorKind::ValueValidation, problem).with_cmd(command)
}
