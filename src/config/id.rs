//! `[id]`: how task ids are made.

use super::section::section;

section! {
    /// How task ids are made.
    pub struct IdConfig {
        /// This instance's node number: a part of every task id. No two instances that
        /// run at the same time may have the same. With PostgreSQL, leave it out: each
        /// instance then leases a free one. One that is set is leased as well, and an
        /// instance does not start while another holds it. Otherwise 0 if absent.
        #[example(1)]
        #[range(0, 65535)]
        pub node: Option<u16>,
    }
}
