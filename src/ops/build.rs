//! What this program was built from.

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The commit, as whoever built it said in `KOOTASK_REVISION`.
pub const REVISION: &str = match option_env!("KOOTASK_REVISION") {
    Some(revision) if !revision.is_empty() => revision,
    _ => "unknown",
};
