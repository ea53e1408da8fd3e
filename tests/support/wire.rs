//! A connection that stays open and on which a test sends what it likes: whole
//! requests, parts of them, several at once.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use jiff::Timestamp;
use kootask::api::CREATE;
use kootask::auth::x_date;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpSocket, TcpStream};

use super::client::USER;

/// No test waits longer than this for an answer.
const LIMIT: Duration = Duration::from_secs(30);

/// The bytes of a connection, plain or within TLS.
trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<S: AsyncRead + AsyncWrite + Send + Unpin> Duplex for S {}

/// An HTTP/1.1 connection.
pub struct Wire {
    stream: Box<dyn Duplex>,
    /// What came and is not yet read as a reply.
    received: Vec<u8>,
}

/// What came back.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    /// The status line and the header lines, in lower case.
    pub head: String,
    pub body: String,
}

impl Reply {
    /// The id of the task that was created.
    #[track_caller]
    pub fn task_id(&self) -> i64 {
        assert_eq!(self.status, 200, "{self:?}");
        let body: Value = serde_json::from_str(&self.body).unwrap();
        body["taskId"].as_str().unwrap().parse().unwrap()
    }

    /// It says that the service cannot do it now, and when to try again.
    #[track_caller]
    pub fn assert_unavailable(&self) {
        assert_eq!(self.status, 503, "{self:?}");
        assert!(self.head.contains("\r\nretry-after: "), "{self:?}");
        assert!(self.body.contains("13000201"), "{self:?}");
    }
}

/// The body of a transfer from this user.
pub fn transfer_from(src_user_id: &str) -> String {
    format!(r#"{{"srcUserId":"{src_user_id}","dstUserId":"recipient"}}"#)
}

/// The head of a create call up to its last own header: further lines, then an
/// empty one, must follow.
pub fn create_head() -> String {
    let date = x_date::format(Timestamp::now());
    format!("POST {CREATE} HTTP/1.1\r\nHost: test\r\nX-User-Id: {USER}\r\nX-Date: {date}\r\n")
}

/// A whole create call with further header lines, each ended by `\r\n`.
pub fn create_request(lines: &str, body: &str) -> String {
    let length = body.len();
    format!(
        "{}{lines}Content-Length: {length}\r\n\r\n{body}",
        create_head()
    )
}

/// A whole read call.
pub fn read_request(target: &str) -> String {
    let date = x_date::format(Timestamp::now());
    format!("GET {target} HTTP/1.1\r\nHost: test\r\nX-User-Id: {USER}\r\nX-Date: {date}\r\n\r\n")
}

impl Wire {
    pub async fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).await.unwrap()
    }

    pub async fn try_connect(address: SocketAddr) -> io::Result<Self> {
        let stream = tokio::time::timeout(LIMIT, TcpStream::connect(address)).await??;
        stream.set_nodelay(true)?;
        Ok(Self::over(stream))
    }

    /// Over a connection that there is.
    pub fn over(stream: impl AsyncRead + AsyncWrite + Send + Unpin + 'static) -> Self {
        Self {
            stream: Box::new(stream),
            received: Vec::new(),
        }
    }

    /// As [`Wire::connect`], from this address of the machine.
    pub async fn connect_from(local: IpAddr, address: SocketAddr) -> Self {
        let socket = TcpSocket::new_v4().unwrap();
        socket.bind((local, 0).into()).unwrap();
        let stream = tokio::time::timeout(LIMIT, socket.connect(address)).await;
        Self::over(stream.unwrap().unwrap())
    }

    /// Reads one byte; `None` when the connection has ended.
    pub async fn read_byte(&mut self) -> Option<u8> {
        let read = tokio::time::timeout(LIMIT, self.stream.read_u8()).await;
        read.expect("neither a byte nor the end").ok()
    }

    /// Says that nothing more will be sent.
    pub async fn end_sending(&mut self) {
        self.stream.shutdown().await.unwrap();
    }

    /// What came so far and was not read as a reply, once `is_enough`.
    pub async fn received(&mut self, mut is_enough: impl FnMut(&[u8]) -> bool) -> &[u8] {
        while !is_enough(&self.received) && self.read_more().await.is_some() {}
        &self.received
    }

    /// Reads what comes until the connection ends; whether it ended in order,
    /// and not by a reset.
    pub async fn ends_in_order(&mut self) -> bool {
        loop {
            let read = self.stream.read_buf(&mut self.received);
            match tokio::time::timeout(LIMIT, read).await.unwrap() {
                Ok(0) => return true,
                Ok(_) => {}
                Err(_) => return false,
            }
        }
    }

    /// Sends these bytes; fails when the service has closed the connection.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        let send = async {
            self.stream.write_all(bytes.as_ref()).await?;
            self.stream.flush().await
        };
        tokio::time::timeout(LIMIT, send).await?
    }

    /// Reads until the bytes so far, as text, hold this; `None` at the end.
    async fn position(&mut self, text: &[u8]) -> Option<usize> {
        loop {
            if let Some(at) = self
                .received
                .windows(text.len())
                .position(|part| part == text)
            {
                return Some(at);
            }
            self.read_more().await?;
        }
    }

    /// Reads what comes next; `None` at the end.
    async fn read_more(&mut self) -> Option<()> {
        let read = self.stream.read_buf(&mut self.received);
        match tokio::time::timeout(LIMIT, read)
            .await
            .expect("neither answered nor closed")
        {
            Ok(0) | Err(_) => None,
            Ok(_) => Some(()),
        }
    }

    /// The next reply; `None` when the connection ends before it is whole.
    pub async fn try_reply(&mut self) -> Option<Reply> {
        let end = self.position(b"\r\n\r\n").await?;
        let head = String::from_utf8(self.received[..end].to_vec())
            .unwrap()
            .to_lowercase();
        self.received.drain(..end + 4);
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        let length = length.map_or(0, |length| length.parse().unwrap());
        while self.received.len() < length {
            self.read_more().await?;
        }
        let body = self.received.drain(..length).collect();
        Some(Reply {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head,
            body: String::from_utf8(body).unwrap(),
        })
    }

    /// The next reply.
    pub async fn reply(&mut self) -> Reply {
        self.try_reply().await.expect("closed without a reply")
    }

    /// Sends a create call and reads its reply.
    pub async fn create(&mut self, lines: &str, body: &str) -> Option<Reply> {
        self.send(create_request(lines, body)).await.ok()?;
        self.try_reply().await
    }

    /// Sends a read call and reads its reply.
    pub async fn read(&mut self, target: &str) -> Option<Reply> {
        self.send(read_request(target)).await.ok()?;
        self.try_reply().await
    }

    /// Begins a create call whose body has this length, and returns when the
    /// service waits for the body: from then on the request is in its hands.
    pub async fn begin_create(&mut self, lines: &str, length: usize) {
        let head = create_head();
        let head = format!("{head}{lines}Expect: 100-continue\r\nContent-Length: {length}\r\n\r\n");
        self.send(head).await.unwrap();
        let go_on = self.reply().await;
        assert_eq!(go_on.status, 100, "{go_on:?}");
    }

    /// Waits until the service closes the connection; what it sent before.
    pub async fn closed(self) -> String {
        self.closed_within(LIMIT).await
    }

    /// As [`Wire::closed`], where it takes longer or less long than usual.
    pub async fn closed_within(mut self, limit: Duration) -> String {
        let end =
            async { while matches!(self.stream.read_buf(&mut self.received).await, Ok(1..)) {} };
        tokio::time::timeout(limit, end)
            .await
            .expect("the connection is still open");
        String::from_utf8_lossy(&self.received).into_owned()
    }
}
