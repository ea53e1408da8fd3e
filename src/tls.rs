//! TLS of the listener: its certificate and key and, where clients must show a
//! certificate too, who signs theirs. They are in files that may change while the
//! service runs, and are swapped as one.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;
use rustls::{InconsistentKeys, RootCertStore, ServerConfig};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::{Accept, TlsAcceptor};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use x509_cert::Certificate;
use x509_cert::der::Decode;

use crate::reload::{self, Contents, Files, Occasion, Outcome, Reload, Unreadable, What};

/// The most bytes of a file: a chain, or the authorities of many clients.
const FILE_LIMIT: u64 = 1024 * 1024;
/// What is spoken within TLS (ALPN), the preferred first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];
/// The most bytes of an answer that are held encrypted for a client that does not
/// take them.
const MOST_UNSENT: usize = 16 * 1024;

/// Where certificates and keys are, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TlsFiles {
    /// The certificate, and those between it and its authority.
    pub cert: PathBuf,
    /// The certificate's key.
    pub key: PathBuf,
    /// Those that sign clients' certificates; without it no client needs one.
    pub client_ca: Option<PathBuf>,
}

/// Why files are of no use. Never with anything of a key.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error(transparent)]
    Unreadable(#[from] Unreadable),
    /// There is no certificate.
    #[error("{}: there is no certificate in it (PEM)", .0.display())]
    NoCertificate(PathBuf),
    /// A certificate is damaged, or of no use for this.
    #[error("{}: a certificate in it cannot be used", .0.display())]
    BadCertificate(PathBuf),
    /// There is no private key.
    #[error("{}: there is no private key in it (PEM, not encrypted)", .0.display())]
    NoKey(PathBuf),
    /// The private key is of no use.
    #[error("{}: the private key in it cannot be used", .0.display())]
    BadKey(PathBuf),
    /// Certificate and key are no pair.
    #[error("{}: the private key in it is not that of the certificate in {}", key.display(), cert.display())]
    NoPair {
        /// The certificate.
        cert: PathBuf,
        /// The key.
        key: PathBuf,
    },
    /// It has ended already.
    #[error("{}: a certificate in it ended at {}", path.display(), shown(*.end))]
    Ended {
        /// The certificate.
        path: PathBuf,
        /// When, in seconds since 1970.
        end: i64,
    },
}

/// What the files hold, ready to serve with.
struct InForce {
    config: Arc<ServerConfig>,
    /// When the first certificate ends, in seconds since 1970.
    end: i64,
}

/// What the listener speaks TLS with.
pub struct Tls {
    paths: TlsFiles,
    files: Files,
    in_force: Arc<ArcSwap<InForce>>,
}

/// Makes connections ones within TLS. Cheap to clone.
#[derive(Clone)]
pub struct Acceptor(Arc<ArcSwap<InForce>>);

impl Tls {
    /// Reads these files. One whose certificate has ended is [warned
    /// of](Self::warning) alone, for its clients may not mind. Blocks.
    ///
    /// # Errors
    ///
    /// [`TlsError`], but for [`TlsError::Ended`].
    pub fn load(paths: TlsFiles) -> Result<Self, TlsError> {
        let mut files = Files::new(paths.all(), FILE_LIMIT);
        let in_force = paths.judge(files.read())?;
        Ok(Self {
            paths,
            files,
            in_force: Arc::new(ArcSwap::from_pointee(in_force)),
        })
    }

    /// What is allowed but hardly meant, as of this moment.
    #[must_use]
    pub fn warning(&self, now: Timestamp) -> Option<String> {
        let ended = self.ended(&self.in_force.load(), now)?;
        Some(format!("{ended}: who verifies it does not connect"))
    }

    /// Has the files watched, in `tasks` until `stop`: what they hold is swapped as a
    /// whole, for connections to come. What is of no use is refused and logged, and
    /// what was in force stays.
    pub fn watch(
        mut self,
        reload: &Reload,
        tasks: &TaskTracker,
        stop: CancellationToken,
    ) -> Acceptor {
        let acceptor = Acceptor(Arc::clone(&self.in_force));
        let counts = reload.clone();
        reload::watch(reload, tasks, stop, move |occasion| {
            self.look(occasion, &counts);
        });
        acceptor
    }

    fn look(&mut self, occasion: Occasion, reload: &Reload) {
        let Some(mut contents) = self.files.look(occasion) else {
            return;
        };
        // The certificate may be written and the key about to be.
        if occasion == Occasion::Periodic {
            contents = self.files.settle().unwrap_or(contents);
        }
        match self.replacement(contents) {
            Ok(replacement) => {
                let end = shown(replacement.end);
                self.in_force.store(Arc::new(replacement));
                reload.note(What::Certificate, Outcome::Loaded);
                tracing::info!(%end, "certificate reloaded");
            }
            Err(error) => {
                reload.note(What::Certificate, Outcome::Refused);
                tracing::error!(%error, "the certificate is not reloaded; what was in force stays");
            }
        }
    }

    fn replacement(&self, contents: Contents) -> Result<InForce, TlsError> {
        let replacement = self.paths.judge(contents)?;
        match self.ended(&replacement, Timestamp::now()) {
            None => Ok(replacement),
            Some(ended) => Err(ended),
        }
    }

    fn ended(&self, in_force: &InForce, now: Timestamp) -> Option<TlsError> {
        (in_force.end <= now.as_second()).then(|| TlsError::Ended {
            path: self.paths.cert.clone(),
            end: in_force.end,
        })
    }
}

impl Acceptor {
    /// The handshake of a connection, by what is in force now. It has no bound of its
    /// own.
    pub fn accept<S: AsyncRead + AsyncWrite + Unpin>(&self, stream: S) -> Accept<S> {
        let config = Arc::clone(&self.0.load().config);
        TlsAcceptor::from(config).accept_with(stream, |session| {
            session.set_buffer_limit(Some(MOST_UNSENT));
        })
    }

    /// When the certificate in force ends, or the first of those that lead to its
    /// authority, in seconds since 1970.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.0.load().end
    }
}

impl TlsFiles {
    /// All of them, in the order in which they are read.
    fn all(&self) -> Vec<PathBuf> {
        let pair = [&self.cert, &self.key].into_iter();
        pair.chain(&self.client_ca).cloned().collect()
    }

    /// What these contents of the files come to.
    fn judge(&self, contents: Contents) -> Result<InForce, TlsError> {
        let contents = contents?;
        let mut contents = contents.iter().map(Vec::as_slice);
        let mut next = || contents.next().unwrap_or_default();
        let chain = certificates(&self.cert, next())?;
        let key =
            PrivateKeyDer::from_pem_slice(next()).map_err(|_| TlsError::NoKey(self.key.clone()))?;
        let clients = self.client_ca.as_deref();
        let clients = clients.map(|path| verifier(path, next())).transpose()?;
        let ends = chain.iter().map(end_of).collect::<Option<Vec<_>>>();
        let end = ends.and_then(|ends| ends.into_iter().min());
        let end = end.ok_or_else(|| TlsError::BadCertificate(self.cert.clone()))?;
        let mut config = configured(chain, key, clients).map_err(|error| self.named(&error))?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).into();
        Ok(InForce {
            config: Arc::new(config),
            end,
        })
    }

    /// Whose fault it is.
    fn named(&self, error: &rustls::Error) -> TlsError {
        match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::NoPair {
                cert: self.cert.clone(),
                key: self.key.clone(),
            },
            rustls::Error::InvalidCertificate(_) => TlsError::BadCertificate(self.cert.clone()),
            _ => TlsError::BadKey(self.key.clone()),
        }
    }
}

/// TLS 1.2 and 1.3, by ring.
fn configured(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
    clients: Option<Arc<dyn ClientCertVerifier>>,
) -> Result<ServerConfig, rustls::Error> {
    let provider = Arc::new(ring::default_provider());
    let builder = ServerConfig::builder_with_provider(provider)
        .with_protocol_versions(rustls::DEFAULT_VERSIONS)?;
    match clients {
        Some(clients) => builder.with_client_cert_verifier(clients),
        None => builder.with_no_client_auth(),
    }
    .with_single_cert(chain, key)
}

/// Requires a certificate of clients that one of these authorities has signed.
fn verifier(path: &Path, pem: &[u8]) -> Result<Arc<dyn ClientCertVerifier>, TlsError> {
    let authorities = Arc::new(trusting(path, &certificates(path, pem)?)?);
    let provider = Arc::new(ring::default_provider());
    let verifier = WebPkiClientVerifier::builder_with_provider(authorities, provider).build();
    verifier.map_err(|_| TlsError::BadCertificate(path.to_owned()))
}

/// What trusts these authorities, which are in this file.
fn trusting(path: &Path, found: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut authorities = RootCertStore::empty();
    for authority in found {
        let added = authorities.add(authority.clone());
        added.map_err(|_| TlsError::BadCertificate(path.to_owned()))?;
    }
    Ok(authorities)
}

/// The authorities in this file (PEM), of which there is at least one. Blocks.
///
/// # Errors
///
/// [`TlsError`], also where one of several is of no use.
pub fn authorities(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let contents = Files::new(vec![path.to_owned()], FILE_LIMIT).read()?;
    let found = certificates(path, &contents.concat())?;
    trusting(path, &found)?;
    Ok(found)
}

/// The certificates in this file, of which there is at least one.
fn certificates(path: &Path, pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let certificates = certificates.ok().filter(|found| !found.is_empty());
    certificates.ok_or_else(|| TlsError::NoCertificate(path.to_owned()))
}

/// When a certificate ends, in seconds since 1970; `None` if that cannot be read.
fn end_of(certificate: &CertificateDer<'_>) -> Option<i64> {
    let certificate = Certificate::from_der(certificate).ok()?;
    let validity = certificate.tbs_certificate().validity();
    let end = validity.not_after.to_unix_duration();
    i64::try_from(end.as_secs()).ok()
}

/// The moment as text. A certificate may go on for longer than there are moments.
fn shown(end: i64) -> Timestamp {
    Timestamp::from_second(end).unwrap_or(Timestamp::MAX)
}
