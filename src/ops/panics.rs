//! Panics, wherever they happen.

use std::sync::Once;
use std::sync::atomic::{AtomicU64, Ordering};

static PANICS: AtomicU64 = AtomicU64::new(0);

/// How many there were.
pub(super) fn count() -> u64 {
    PANICS.load(Ordering::Relaxed)
}

/// Counts panics from now on, of every thread, beside what is done with them
/// already.
pub fn count_panics() {
    static INSTALL: Once = Once::new();
    INSTALL.call_once(|| {
        let next = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            PANICS.fetch_add(1, Ordering::Relaxed);
            next(panic);
        }));
    });
}
