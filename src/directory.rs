//! The user directory: names for user ids, from a CSV file that may change
//! while the service runs.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, PoisonError, RwLock};

use csv::ByteRecord;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::reload::{self, Contents, Files, Occasion, Outcome, Reload, What};
use crate::task::Identifier;
use crate::task::service::UserNames;

/// The most bytes of the file: a million users and more.
const FILE_LIMIT: u64 = 64 * 1024 * 1024;
/// The most characters of a name. A page of a list has a hundred of them.
const NAME_LIMIT: usize = 256;
/// The most rows that are left out with a warning of their own; further ones are
/// counted.
const MOST_WARNINGS: u64 = 10;

type Names = HashMap<Identifier, String>;

/// The names of users. Cheap to clone.
#[derive(Clone, Default)]
pub struct Directory {
    names: Arc<RwLock<Names>>,
}

/// Why a file is refused as a whole.
#[derive(Debug, thiserror::Error)]
enum Damaged {
    #[error("the first line must name the columns user_id and name")]
    NoColumns,
    #[error("line {0}: a quotation mark is not closed on its line")]
    OpenQuotation(u64),
    #[error(transparent)]
    Csv(#[from] csv::Error),
}

/// Why a row is left out.
#[derive(Debug, thiserror::Error)]
enum BadRow {
    #[error("the row has more or fewer values than there are columns")]
    Columns,
    #[error("the row is not UTF-8")]
    NotUtf8(#[from] std::str::Utf8Error),
    #[error("user_id {0}")]
    UserId(<Identifier as std::str::FromStr>::Err),
    #[error("the name is empty")]
    NoName,
    #[error("the name has more than {NAME_LIMIT} characters")]
    LongName,
    #[error("the name has a control character")]
    ControlCharacter,
}

impl UserNames for Directory {
    fn name(&self, user_id: &Identifier) -> Option<String> {
        self.names
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(user_id)
            .cloned()
    }
}

impl Directory {
    /// Takes the names from `file`, a CSV file with the columns `user_id` and
    /// `name`: now and, in `tasks` until `stop`, when its content changes or a
    /// reload is asked for.
    ///
    /// What is wrong with the file is logged: a malformed row is left out; a file
    /// that is damaged or unreadable as a whole leaves the names as they are.
    #[must_use]
    pub fn watch(
        file: PathBuf,
        reload: &Reload,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Self {
        let directory = Self::default();
        let mut files = Files::new(vec![file.clone()], FILE_LIMIT);
        let (loaded, counts) = (directory.clone(), reload.clone());
        let mut look = move |occasion| {
            if let Some(contents) = files.look(occasion) {
                loaded.load(&file, contents, &counts);
            }
        };
        look(Occasion::Periodic);
        reload::watch(reload, tasks, stop, look);
        directory
    }

    fn load(&self, file: &Path, contents: Contents, reload: &Reload) {
        let _span = tracing::info_span!("user_directory", file = %file.display()).entered();
        let contents = match contents {
            Ok(contents) => contents,
            Err(unreadable) => {
                reload.note(What::Directory, Outcome::Refused);
                tracing::warn!(error = %unreadable.error, "the user directory is not readable");
                return;
            }
        };
        match read(&contents.concat()) {
            Ok((names, left_out)) => {
                if left_out > MOST_WARNINGS {
                    tracing::warn!(left_out, "user directory: further rows are left out");
                }
                let users = names.len();
                *self.names.write().unwrap_or_else(PoisonError::into_inner) = names;
                reload.note(What::Directory, Outcome::Loaded);
                tracing::info!(users, left_out, "user directory loaded");
            }
            Err(error) => {
                reload.note(What::Directory, Outcome::Refused);
                tracing::warn!(%error, "the user directory is damaged; the names stay as they are");
            }
        }
    }
}

/// The names in a CSV file, and how many rows were left out of it. The first of
/// these are logged with their line.
///
/// A value on several lines damages the whole file: it is what the rows after a
/// quotation mark too few or too many are taken for, and where the value ends
/// nobody can tell.
fn read(file: &[u8]) -> Result<(Names, u64), Damaged> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let headers = reader.byte_headers()?.clone();
    let column = |name: &str| {
        headers
            .iter()
            .position(|header| header.trim_ascii() == name.as_bytes())
            .ok_or(Damaged::NoColumns)
    };
    let columns = Columns {
        user_id: column("user_id")?,
        name: column("name")?,
        all: headers.len(),
    };
    let (mut names, mut left_out) = (Names::new(), 0_u64);
    let mut row = ByteRecord::new();
    while reader.read_byte_record(&mut row)? {
        let raw = raw(file, &row, reader.position().byte());
        if row.iter().any(|value| value.contains(&b'\n')) || ends_in_quotation(raw) {
            return Err(Damaged::OpenQuotation(line(raw, &row)));
        }
        match columns.read(&row) {
            Ok((user_id, name)) => {
                names.insert(user_id, name);
            }
            Err(error) => {
                left_out = left_out.saturating_add(1);
                if left_out <= MOST_WARNINGS {
                    let line = line(raw, &row);
                    tracing::warn!(line, %error, "user directory: a row is left out");
                }
            }
        }
    }
    Ok((names, left_out))
}

/// Where the values of a row stand.
struct Columns {
    user_id: usize,
    name: usize,
    /// How many there are.
    all: usize,
}

impl Columns {
    fn read(&self, row: &ByteRecord) -> Result<(Identifier, String), BadRow> {
        if row.len() != self.all {
            return Err(BadRow::Columns);
        }
        let text = |column| {
            let value = row.get(column).unwrap_or_default();
            Ok::<_, BadRow>(std::str::from_utf8(value)?.trim())
        };
        let user_id = text(self.user_id)?.parse().map_err(BadRow::UserId)?;
        let name = text(self.name)?;
        if name.is_empty() {
            return Err(BadRow::NoName);
        }
        if name.chars().nth(NAME_LIMIT).is_some() {
            return Err(BadRow::LongName);
        }
        if name.contains(|char: char| char.is_control() || matches!(char, '\u{2028}' | '\u{2029}'))
        {
            return Err(BadRow::ControlCharacter);
        }
        Ok((user_id, name.to_owned()))
    }
}

/// The row as it stands in the file, empty lines before it included; `end` is
/// where the next one begins.
fn raw<'a>(file: &'a [u8], row: &ByteRecord, end: u64) -> &'a [u8] {
    let start = row.position().map_or(0, csv::Position::byte);
    let place = |byte: u64| usize::try_from(byte).unwrap_or(usize::MAX);
    file.get(place(start)..place(end)).unwrap_or_default()
}

/// Whether this is the last row of a file that was cut off within a quotation.
fn ends_in_quotation(raw: &[u8]) -> bool {
    let quotes = raw.iter().filter(|&&byte| byte == b'"').count();
    !raw.ends_with(b"\n") && !raw.ends_with(b"\r") && quotes % 2 == 1
}

/// The line at which the row begins, from 1.
fn line(raw: &[u8], row: &ByteRecord) -> u64 {
    let before = raw.iter().take_while(|byte| b"\r\n".contains(byte));
    let empty = before.filter(|&&byte| byte == b'\n').count();
    let first = row.position().map_or(0, csv::Position::line);
    first.saturating_add(u64::try_from(empty).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(text: &str) -> Result<Vec<(String, String)>, Damaged> {
        let mut names: Vec<_> = read(text.as_bytes())?
            .0
            .into_iter()
            .map(|(id, name)| (id.to_string(), name))
            .collect();
        names.sort();
        Ok(names)
    }

    fn assert_names(text: &str, expected: &[(&str, &str)]) {
        let expected = expected.iter().map(|&(id, name)| (id.into(), name.into()));
        assert_eq!(names(text).unwrap(), expected.collect::<Vec<_>>(), "{text}");
    }

    #[test]
    fn columns_are_found_by_their_headers_and_values_may_be_quoted() {
        let expected = [("u1", "Doe, Jane"), ("u2", "王伟")];
        let text = "team, name ,user_id\nx,\"Doe, Jane\",u1\ny, 王伟 , u2 \n";
        assert_names(text, &expected);
        // As spreadsheets write it.
        assert_names(
            &format!("\u{feff}{}", text.replace('\n', "\r\n")),
            &expected,
        );
        assert_names("user_id,name", &[]);
    }

    #[test]
    fn a_malformed_row_costs_only_itself() {
        let long = "x".repeat(NAME_LIMIT + 1);
        let text = format!(
            "user_id,name\nu1,One\nu2\nnot an id,X\nu3,\nu3,{long}\nu3,a\tb\nu3,a\u{85}b\n\
             u3,a\u{2028}b\nu3,a,b\n\nu4,{}\nu5,5\" disk\n",
            "王".repeat(NAME_LIMIT)
        );
        let longest = "王".repeat(NAME_LIMIT);
        assert_names(
            &text,
            &[("u1", "One"), ("u4", &longest), ("u5", "5\" disk")],
        );
        assert_eq!(read(text.as_bytes()).unwrap().1, 8);
        let (names, left_out) = read(b"user_id,name\nu1,\xff\nu2,Two\n").unwrap();
        assert_eq!((names.len(), left_out), (1, 1));
    }

    #[test]
    fn a_file_without_the_headers_is_refused() {
        for text in ["u1,One\n", "", "user_id\nu1\n", "\"user_id,name\nu1,One\n"] {
            assert!(matches!(names(text), Err(Damaged::NoColumns)), "{text}");
        }
    }

    #[test]
    fn a_quotation_that_is_not_closed_damages_the_file_and_its_line_is_named() {
        let rows: String = (0..100_000)
            .map(|row| format!("v{row},\"Name {row}\"\n"))
            .collect();
        let head = "user_id,name\n\nu1,One\nu2,\"Doe";
        for rest in [
            format!("\nu3,Three\n{rows}").as_str(),
            "\nu3,Three\n",
            // It may even be closed, rows later or as it should.
            "\nu3,Three\nu4,\"Four\"\n",
            "\nu1,Jane\"\n",
            // Cut off while it was written.
            "",
        ] {
            for line_end in ["\n", "\r\n"] {
                let damaged = format!("{head}{rest}").replace('\n', line_end);
                let refused = names(&damaged).unwrap_err();
                assert!(matches!(refused, Damaged::OpenQuotation(4)), "{refused}");
            }
        }
    }
}
