//! `kootask sign`: signs a request, and shows how.

mod argument;

use std::fmt::Write;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::ArgGroup;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Uri, header};
use jiff::Timestamp;
use secrecy::SecretString;
use sha2::{Digest, Sha256};
use ureq::tls::{Certificate, RootCerts, TlsConfig};

use self::argument::Strict;
use super::CommandError;
use crate::auth::signature::{SignableRequest, SignatureHeader, SigningKey, string_to_sign};
use crate::auth::x_date;
use crate::config::{read_secret, secret_of};
use crate::task::Identifier;
use crate::tls::{self, TlsError};
use crate::web::shell::quoted;

/// What a signature made here covers, beside method, path, query and body.
const SIGNED_HEADERS: &str = "host;x-date;x-user-id";
/// How long `--send` waits for an answer.
const SEND_TIMEOUT: Duration = Duration::from_secs(30);

/// The arguments of `kootask sign`.
#[derive(Debug, clap::Args)]
#[command(group(ArgGroup::new("sent").args(["send", "curl"])), after_help = "\
The secret comes from --secret-file or the environment variable KOOTASK_APP_SECRET.
Without --curl, --send or --explain the headers of the signed request are printed.")]
pub(super) struct Sign {
    /// The app that signs
    #[arg(long, value_name = "ID")]
    app_id: Identifier,
    /// A file that holds the app's secret
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The user to act as (X-User-Id)
    #[arg(long, value_name = "ID")]
    user: Identifier,
    /// The body: as given, @FILE, or - for standard input
    #[arg(long, value_name = "BODY")]
    data: Option<String>,
    /// The time of the request (X-Date) instead of now
    #[arg(long, value_name = "YYYYMMDDTHHMMSSZ")]
    date: Option<String>,
    /// The key that makes a repeat of the request known (Idempotency-Key)
    #[arg(long, value_name = "KEY", value_parser = Strict(argument::header_value))]
    idempotency_key: Option<HeaderValue>,
    /// The language of messages, as in zh-CN
    #[arg(long, value_name = "TAG", value_parser = Strict(argument::header_value))]
    language: Option<HeaderValue>,
    /// Print a curl command to paste
    #[arg(long, conflicts_with_all = ["send", "explain"])]
    curl: bool,
    /// Send the request and print the answer; ends with 1 unless that is a success
    #[arg(long)]
    send: bool,
    /// Print the canonical request and the string to sign
    #[arg(long)]
    explain: bool,
    /// A file with the authorities (PEM) that the service's certificate must be of, for
    /// --send and --curl
    #[arg(long, value_name = "FILE", requires = "sent")]
    cacert: Option<PathBuf>,
    /// The method, in any case
    #[arg(value_parser = Strict(argument::method))]
    method: Method,
    /// The URL; without a scheme it is one of http
    #[arg(value_parser = Strict(argument::url))]
    url: Uri,
}

/// A request with its signature.
struct SignedRequest {
    method: Method,
    url: Uri,
    headers: Vec<(HeaderName, HeaderValue)>,
    body: Option<Vec<u8>>,
    /// The file of those who vouch for the service, if it names them.
    cacert: Option<PathBuf>,
    canonical: String,
    string_to_sign: String,
}

impl Sign {
    pub(super) fn run(self) -> Result<(), CommandError> {
        let (curl, send, explain) = (self.curl, self.send, self.explain);
        let signed = self.sign()?;
        if explain {
            signed.explain();
        }
        if send {
            if explain {
                println!("\nThe answer:\n");
            }
            signed.send()?;
        } else if curl {
            println!("{}", signed.as_curl()?);
        } else if !explain {
            print!("{}", signed.header_lines());
        }
        Ok(())
    }

    fn sign(self) -> Result<SignedRequest, CommandError> {
        let key = SigningKey::new(&self.secret()?);
        let body = self.body()?;
        let authority = self.url.authority().ok_or("the URL names no host")?;
        // A port that is the scheme's own is not sent.
        let host = match (self.url.scheme_str(), authority.port_u16()) {
            (Some("http"), Some(80)) | (Some("https"), Some(443)) => authority.host(),
            _ => authority.as_str(),
        };
        let date = match self.date {
            Some(date) => date,
            None => x_date::format(Timestamp::now()),
        };
        if x_date::parse(date.as_bytes()).is_none() {
            return Err("--date must have the form YYYYMMDDTHHMMSSZ".into());
        }
        let mut signed_headers = HeaderMap::new();
        signed_headers.insert("x-date", date.parse()?);
        signed_headers.insert("x-user-id", self.user.as_str().parse()?);
        let request = SignableRequest {
            method: self.method.as_str(),
            path: self.url.path(),
            query: self.url.query().unwrap_or_default(),
            host,
            headers: &signed_headers,
            body_sha256: &Sha256::digest(body.as_deref().unwrap_or_default()).into(),
        };
        let canonical = request
            .canonical(SIGNED_HEADERS)
            .ok_or("a signed header is missing")?;
        let string_to_sign = string_to_sign(&canonical);
        let authorization = SignatureHeader {
            app_id: self.app_id,
            signed_headers: SIGNED_HEADERS,
            signature: key.sign(&string_to_sign),
        };
        let mut headers = vec![
            (header::HOST, host.parse()?),
            (HeaderName::from_static("x-date"), date.parse()?),
            (
                HeaderName::from_static("x-user-id"),
                self.user.as_str().parse()?,
            ),
            (header::AUTHORIZATION, authorization.to_string().parse()?),
        ];
        if body.is_some() {
            let json = HeaderValue::from_static("application/json");
            headers.push((header::CONTENT_TYPE, json));
        }
        let unsigned = [
            ("idempotency-key", self.idempotency_key),
            ("language", self.language),
        ];
        for (name, value) in unsigned {
            headers.extend(value.map(|value| (HeaderName::from_static(name), value)));
        }
        Ok(SignedRequest {
            method: self.method,
            url: self.url,
            headers,
            body,
            cacert: self.cacert,
            canonical,
            string_to_sign,
        })
    }

    fn secret(&self) -> Result<SecretString, CommandError> {
        match &self.secret_file {
            Some(path) => {
                read_secret(path).map_err(|problem| format!("{} {problem}", path.display()).into())
            }
            // Not an argument: those are seen by every user of the machine.
            None => match std::env::var("KOOTASK_APP_SECRET") {
                Ok(secret) if !secret.is_empty() => secret_of(&secret)
                    .map_err(|problem| format!("KOOTASK_APP_SECRET {problem}").into()),
                _ => Err("give --secret-file or set KOOTASK_APP_SECRET".into()),
            },
        }
    }

    fn body(&self) -> Result<Option<Vec<u8>>, CommandError> {
        let Some(data) = &self.data else {
            return Ok(None);
        };
        if data == "-" {
            let mut body = Vec::new();
            std::io::stdin().read_to_end(&mut body)?;
            return Ok(Some(body));
        }
        match data.strip_prefix('@') {
            Some(path) => match std::fs::read(path) {
                Ok(body) => Ok(Some(body)),
                Err(error) => Err(format!("{path}: {error}").into()),
            },
            None => Ok(Some(data.clone().into_bytes())),
        }
    }
}

impl SignedRequest {
    fn header_lines(&self) -> String {
        let line = |(name, value): &(HeaderName, HeaderValue)| {
            format!("{name}: {}\n", value.to_str().unwrap_or_default())
        };
        self.headers.iter().map(line).collect()
    }

    fn explain(&self) {
        println!("The canonical request:\n\n{}\n", self.canonical);
        println!("The string to sign:\n\n{}\n", self.string_to_sign);
        print!("The headers:\n\n{}", self.header_lines());
    }

    /// The request as a shell command. curl is told to take the URL and the
    /// body as they are: it would expand brackets, resolve `..` and read files.
    fn as_curl(&self) -> Result<String, CommandError> {
        let url = quoted(&self.url.to_string());
        let mut command = "curl -g --path-as-is".to_owned();
        if let Some(path) = &self.cacert {
            let path = path.to_str();
            let path = path.ok_or("--curl cannot show a path that is no text; use --send")?;
            write!(command, " --cacert {}", quoted(path))?;
        }
        write!(command, " -X {} {url}", self.method)?;
        for line in self.header_lines().lines() {
            command.push_str(" \\\n  -H ");
            command.push_str(&quoted(line));
        }
        if let Some(body) = &self.body {
            let text = std::str::from_utf8(body)
                .ok()
                .filter(|text| !text.contains('\0'));
            let text = text.ok_or("--curl cannot show a body that is no text; use --send")?;
            command.push_str(" \\\n  --data-raw ");
            command.push_str(&quoted(text));
        }
        Ok(command)
    }

    /// Sends it and prints the answer. No redirection is followed: the signature
    /// is for this URL.
    ///
    /// # Errors
    ///
    /// No answer came, or one that is no success.
    fn send(self) -> Result<(), CommandError> {
        let mut config = ureq::Agent::config_builder()
            .http_status_as_error(false)
            .max_redirects(0)
            .timeout_global(Some(SEND_TIMEOUT));
        if let Some(path) = &self.cacert {
            config = config.tls_config(trusting(path)?);
        }
        let agent: ureq::Agent = config.build().into();
        let mut request = http::Request::builder().method(self.method).uri(self.url);
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        let mut response = agent.run(request.body(self.body.unwrap_or_default())?)?;
        let status = response.status();
        println!("{status}");
        println!("{}", response.body_mut().read_to_string()?);
        if status.is_success() {
            Ok(())
        } else {
            Err(format!("the service answered {status}").into())
        }
    }
}

/// TLS with services whose certificates an authority in this file has signed, and with
/// no others.
fn trusting(path: &Path) -> Result<TlsConfig, TlsError> {
    let authorities = tls::authorities(path)?;
    let authorities = authorities
        .iter()
        .map(|der| Certificate::from_der(der).to_owned());
    let authorities = RootCerts::from(authorities);
    Ok(TlsConfig::builder().root_certs(authorities).build())
}
