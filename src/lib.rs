//! A KooDrive-compatible task service.
//!
//! The way of a request, from the outside in; arrows point down only:
//!
//! ```text
//! server               the listener and its limits
//!   └─ web::envelope       trace id, deadline, log line, the one error body
//!        └─ auth               a tower layer: credential → Caller
//!             └─ api                a call: its request parsed, its answer written
//!                  └─ task::TaskService  the rules
//!                       └─ task::repository   the port that stores implement
//! store::{memory, sqlite, postgres} ──implement──> task::repository
//! ```
//!
//! [`app`] composes them. `task` imports nothing of the crate, `web` knows no
//! task, `auth` stands on `web`, and a store knows `task` alone.

pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod directory;
pub mod logging;
pub mod ops;
pub mod reload;
pub mod server;
pub mod shutdown;
pub mod stand_in;
pub mod store;
pub mod task;
pub mod tenant;
pub mod tls;
pub mod traces;
pub mod web;
pub mod wire;
pub mod worker;
