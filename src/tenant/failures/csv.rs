//! All failures of an import as a CSV file, read page by page while it is sent.

use std::borrow::Cow;
use std::io;

use axum::body::{Body, Bytes};
use axum::response::{IntoResponse, Response};
use futures_util::stream::try_unfold;
use http::header::{ACCEPT, CONTENT_DISPOSITION, CONTENT_TYPE};
use http::{HeaderMap, HeaderValue};

use crate::task::import::ImportFailure;
use crate::task::{Task, TaskService};
use crate::web::language::Language;

/// The media type without its parameters.
pub(super) const MEDIA_TYPE: &str = "text/csv";

/// How many rows are held at a time.
const ROWS: u32 = 1000;

/// Whether a client wants a CSV file.
pub(super) fn is_asked_for(headers: &HeaderMap) -> bool {
    headers
        .get_all(ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|list| list.split(','))
        .any(|range| {
            let mut parts = range.split(';').map(str::trim);
            let essence = parts.next().unwrap_or_default();
            // Of weight 0 is what is not wanted (RFC 9110, section 12.4.2).
            let is_refused = parts
                .filter_map(|part| part.strip_prefix("q="))
                .any(|weight| weight.parse() == Ok(0.0));
            essence.eq_ignore_ascii_case(MEDIA_TYPE) && !is_refused
        })
}

/// The file of all failures that the import has now.
pub(super) fn download(tasks: TaskService, task: Task, language: Language) -> Response {
    let name = format!("attachment; filename=\"task-{}-failures.csv\"", task.id);
    let file = File {
        tasks,
        header: Some([
            language.pick("User name", "用户名"),
            language.pick("Reason", "原因"),
        ]),
        next: 0,
        task,
    };
    let mut response = Body::from_stream(try_unfold(file, File::go_on)).into_response();
    let headers = response.headers_mut();
    headers.insert(
        CONTENT_TYPE,
        HeaderValue::from_static("text/csv; charset=utf-8; header=present"),
    );
    if let Ok(name) = HeaderValue::try_from(name) {
        headers.insert(CONTENT_DISPOSITION, name);
    }
    response
}

/// A file that is being sent.
struct File {
    tasks: TaskService,
    task: Task,
    /// Until it is written.
    header: Option<[&'static str; 2]>,
    /// The position of the next row, from 0.
    next: u64,
}

impl File {
    /// The next part, unless there is none.
    async fn go_on(mut self) -> io::Result<Option<(Bytes, Self)>> {
        let left = self.task.failure_rows.saturating_sub(self.next);
        if left == 0 && self.header.is_none() {
            return Ok(None);
        }
        let wanted = u32::try_from(left).unwrap_or(ROWS).min(ROWS);
        let rows = self.read(wanted).await.inspect_err(|error| {
            tracing::warn!(%error, task_id = %self.task.id, "a download of failures was cut off");
        })?;
        self.next = self.next.saturating_add(rows.len() as u64);
        let part = written(self.header.take(), &rows)?;
        Ok(Some((part, self)))
    }

    async fn read(&self, count: u32) -> io::Result<Vec<ImportFailure>> {
        if count == 0 {
            return Ok(Vec::new());
        }
        let rows = self.tasks.failures(&self.task, self.next, count).await;
        let rows = rows.map_err(io::Error::other)?;
        // A file that ends early would pass for a whole one.
        if u32::try_from(rows.len()) == Ok(count) {
            Ok(rows)
        } else {
            Err(io::Error::other("another attempt has begun"))
        }
    }
}

/// The header, if it is still to be written, and these rows (RFC 4180).
fn written(header: Option<[&str; 2]>, rows: &[ImportFailure]) -> io::Result<Bytes> {
    let mut writer = csv::WriterBuilder::new()
        .terminator(csv::Terminator::CRLF)
        .from_writer(Vec::new());
    if let Some(header) = header {
        writer.write_record(header)?;
    }
    for row in rows {
        let cells = [&row.user_name, &row.description].map(|cell| no_formula(cell));
        writer.write_record(cells.iter().map(|cell| cell.as_bytes()))?;
    }
    let written = writer.into_inner().map_err(|error| error.into_error())?;
    Ok(written.into())
}

/// A cell that no spreadsheet takes for a formula.
fn no_formula(cell: &str) -> Cow<'_, str> {
    if cell.starts_with(['=', '+', '-', '@', '\t', '\r']) {
        format!("'{cell}").into()
    } else {
        cell.into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn accepts(values: &[&str]) -> bool {
        let values = values
            .iter()
            .map(|value| (ACCEPT, HeaderValue::from_str(value).unwrap()));
        is_asked_for(&values.collect())
    }

    #[test]
    fn a_client_gets_a_file_that_asks_for_it() {
        assert!(accepts(&["text/csv"]));
        assert!(accepts(&["Text/CSV; charset=utf-8"]));
        assert!(accepts(&["application/json;q=0.5, text/csv;q=0.9"]));
        assert!(accepts(&["application/json", "text/csv"]));
        assert!(!accepts(&["*/*"]));
        assert!(!accepts(&["text/csv;q=0"]));
        assert!(!accepts(&["text/csv-schema"]));
        assert!(!accepts(&[]));
    }

    #[test]
    fn a_cell_that_a_spreadsheet_would_execute_is_quoted_by_an_apostrophe() {
        let row = |user_name: &str, description: &str| ImportFailure {
            user_name: user_name.to_owned(),
            description: description.to_owned(),
        };
        let rows = [
            row("=1+1", "+1"),
            row("-1", "@SUM(A1)"),
            row("\tx", "\rx"),
            row("a,b", "say \"no\"\nor not"),
            row("用户", "a=b"),
        ];
        let file = written(Some(["User name", "Reason"]), &rows).unwrap();
        assert_eq!(
            str::from_utf8(&file).unwrap(),
            "User name,Reason\r\n\
             '=1+1,'+1\r\n\
             '-1,'@SUM(A1)\r\n\
             '\tx,\"'\rx\"\r\n\
             \"a,b\",\"say \"\"no\"\"\nor not\"\r\n\
             用户,a=b\r\n"
        );
    }
}
