//! A worker's and a creator's side: one keep-alive connection, blocking.

use std::error::Error;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::bare::CREATE_PATH;

/// Longer than any claim waits.
const PATIENCE: Duration = Duration::from_secs(40);
/// Where the calls of workers are.
pub(crate) const WORKER: &str = "/kootask/v1/worker";

pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    created: u64,
}

impl Client {
    pub(crate) fn connect(server: SocketAddr) -> Result<Self, Box<dyn Error>> {
        let stream = TcpStream::connect(server)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(stream),
            created: 0,
        })
    }

    /// Creates a transfer; its id.
    pub(crate) fn create(&mut self) -> Result<String, Box<dyn Error>> {
        self.create_with("")
    }

    /// Creates a transfer with these header lines besides; its id.
    pub(crate) fn create_with(&mut self, headers: &str) -> Result<String, Box<dyn Error>> {
        self.created += 1;
        let source = format!("{}-{}", Uuid::new_v4().simple(), self.created);
        let body = json!({"srcUserId": source, "dstUserId": "recipient"});
        self.create_of(&body, headers)
    }

    /// Creates a batch import; its id.
    pub(crate) fn create_import(&mut self) -> Result<String, Box<dyn Error>> {
        let result = Uuid::new_v4().to_string();
        let body = json!({
            "taskType": 1, "resultId": result, "orgId": "o", "orgUserId": "u",
        });
        self.create_of(&body, "")
    }

    fn create_of(&mut self, body: &Value, headers: &str) -> Result<String, Box<dyn Error>> {
        let date = Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
        let headers = format!("X-User-Id: bench\r\nX-Date: {date}\r\n{headers}");
        let answer = self.post(CREATE_PATH, &headers, body)?;
        Ok(answer["taskId"].as_str().ok_or("no task id")?.to_owned())
    }

    /// The tasks that are given: id and fence of each.
    pub(crate) fn claim(
        &mut self,
        max: usize,
        wait_seconds: u64,
    ) -> Result<Vec<(String, u64)>, Box<dyn Error>> {
        let body = json!({
            "worker": "bench",
            "claimId": Uuid::new_v4().to_string(),
            "max": max,
            "waitSeconds": wait_seconds,
        });
        let answer = self.post(&format!("{WORKER}/claim"), "", &body)?;
        let tasks = answer["tasks"].as_array().ok_or("no tasks")?.iter();
        let told = |task: &Value| {
            let id = task["taskId"].as_str().ok_or("no task id")?;
            Ok((id.to_owned(), task["fence"].as_u64().ok_or("no fence")?))
        };
        tasks.map(told).collect()
    }

    pub(crate) fn complete(&mut self, id: &str, fence: u64) -> Result<(), Box<dyn Error>> {
        let path = format!("{WORKER}/tasks/{id}/complete");
        self.post(&path, "", &json!({ "fence": fence }))?;
        Ok(())
    }

    fn post(&mut self, path: &str, headers: &str, body: &Value) -> Result<Value, Box<dyn Error>> {
        let body = body.to_string();
        let length = body.len();
        let request = format!(
            "POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer bench\r\n\
             Content-Type: application/json\r\n{headers}Content-Length: {length}\r\n\r\n{body}"
        );
        self.answer(path, &request)
    }

    pub(crate) fn get(&mut self, path: &str) -> Result<Value, Box<dyn Error>> {
        self.answer(path, &format!("GET {path} HTTP/1.1\r\nHost: bench\r\n\r\n"))
    }

    fn answer(&mut self, path: &str, request: &str) -> Result<Value, Box<dyn Error>> {
        self.stream.get_mut().write_all(request.as_bytes())?;
        let (mut length, mut status, mut line) = (0, String::new(), String::new());
        while self.stream.read_line(&mut line)? > 2 {
            if status.is_empty() {
                status.clone_from(&line);
            }
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse()?;
            }
            line.clear();
        }
        let mut answer = vec![0; length];
        self.stream.read_exact(&mut answer)?;
        if status.starts_with("HTTP/1.1 200 ") {
            Ok(serde_json::from_slice(&answer)?)
        } else {
            Err(format!("{path}: {status}{}", String::from_utf8_lossy(&answer)).into())
        }
    }
}
