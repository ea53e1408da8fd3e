//! One request as bytes, and its answer, for what no HTTP client would send.

use std::net::SocketAddr;

use jiff::Timestamp;
use kootask::api::CREATE;
use kootask::auth::x_date;
use serde_json::Value;

use super::client::USER;
use super::wire::Wire;

/// What came back.
#[derive(Debug)]
pub struct RawAnswer {
    pub status: u16,
    /// The header lines, in lower case.
    pub head: String,
    pub body: String,
}

impl RawAnswer {
    /// Reads it from its text.
    #[track_caller]
    pub fn read(text: &str) -> Self {
        let (head, body) = text.split_once("\r\n\r\n").expect("an answer");
        Self {
            status: head.split(' ').nth(1).unwrap().parse().unwrap(),
            head: head.to_lowercase(),
            body: body.to_owned(),
        }
    }

    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap()
    }
}

/// The head of a create call with the headers that are always needed but
/// `Host`, open at its end: further lines, then an empty one, must follow.
pub fn create_head(version: &str) -> String {
    let date = x_date::format(Timestamp::now());
    format!(
        "POST {CREATE} {version}\r\nConnection: close\r\nX-User-Id: {USER}\r\nX-Date: {date}\r\n"
    )
}

/// Sends `request` and reads until the service closes the connection.
pub async fn exchange(address: SocketAddr, request: impl AsRef<[u8]>) -> RawAnswer {
    let mut wire = Wire::connect(address).await;
    wire.send(request).await.unwrap();
    RawAnswer::read(&wire.closed().await)
}
