//! Secrets: given in the configuration or in a file of their own.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use secrecy::{ExposeSecret, SecretString};

use super::reading::Table;
use super::section::{Field, Key, Shape};
use super::value::{Value, Wrong};

/// The most bytes that a secret's file may have.
const MOST_BYTES: u64 = 64 * 1024;

/// What editors of some systems begin a text file with.
const BYTE_ORDER_MARK: char = '\u{feff}';

/// A secret as written; its `Debug` shows nothing.
#[derive(Debug, Clone)]
struct SecretText(SecretString);

impl Value for SecretText {
    const WANTED: &'static str = "a secret";
    const IS_OPEN: bool = false;

    fn read(text: &str) -> Result<Self, Wrong> {
        secret_of(text).map(Self).map_err(Wrong::Because)
    }

    fn written(&self) -> toml::Value {
        let length = self.0.expose_secret().len();
        format!("[REDACTED, {length} bytes]").into()
    }

    fn is_same(&self, other: &Self) -> bool {
        self.0.expose_secret() == other.0.expose_secret()
    }
}

/// A secret that may be absent: as text under its key, or under that key and
/// `_file` as the file that holds it.
impl Field for Option<SecretString> {
    type Value = ();
    const SHAPE: Shape = Shape::Secret;

    fn read(table: &mut Table<'_>, key: &'static Key) -> Option<Self> {
        let file_name = format!("{}_file", key.name);
        match (table.take(key.name), table.take(&file_name)) {
            (None, None) => Some(None),
            (Some(node), None) => table
                .value(key, key.name, node)
                .map(|SecretText(secret)| Some(secret)),
            (None, Some(node)) => {
                let path: PathBuf = table.value(key, &file_name, node)?;
                table.note_file(&path);
                read_secret(&path)
                    .map_err(|problem| {
                        table.mistake(&file_name, format!("{} {problem}", nameable(&path)));
                    })
                    .ok()
                    .map(Some)
            }
            (Some(_), Some(_)) => {
                table.mistake_of_all(format!("has both {} and {file_name}; give one", key.name));
                None
            }
        }
    }

    fn write(&self, name: &str, table: &mut toml::Table) {
        if let Some(secret) = self {
            secret.write(name, table);
        }
    }

    fn differences(&self, other: &Self, path: &str, keys: &mut Vec<String>) {
        let text = |secret: &Self| secret.clone().map(SecretText);
        text(self).differences(&text(other), path, keys);
    }
}

/// A secret that must be given.
impl Field for SecretString {
    type Value = ();
    const SHAPE: Shape = Shape::Secret;

    fn read(table: &mut Table<'_>, key: &'static Key) -> Option<Self> {
        let secret = Option::<Self>::read(table, key)?;
        if secret.is_none() {
            table.mistake_of_all(format!("needs {0} or {0}_file", key.name));
        }
        secret
    }

    fn write(&self, name: &str, table: &mut toml::Table) {
        SecretText(self.clone()).write(name, table);
    }

    fn differences(&self, other: &Self, path: &str, keys: &mut Vec<String>) {
        SecretText(self.clone()).differences(&SecretText(other.clone()), path, keys);
    }
}

/// Notes a secret of fewer bytes than this.
pub(super) fn refuse_short(
    table: &mut Table<'_>,
    name: &str,
    secret: &SecretString,
    fewest: usize,
) {
    let file_name = format!("{name}_file");
    if secret.expose_secret().len() < fewest {
        let name = match table.place(&file_name) {
            Some(_) => &file_name,
            None => name,
        };
        table.mistake(
            name,
            format!("has fewer than {fewest} bytes, so that it could be guessed; «openssl rand -hex 32» makes a good one"),
        );
    }
}

/// The secret that is this text.
///
/// # Errors
///
/// What is wrong, as it goes on after the setting's name; never the secret.
pub fn secret_of(text: &str) -> Result<SecretString, &'static str> {
    match text {
        "" => Err("is empty"),
        text if text.starts_with(BYTE_ORDER_MARK) => {
            Err("begins with a byte order mark (U+FEFF), which an editor has left there")
        }
        text => Ok(text.into()),
    }
}

/// The secret in a file, without the line end that editors add and the byte
/// order mark that some put before it.
///
/// # Errors
///
/// What is wrong, as it goes on after the file's name; never the secret.
pub fn read_secret(path: &Path) -> Result<SecretString, String> {
    let problem = |error: std::io::Error| format!("cannot be read: {error}");
    // Whatever else there is, a pipe or a device, may never come to an end.
    if !std::fs::metadata(path).map_err(problem)?.is_file() {
        return Err("is no regular file".to_owned());
    }
    let mut bytes = Vec::new();
    File::open(path)
        .and_then(|file| {
            file.take(MOST_BYTES.saturating_add(1))
                .read_to_end(&mut bytes)
        })
        .map_err(problem)?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(format!("has more than {MOST_BYTES} bytes"));
    }
    let text = str::from_utf8(&bytes).map_err(|_| "is no UTF-8 text")?;
    let text = text.strip_prefix(BYTE_ORDER_MARK).unwrap_or(text);
    Ok(secret_of(text.trim_end_matches(['\r', '\n']))?)
}

/// The path, if it can be told: what leads nowhere may be the secret itself,
/// given in place of its file.
fn nameable(path: &Path) -> String {
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if path.exists() || folder.is_some_and(Path::is_dir) {
        path.display().to_string()
    } else {
        "the file".to_owned()
    }
}
