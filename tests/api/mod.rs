//! The calls, one file for each, and what all calls share.

mod content_type;
mod cors;
mod create;
mod detail;
mod errors;
mod headers;
mod host;
mod idempotency;
mod languages;
mod limits;
mod list;
mod malformed;
mod order;
mod rates;
mod recipient;
mod result;
mod routes;
mod trace_id;
