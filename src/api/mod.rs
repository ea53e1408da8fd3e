//! KooDrive's "Basic Task Operations" over HTTP: one file for each call, and
//! what all calls share.
//!
//! Contract: `api.md`.

pub mod body;
pub mod context;
pub mod create;
pub mod envelope;
pub mod language;
mod loose;
mod request_log;
pub mod trace_id;

/// The path of the create call.
pub const CREATE: &str = "/koodrive/ose/v1/task/create";
