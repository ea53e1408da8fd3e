//! The tests of kootask from the outside: one program, its tree mirroring the
//! API and what stands around it.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::arithmetic_side_effects,
    clippy::panic,
    clippy::string_slice,
    missing_docs,
    unreachable_pub,
    reason = "a test may panic: that is how it fails"
)]

mod api;
mod architecture;
mod auth;
mod cli;
mod cluster;
mod config;
mod durability;
mod environment;
mod hostile;
mod openapi;
mod ops;
mod packaging;
mod stand_in;
mod store;
mod support;
mod tls;
mod worker;
