//! A client that sends exactly what a test says.

use std::net::SocketAddr;

use jiff::Timestamp;
use kootask::api::CREATE;
use kootask::auth::signature::{SignableRequest, SignatureHeader, SigningKey, string_to_sign};
use kootask::auth::x_date;
use reqwest::StatusCode;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;
use sha2::{Digest, Sha256};

/// The user that calls unless a test names another.
pub const USER: &str = "1505084218764547200";

/// A valid transfer.
pub const TRANSFER: &str =
    r#"{"taskType":0,"srcUserId":"1397687227244555008","dstUserId":"1507947856550550784"}"#;

/// A valid batch import.
pub const IMPORT: &str = r#"{"taskType":1,"resultId":"1575416580416769793","orgId":"d5ac574bd2934a69baa4f23c55daa8d4","orgUserId":"1505084218764547200"}"#;

/// A request to be sent.
#[derive(Clone)]
pub struct Call {
    method: String,
    url: String,
    headers: Vec<(String, String)>,
    body: Vec<u8>,
    http2: bool,
}

/// What came back.
#[derive(Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    pub body: Value,
}

impl Answer {
    /// The id of the task that was created.
    #[track_caller]
    pub fn task_id(&self) -> i64 {
        assert_eq!(self.status, StatusCode::OK, "{self:?}");
        self.body["taskId"].as_str().unwrap().parse().unwrap()
    }

    /// The value of a header that is there once.
    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        let values: Vec<_> = self.headers.get_all(name).iter().collect();
        assert_eq!(values.len(), 1, "{name} in {self:?}");
        values[0].to_str().unwrap()
    }
}

impl Call {
    /// A bare call: no header but those HTTP needs.
    pub fn new(address: SocketAddr, method: &str, target: &str) -> Self {
        Self {
            method: method.to_owned(),
            url: format!("http://{address}{target}"),
            headers: Vec::new(),
            body: Vec::new(),
            http2: false,
        }
    }

    /// A create call with the app-auth headers and this body.
    pub fn create(address: SocketAddr, body: &str) -> Self {
        Self::new(address, "POST", CREATE)
            .header("X-User-Id", USER)
            .header("X-Date", &x_date::format(Timestamp::now()))
            .header("Content-Type", "application/json")
            .body(body)
    }

    /// Has it sent to another address.
    pub fn to(mut self, address: SocketAddr) -> Self {
        let url: http::Uri = self.url.parse().unwrap();
        self.url = format!("http://{address}{}", url.path_and_query().unwrap());
        self
    }

    /// Sets a header, in place of one of the same name.
    pub fn header(self, name: &str, value: &str) -> Self {
        self.without(name).and_header(name, value)
    }

    /// Adds a header, beside others of the same name.
    pub fn and_header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Leaves a header out.
    pub fn without(mut self, name: &str) -> Self {
        self.headers
            .retain(|(other, _)| !other.eq_ignore_ascii_case(name));
        self
    }

    /// Sets the bearer token.
    pub fn bearer(self, token: &str) -> Self {
        self.header("Authorization", &format!("Bearer {token}"))
    }

    /// Sets the body.
    pub fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Dates the call (`X-Date`).
    pub fn at(self, time: Timestamp) -> Self {
        self.header("X-Date", &x_date::format(time))
    }

    /// Signs the call as it is; what is changed afterwards is not as signed.
    pub fn signed(self, app_id: &str, secret: &str) -> Self {
        let signed_headers = "host;x-date;x-user-id";
        let url: http::Uri = self.url.parse().unwrap();
        let request = SignableRequest {
            method: &self.method,
            path: url.path(),
            query: url.query().unwrap_or_default(),
            host: url.authority().unwrap().as_str(),
            headers: &self.header_map(),
            body_sha256: &Sha256::digest(&self.body).into(),
        };
        let canonical = request.canonical(signed_headers).unwrap();
        let authorization = SignatureHeader {
            app_id: app_id.parse().unwrap(),
            signed_headers,
            signature: SigningKey::new(&secret.into()).sign(&string_to_sign(&canonical)),
        };
        self.header("Authorization", &authorization.to_string())
    }

    /// Has it sent over HTTP/2, from the first byte on.
    pub fn over_http2(mut self) -> Self {
        self.http2 = true;
        self
    }

    fn header_map(&self) -> HeaderMap {
        let header = |(name, value): &(String, String)| {
            let name: HeaderName = name.parse().unwrap();
            (name, HeaderValue::from_bytes(value.as_bytes()).unwrap())
        };
        self.headers.iter().map(header).collect()
    }

    /// Sends it and reads the answer, whose body must be JSON.
    pub async fn send(self) -> Answer {
        self.try_send().await.unwrap()
    }

    /// As [`Call::send`]; fails when the connection does.
    pub async fn try_send(self) -> reqwest::Result<Answer> {
        let mut client = reqwest::Client::builder().no_proxy();
        if self.http2 {
            client = client.http2_prior_knowledge();
        }
        let response = self.send_by(&client.build()?).await?;
        Ok(Answer {
            status: response.status(),
            headers: response.headers().clone(),
            body: response.json().await?,
        })
    }

    /// Sends it by this client, which keeps its connections.
    pub async fn send_by(self, client: &reqwest::Client) -> reqwest::Result<reqwest::Response> {
        client
            .request(self.method.parse().unwrap(), &self.url)
            .headers(self.header_map())
            .body(self.body)
            .send()
            .await
    }
}
