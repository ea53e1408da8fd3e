//! The `kootask` program; everything it does is in the library.

use std::process::ExitCode;

/// A request's memory is often freed by another thread than took it (a worker,
/// the store's writer); the system's allocator is slow at that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    kootask::cli::run()
}
