//! A KooDrive-compatible task service.
//!
//! The way of a request, from the outside in; arrows point down only:
//!
//! ```text
//! server             the listener and its limits
//!    └─ api::envelope     trace id, deadline, log line, the one error body
//!         └─ auth::layer       the app-auth headers, the credential
//!              └─ api::create       the call: parsed, validated, answered
//!                   └─ task::TaskService  the rules
//!                        └─ store::TaskRepository  memory, SQLite or PostgreSQL
//! ```

pub mod api;
pub mod app;
pub mod auth;
pub mod cli;
pub mod config;
pub mod directory;
pub mod error;
pub mod logging;
pub mod server;
pub mod store;
pub mod task;
