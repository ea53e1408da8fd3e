//! `[directory]`: the users' names.

use std::path::PathBuf;

use super::section::section;

section! {
    /// The users' names.
    pub struct DirectoryConfig {
        /// The names, shown as taskName and as the recipient's name: a CSV file of at most
        /// 64 MiB whose first line names the columns user_id and name. A name has at most
        /// 256 characters, on one line. Read again within seconds of a change, and at
        /// SIGHUP; a file that is damaged is refused, and the names stay as they are.
        /// Without a file, ids are shown.
        #[example("users.csv")]
        pub file: Option<PathBuf>,
    }
}
