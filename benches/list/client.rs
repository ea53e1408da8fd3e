//! A client with one keep-alive connection and one request at a time.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// The longest that an answer may take.
const TIMEOUT: Duration = Duration::from_secs(10);
/// Room for an answer; a page of 100 tasks takes a good half of it.
const ROOM: usize = 64 * 1024;

/// The connection.
pub(crate) struct Client {
    stream: TcpStream,
    server: SocketAddr,
    token: &'static str,
    received: Vec<u8>,
}

/// An answer that has come in full.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
    /// From the request's first byte to the answer's last.
    pub(crate) latency: Duration,
}

impl Client {
    /// Connects, to call with this bearer token.
    pub(crate) fn connect(server: SocketAddr, token: &'static str) -> Result<Self> {
        let stream = TcpStream::connect_timeout(&server, TIMEOUT)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self {
            stream,
            server,
            token,
            received: vec![0; ROOM],
        })
    }

    /// Sends a GET request and waits for the answer.
    pub(crate) fn get(&mut self, path: &str) -> Result<Answer<'_>> {
        let request = request(self.server, self.token, path);
        let sent = Instant::now();
        self.stream.write_all(request.as_bytes())?;
        let mut filled = 0;
        let (body, end) = loop {
            let read = self.stream.read(&mut self.received[filled..])?;
            if read == 0 {
                return Err("the connection was closed, or the answer is too long".into());
            }
            filled += read;
            match extent(&self.received[..filled])? {
                Some((body, end)) if filled >= end => break (body, end),
                _ => {}
            }
        };
        let latency = sent.elapsed();
        if filled > end {
            return Err("more than one answer to a request".into());
        }
        Ok(Answer {
            status: status(&self.received)?,
            body: &self.received[body..end],
            latency,
        })
    }
}

/// A GET request with this bearer token, good for 15 minutes.
pub(crate) fn request(server: SocketAddr, token: &str, path: &str) -> String {
    format!(
        "GET {path} HTTP/1.1\r\nHost: {server}\r\nX-User-Id: 1505084218764547200\r\nX-Date: {}\r\n\
         Authorization: Bearer {token}\r\n\r\n",
        jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ"),
    )
}

/// The status and the whole length of the answer that begins with this.
pub(crate) fn expected(received: &[u8]) -> Result<(u16, usize)> {
    let (_, end) = extent(received)?.ok_or("a head in several parts")?;
    Ok((status(received)?, end))
}

/// Where the answer's body begins and ends, once the head has come in full.
fn extent(received: &[u8]) -> Result<Option<(usize, usize)>> {
    let Some(end_of_head) = received.windows(4).position(|window| window == b"\r\n\r\n") else {
        return Ok(None);
    };
    let head = std::str::from_utf8(&received[..end_of_head])?;
    let length = head
        .lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .ok_or("an answer without Content-Length")?
        .1;
    let body = end_of_head + 4;
    Ok(Some((body, body + length.trim().parse::<usize>()?)))
}

/// The status of an answer.
fn status(received: &[u8]) -> Result<u16> {
    let digits = received
        .strip_prefix(b"HTTP/1.1 ")
        .and_then(|rest| rest.get(..3))
        .ok_or("not HTTP/1.1")?;
    Ok(std::str::from_utf8(digits)?.parse()?)
}
