//! Secrets: given in the configuration or in a file of their own.

use std::path::PathBuf;
use std::str::FromStr;

use secrecy::{ExposeSecret, SecretString};

use super::setting::{Problems, Setting, SettingType};

/// A secret as written; its `Debug` shows nothing.
#[derive(Debug, Clone)]
pub(super) struct SecretText(SecretString);

impl FromStr for SecretText {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.is_empty() {
            Err("is empty")
        } else {
            Ok(Self(text.into()))
        }
    }
}

impl SettingType for SecretText {}

/// A secret that is set as text under one key, or under that key and `_file` as
/// the file that holds it.
#[derive(Debug)]
pub(super) struct Secret {
    pub(super) text: Setting<SecretText>,
    pub(super) file: Setting<PathBuf>,
}

impl Secret {
    /// Whether there is a secret, right or wrong.
    pub(super) const fn is_set(&self) -> bool {
        self.text.is_set() || self.file.is_set()
    }

    /// The secret of the setting `name` in the table `table`.
    pub(super) fn judge(
        self,
        table: &str,
        name: &str,
        problems: &mut Problems,
    ) -> Option<SecretString> {
        if self.text.is_set() && self.file.is_set() {
            problems.add(table, format!("has both {name} and {name}_file; give one"));
        }
        let text = self.text.optional(&format!("{table}.{name}"), problems);
        let file_key = format!("{table}.{name}_file");
        let file = self.file.optional(&file_key, problems);
        let from_file = file.and_then(|path| {
            let problem = |error| format!("{}: {error}", path.display());
            read_secret(&path)
                .map_err(|error| problems.add(file_key, problem(error)))
                .ok()
        });
        text.map(|SecretText(secret)| secret).or(from_file)
    }
}

/// What is shown of a secret, as TOML.
pub(super) fn redacted(secret: &SecretString) -> String {
    let length = secret.expose_secret().len();
    format!("\"[REDACTED, {length} bytes]\"")
}

/// The secret in a file, without the line end that editors add.
///
/// # Errors
///
/// A text that says why there is none; never the secret.
pub fn read_secret(path: &std::path::Path) -> Result<SecretString, String> {
    let text = std::fs::read_to_string(path).map_err(|error| error.to_string())?;
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err("the file is empty".to_owned());
    }
    Ok(secret.into())
}
