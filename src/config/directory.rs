//! `[directory]`: the users' names.

use std::path::PathBuf;

use super::section::section;

section! {
    /// The users' names.
    pub struct DirectoryConfig {
        /// The names, shown as taskName and as the recipient's name: a CSV file whose
        /// first line names the columns user_id and name. Read again when it changes.
        /// Without it, ids are shown.
        #[example("users.csv")]
        pub file: Option<PathBuf>,
    }
}
