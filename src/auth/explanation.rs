//! Why a signature is refused, for the stand-in alone: its form of the request,
//! and which of the usual mistakes would make the signature good.
//!
//! Contract: `stand-in.md`, "Calls".

use http::request::Parts;
use sha2::{Digest, Sha256};

use super::Authenticator;
use super::authorization::Authorization;
use super::headers::host;
use super::signature::{SignableRequest, SignatureHeader, string_to_sign};

/// What was verified, and what is likely wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The canonical request that the signature should be of.
    pub canonical_request: String,
    /// The string to sign that the signature should be of.
    pub string_to_sign: String,
    /// The mistakes with which the signature is good.
    pub hints: Vec<String>,
}

/// The lines of a canonical request.
#[derive(Debug, Clone)]
struct Canonical {
    method: String,
    uri: String,
    query: String,
    headers: Vec<(String, String)>,
    signed_headers: String,
    hash: String,
    end: &'static str,
}

impl Canonical {
    fn of(text: &str) -> Option<Self> {
        let mut lines = text.split('\n');
        let (method, uri, query) = (lines.next()?, lines.next()?, lines.next()?);
        let headers = lines.by_ref().take_while(|line| !line.is_empty());
        let headers = headers
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect();
        Some(Self {
            method: method.to_owned(),
            uri: uri.to_owned(),
            query: query.to_owned(),
            headers,
            signed_headers: lines.next()?.to_owned(),
            hash: lines.next()?.to_owned(),
            end: "",
        })
    }

    fn text(&self) -> String {
        let headers = self.headers.iter();
        let headers: String = headers
            .map(|(name, value)| format!("{name}:{value}\n"))
            .collect();
        let Self {
            method,
            uri,
            query,
            signed_headers,
            hash,
            end,
            ..
        } = self;
        format!("{method}\n{uri}\n{query}\n{headers}\n{signed_headers}\n{hash}{end}")
    }

    fn header(&mut self, name: &str) -> Option<&mut String> {
        let mut headers = self.headers.iter_mut();
        headers
            .find(|(known, _)| known == name)
            .map(|(_, value)| value)
    }
}

/// A mistake: what a signer does to the canonical request, and how it is told.
type Mistake = (String, Box<dyn Fn(&mut Canonical)>);

fn mistakes(host: &str, raw_query: &str, is_body_empty: bool) -> Vec<Mistake> {
    let mut all: Vec<Mistake> = Vec::new();
    let mut add = |text: String, does: Box<dyn Fn(&mut Canonical)>| all.push((text, does));
    let hosts = match host.rsplit_once(':') {
        Some((name, _)) => vec![name.to_owned()],
        None => vec![
            format!("{host}:80"),
            format!("{host}:443"),
            format!("{host}:8080"),
        ],
    };
    for other in hosts {
        add(
            format!("signed with Host `{other}`; it came with `{host}`"),
            Box::new(move |canonical| {
                if let Some(value) = canonical.header("host") {
                    other.clone_into(value);
                }
            }),
        );
    }
    add(
        "signed without the `/` that ends the canonical path".to_owned(),
        Box::new(|canonical| {
            let uri = canonical.uri.trim_end_matches('/').to_owned();
            canonical.uri = uri;
        }),
    );
    let query = raw_query.to_owned();
    add(
        "signed with the query as it was sent; it must be sorted by name, each name and value \
         encoded, with `=` even without a value"
            .to_owned(),
        Box::new(move |canonical| query.clone_into(&mut canonical.query)),
    );
    let mut unsorted: Vec<String> = Vec::new();
    for pair in raw_query.split('&').filter(|pair| !pair.is_empty()) {
        unsorted.push(if pair.contains('=') {
            pair.to_owned()
        } else {
            format!("{pair}=")
        });
    }
    let unsorted = unsorted.join("&");
    add(
        "signed with the query unsorted".to_owned(),
        Box::new(move |canonical| unsorted.clone_into(&mut canonical.query)),
    );
    add(
        "signed with `+` for a blank in the query; it must be `%20`".to_owned(),
        Box::new(|canonical| canonical.query = canonical.query.replace("%20", "+")),
    );
    add(
        "signed with `%20` in the query; a literal `+` came, which is a plus sign: `%2B`"
            .to_owned(),
        Box::new(|canonical| canonical.query = canonical.query.replace("%2B", "%20")),
    );
    add(
        "signed without the query".to_owned(),
        Box::new(|canonical| canonical.query.clear()),
    );
    if !is_body_empty {
        add(
            "signed with the hash of an empty body; a body came".to_owned(),
            Box::new(|canonical| canonical.hash = hex::encode(Sha256::digest(""))),
        );
    }
    add(
        "signed with the body's hash in capital letters; it must be in small ones".to_owned(),
        Box::new(|canonical| canonical.hash = canonical.hash.to_uppercase()),
    );
    for (form, before, after) in [
        ("a blank before", " ", ""),
        ("a blank after", "", " "),
        ("blanks around", " ", " "),
    ] {
        add(
            format!("signed with {form} a header's value; it must be trimmed"),
            Box::new(move |canonical| {
                for (_, value) in &mut canonical.headers {
                    *value = format!("{before}{value}{after}");
                }
            }),
        );
    }
    add(
        "signed with a newline at the end of the canonical request; there is none".to_owned(),
        Box::new(|canonical| canonical.end = "\n"),
    );
    for method in [
        "GET", "POST", "PUT", "DELETE", "get", "post", "put", "delete",
    ] {
        add(
            format!("signed with the method `{method}`"),
            Box::new(move |canonical| method.clone_into(&mut canonical.method)),
        );
    }
    all
}

impl Authenticator {
    /// Explains why this request's signature is refused; `None` if it has none that
    /// can be read.
    #[must_use]
    pub fn explain(&self, parts: &Parts, body: &[u8]) -> Option<Explanation> {
        let Ok(Authorization::Signature(presented)) = Authorization::read(&parts.headers) else {
            return None;
        };
        let host = host(parts).ok()?;
        let raw_query = parts.uri.query().unwrap_or_default();
        let request = SignableRequest {
            method: parts.method.as_str(),
            path: parts.uri.path(),
            query: raw_query,
            host,
            headers: &parts.headers,
            body_sha256: &Sha256::digest(body).into(),
        };
        let text = request.canonical(presented.signed_headers)?;
        Some(Explanation {
            string_to_sign: string_to_sign(&text),
            hints: self.hints(
                &presented,
                &text,
                &mistakes(host, raw_query, body.is_empty()),
            ),
            canonical_request: text,
        })
    }

    /// The mistakes with which the signature is good: one, or two together.
    fn hints(
        &self,
        presented: &SignatureHeader<'_>,
        text: &str,
        mistakes: &[Mistake],
    ) -> Vec<String> {
        let keys = self.signing_keys(&presented.app_id);
        let verifies = |text: &str| {
            let text = string_to_sign(text);
            keys.iter()
                .any(|key| key.verifies(&text, &presented.signature))
        };
        if keys.is_empty() {
            return vec![format!("there is no app {}", presented.app_id)];
        }
        let right = string_to_sign(text);
        if let Some(other) = self.other_app(&presented.app_id, &right, &presented.signature) {
            return vec![format!("signed with the secret of another app, {other}")];
        }
        let Some(canonical) = Canonical::of(text) else {
            return Vec::new();
        };
        for (number, (one, does)) in mistakes.iter().enumerate() {
            let mut with_one = canonical.clone();
            does(&mut with_one);
            if verifies(&with_one.text()) {
                return vec![one.clone()];
            }
            for (other, does) in mistakes.iter().skip(number.saturating_add(1)) {
                let mut with_two = with_one.clone();
                does(&mut with_two);
                if verifies(&with_two.text()) {
                    return vec![one.clone(), other.clone()];
                }
            }
        }
        vec!["no usual mistake: compare the canonical request, and the secret".to_owned()]
    }
}
