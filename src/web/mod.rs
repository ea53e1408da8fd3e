//! HTTP as every call has it: a request's context and its limits, the envelope
//! around its answer, and the one table of errors. Knows no task.
//!
//! Contract: `api.md`, "Request headers" and "Errors".

pub mod answer;
pub mod body;
pub mod budget;
pub mod call;
pub mod context;
pub mod cors;
pub mod envelope;
pub mod error;
pub mod forwarded;
mod framing;
pub mod json;
pub mod language;
pub mod method;
pub mod observer;
pub mod path;
pub mod peer;
pub mod query;
mod request_log;
pub mod request_span;
pub mod routes;
pub mod shell;
pub mod trace_id;
