//! Where the keys of an issuer are: in a file that is watched, or at a URL that is
//! asked again and again.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwapOption;
use http::StatusCode;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use url::{Host, Url};

use super::fetching::Fetching;
use super::keys::{BadKeySet, KeySet};
use crate::reload::{self, Contents, Files, Occasion, Outcome, Reload, Unreadable, What};
use crate::task::clock::SharedClock;

/// The most bytes of a key set.
const MOST_BYTES: u64 = 256 * 1024;
/// How long an answer may take, from the first byte of the question.
pub(super) const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Where a key set is.
#[derive(Debug, Clone)]
pub enum JwksSource {
    /// In this file.
    File(PathBuf),
    /// At this URL.
    Url(JwksUrl),
}

/// The URL of a key set: https, or http to loopback, where nobody stands between.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct JwksUrl {
    url: Url,
    is_loopback: bool,
}

/// Why a key set is not taken. It tells no content.
#[derive(Debug, thiserror::Error)]
pub enum JwksError {
    /// The file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// The URL gives no answer.
    #[error("{0}")]
    Unreachable(Box<ureq::Error>),
    /// The URL gives another answer than 200.
    #[error("the answer is {0}; redirections are not followed")]
    Status(StatusCode),
    /// What there is is of no use.
    #[error(transparent)]
    Bad(#[from] BadKeySet),
}

/// The keys in force.
#[derive(Default)]
pub(super) struct Keys {
    current: ArcSwapOption<KeySet>,
    /// Of keys that are at a URL.
    fetching: Option<Fetching>,
}

impl JwksSource {
    /// Whether keys can be had. A URL is not asked: it may be away.
    ///
    /// # Errors
    ///
    /// [`JwksError`] of a file.
    pub fn check(&self) -> Result<(), JwksError> {
        match self {
            Self::File(path) => files_of(path).changed().map_or(Ok(()), |contents| {
                parse(contents)?;
                Ok(())
            }),
            Self::Url(_) => Ok(()),
        }
    }

    /// The keys, kept as they are there in `tasks` until `stop`. Those of a file are
    /// there at once, those of a URL later; `clock` tells when they may be asked for again.
    pub(super) fn keep(
        self,
        clock: &SharedClock,
        reload: &Reload,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Arc<Keys>, JwksError> {
        match self {
            Self::File(path) => Keys::of_file(&path, reload, tasks, stop),
            Self::Url(url) => Ok(Keys::of_url((url, clock), reload, tasks, stop)),
        }
    }
}

impl Keys {
    /// The keys in force; `None` if there have never been any.
    pub(super) fn current(&self) -> Option<Arc<KeySet>> {
        self.current.load_full()
    }

    /// Waits, for a while, for newer keys, if they can be had now.
    pub(super) async fn renew(&self) {
        if let Some(fetching) = &self.fetching {
            let _ = tokio::time::timeout(FETCH_TIMEOUT, fetching.ask()).await;
        }
    }

    fn of_file(
        path: &Path,
        reload: &Reload,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Result<Arc<Self>, JwksError> {
        let mut files = files_of(path);
        let keys = Arc::new(Self::default());
        if let Some(contents) = files.changed() {
            keys.take(Ok(parse(contents)?), reload);
        }
        let (kept, counts) = (Arc::clone(&keys), reload.clone());
        reload::watch(reload, tasks, stop, move |occasion| {
            let Some(contents) = files.look(occasion) else {
                return;
            };
            let settled = match occasion {
                Occasion::Periodic => files.settle(),
                Occasion::Asked => None,
            };
            kept.take(parse(settled.unwrap_or(contents)), &counts);
        });
        Ok(keys)
    }

    fn of_url(
        (url, clock): (JwksUrl, &SharedClock),
        reload: &Reload,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Arc<Self> {
        let keys = Arc::new(Self {
            fetching: Some(Fetching::new(Arc::clone(clock))),
            ..Self::default()
        });
        let (kept, counts, asked) = (Arc::clone(&keys), reload.clone(), reload.subscribe());
        let fetch = move || {
            let (kept, counts, url) = (Arc::clone(&kept), counts.clone(), url.clone());
            async move {
                // Whoever waits for it ends with the service; what is left of it then
                // has a bound.
                let fetched = tokio::task::spawn_blocking(move || url.fetch()).await;
                fetched.is_ok_and(|fetched| kept.take(fetched, &counts) == Outcome::Loaded)
            }
        };
        let owner = Arc::clone(&keys);
        tasks.spawn(stop.run_until_cancelled_owned(async move {
            if let Some(fetching) = &owner.fetching {
                fetching.run(fetch, asked).await;
            }
        }));
        keys
    }

    /// Puts these keys in force, if they are any, and tells what came of it.
    fn take(&self, found: Result<KeySet, JwksError>, reload: &Reload) -> Outcome {
        match found {
            Ok(keys) => {
                let (count, left_out) = keys.counts();
                self.current.store(Some(Arc::new(keys)));
                reload.note(What::Jwks, Outcome::Loaded);
                tracing::info!(keys = count, left_out, "keys of auth.jwt loaded");
                Outcome::Loaded
            }
            Err(error) => {
                reload.note(What::Jwks, Outcome::Refused);
                tracing::error!(%error, "keys of auth.jwt are refused; those in force stay");
                Outcome::Refused
            }
        }
    }
}

fn files_of(path: &Path) -> Files {
    Files::new(vec![path.to_owned()], MOST_BYTES)
}

fn parse(contents: Contents) -> Result<KeySet, JwksError> {
    Ok(KeySet::parse(&contents?.concat())?)
}

impl JwksUrl {
    /// Asks for the keys. Blocks, for [`FETCH_TIMEOUT`] at most.
    fn fetch(&self) -> Result<KeySet, JwksError> {
        let unreachable = |error| JwksError::Unreachable(Box::new(error));
        let mut config = ureq::Agent::config_builder()
            .timeout_global(Some(FETCH_TIMEOUT))
            .http_status_as_error(false)
            // It could lead to where nobody vouches for the keys.
            .max_redirects(0);
        if self.is_loopback {
            config = config.proxy(None);
        }
        let agent: ureq::Agent = config.build().into();
        let question = agent.get(self.url.as_str());
        let question = question.header("Accept", "application/jwk-set+json, application/json");
        let mut answer = question.call().map_err(unreachable)?;
        if answer.status() != StatusCode::OK {
            return Err(JwksError::Status(answer.status()));
        }
        let body = answer.body_mut().with_config().limit(MOST_BYTES);
        Ok(KeySet::parse(&body.read_to_vec().map_err(unreachable)?)?)
    }
}

impl FromStr for JwksUrl {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, &'static str> {
        let url = Url::parse(text).map_err(|_| "is no URL")?;
        let is_loopback = match url.host() {
            Some(Host::Ipv4(ip)) => IpAddr::from(ip).is_loopback(),
            Some(Host::Ipv6(ip)) => IpAddr::from(ip).is_loopback(),
            Some(Host::Domain(name)) => name == "localhost",
            None => false,
        };
        if !url.username().is_empty() || url.password().is_some() || url.fragment().is_some() {
            return Err("must have no user, no password and no fragment");
        }
        match url.scheme() {
            "https" => Ok(Self { url, is_loopback }),
            "http" if is_loopback => Ok(Self { url, is_loopback }),
            _ => Err("must begin with https://, or with http:// and a loopback address"),
        }
    }
}

impl fmt::Display for JwksUrl {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.url.fmt(formatter)
    }
}
