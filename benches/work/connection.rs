//! A connection of the closed loop. It costs as little as it can: it shares the CPUs
//! with what is measured.

use std::error::Error;
use std::fmt::Write as _;
use std::io;
use std::net::SocketAddr;

use jiff::Timestamp;
use serde::Deserialize;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use uuid::Uuid;

use crate::bare::CREATE_PATH;
use crate::client::WORKER;
use crate::load::response_length;

type Result<T> = std::result::Result<T, Box<dyn Error + Send + Sync>>;

pub(crate) struct Connection {
    stream: TcpStream,
    /// What its creates carry besides; the date is good for 15 minutes.
    headers: String,
    /// Of its source users.
    prefix: Uuid,
    created: u64,
    request: String,
    received: Vec<u8>,
}

#[derive(Deserialize)]
struct Given<'a> {
    #[serde(borrow)]
    tasks: Vec<Attempt<'a>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Attempt<'a> {
    task_id: &'a str,
    fence: u64,
}

impl Connection {
    pub(crate) async fn connect(server: SocketAddr) -> io::Result<Self> {
        let stream = TcpStream::connect(server).await?;
        stream.set_nodelay(true)?;
        let date = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        Ok(Self {
            stream,
            headers: format!("X-User-Id: bench\r\nX-Date: {date}\r\n"),
            prefix: Uuid::new_v4(),
            created: 0,
            request: String::new(),
            received: Vec::with_capacity(64 * 1024),
        })
    }

    /// Creates a transfer.
    pub(crate) async fn create(&mut self) -> Result<()> {
        self.created += 1;
        let source = format!("{}-{}", self.prefix.simple(), self.created);
        let body = format!(r#"{{"srcUserId":"{source}","dstUserId":"recipient"}}"#);
        let headers = std::mem::take(&mut self.headers);
        self.post(CREATE_PATH, &headers, &body).await?;
        self.headers = headers;
        Ok(())
    }

    /// The tasks that are given: id and fence of each.
    pub(crate) async fn claim(&mut self, max: usize) -> Result<Vec<(u64, u64)>> {
        let claim_id = Uuid::new_v4();
        let body =
            format!(r#"{{"worker":"bench","claimId":"{claim_id}","max":{max},"waitSeconds":1}}"#);
        let answer = self.post(&format!("{WORKER}/claim"), "", &body).await?;
        let given: Given<'_> = serde_json::from_slice(answer)?;
        let tasks = given.tasks.iter();
        tasks
            .map(|of| Ok((of.task_id.parse()?, of.fence)))
            .collect()
    }

    pub(crate) async fn complete(&mut self, id: u64, fence: u64) -> Result<()> {
        let path = format!("{WORKER}/tasks/{id}/complete");
        self.post(&path, "", &format!(r#"{{"fence":{fence}}}"#))
            .await?;
        Ok(())
    }

    /// The body of the answer, which must be a good one.
    async fn post(&mut self, path: &str, headers: &str, body: &str) -> Result<&[u8]> {
        self.request.clear();
        write!(
            self.request,
            "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench\r\n\
             Content-Type: application/json\r\n{headers}Content-Length: {}\r\n\r\n{body}",
            body.len(),
        )?;
        self.stream.write_all(self.request.as_bytes()).await?;
        self.received.clear();
        while response_length(&self.received)?.is_none() {
            if self.stream.read_buf(&mut self.received).await? == 0 {
                return Err("the server closed a connection".into());
            }
        }
        let answer = &self.received;
        if !answer.starts_with(b"HTTP/1.1 200 ") {
            return Err(String::from_utf8_lossy(answer).into());
        }
        let head = answer.windows(4).position(|end| end == b"\r\n\r\n");
        let body = head.and_then(|end| answer.get(end + 4..));
        Ok(body.unwrap_or_default())
    }
}
