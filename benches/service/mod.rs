//! How the benchmarks start the service.

use std::ffi::OsStr;
use std::net::SocketAddr;
use std::process::Command;

use kootask::auth::stand_in::{APP_ID, APP_SECRET, TENANT};

use crate::command::command;

/// The program that this benchmark was built with.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_kootask");

/// The service as it is used in earnest, at this address and with this store: it
/// knows the stand-in's app, and takes bearer tokens at their word.
pub(crate) fn service(program: impl AsRef<OsStr>, listen: SocketAddr, store: &str) -> Command {
    let mut command = command(program);
    command
        .arg("serve")
        .env("KOOTASK__SERVER__LISTEN", listen.to_string())
        .env("KOOTASK__STORE__URL", store)
        .env("KOOTASK__SERVER__OPS_LISTEN", "127.0.0.1:0")
        .env("KOOTASK__AUTH__MODE", "accept-any")
        .env("KOOTASK__AUTH__APPS__0__APP_ID", APP_ID)
        .env("KOOTASK__AUTH__APPS__0__APP_SECRET", APP_SECRET)
        .env("KOOTASK__AUTH__APPS__0__TENANT_ID", TENANT);
    command
}
