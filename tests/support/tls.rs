//! Certificates made for a test, and a client that verifies them.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

/// No test waits longer than this for a handshake.
const LIMIT: Duration = Duration::from_secs(30);
/// The bytes that each file is filled up to: one that is swapped has the size of the
/// one before.
const FILE_SIZE: usize = 2048;

/// Each version of TLS by itself.
pub static VERSIONS: [&[&SupportedProtocolVersion]; 2] = [&[&TLS12], &[&TLS13]];

/// Who signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

/// A certificate and its key, in PEM.
pub struct Pair {
    pub cert: String,
    pub key: String,
}

/// A client of TLS.
#[derive(Clone)]
pub struct Client {
    authorities: Arc<RootCertStore>,
    certificate: Option<Arc<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>)>>,
    protocols: Vec<Vec<u8>>,
    versions: &'static [&'static SupportedProtocolVersion],
}

fn filled(mut pem: String) -> String {
    while pem.len() < FILE_SIZE {
        pem.push('\n');
    }
    pem
}

impl Authority {
    pub fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// Its own certificate.
    pub fn pem(&self) -> String {
        self.0.pem()
    }

    /// A certificate for 127.0.0.1.
    pub fn issue(&self) -> Pair {
        self.issue_until(2100)
    }

    /// As [`Authority::issue`]; it ends when this year begins.
    pub fn issue_until(&self, year: i32) -> Pair {
        let mut params = CertificateParams::new(["127.0.0.1".to_owned()]).unwrap();
        params.not_after = date_time_ymd(year, 1, 1);
        let key = KeyPair::generate().unwrap();
        let cert = params.signed_by(&key, &self.0).unwrap();
        Pair {
            cert: filled(cert.pem()),
            key: filled(key.serialize_pem()),
        }
    }
}

impl Pair {
    /// Writes them to this folder; `[server]` of a configuration that uses them.
    pub fn configured_in(&self, folder: &Path) -> String {
        fs::write(folder.join("tls.crt"), &self.cert).unwrap();
        fs::write(folder.join("tls.key"), &self.key).unwrap();
        configuration(folder)
    }

    /// The certificate as it is shown in a handshake.
    pub fn der(&self) -> CertificateDer<'static> {
        CertificateDer::from_pem_slice(self.cert.as_bytes()).unwrap()
    }
}

/// `[server]` of a configuration that uses `tls.crt` and `tls.key` of this folder.
pub fn configuration(folder: &Path) -> String {
    format!(
        "[server]\ntls_cert_file = \"{0}/tls.crt\"\ntls_key_file = \"{0}/tls.key\"\n",
        folder.display()
    )
}

impl Client {
    /// One that believes this authority, and speaks HTTP/1.1.
    pub fn trusting(authority: &Authority) -> Self {
        let mut authorities = RootCertStore::empty();
        authorities.add(authority.0.der().clone()).unwrap();
        Self {
            authorities: Arc::new(authorities),
            certificate: None,
            protocols: vec![b"http/1.1".to_vec()],
            versions: rustls::ALL_VERSIONS,
        }
    }

    /// The same, which shows a certificate of its own.
    pub fn showing(mut self, pair: &Pair) -> Self {
        let key = PrivateKeyDer::from_pem_slice(pair.key.as_bytes()).unwrap();
        self.certificate = Some(Arc::new((vec![pair.der()], key)));
        self
    }

    /// The same, which offers these protocols (ALPN).
    pub fn offering(mut self, protocols: &[&str]) -> Self {
        self.protocols = protocols
            .iter()
            .map(|name| name.as_bytes().into())
            .collect();
        self
    }

    /// The same, with these versions of TLS.
    pub fn with_versions(mut self, versions: &'static [&'static SupportedProtocolVersion]) -> Self {
        self.versions = versions;
        self
    }

    fn config(&self) -> ClientConfig {
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_protocol_versions(self.versions)
            .unwrap()
            .with_root_certificates(Arc::clone(&self.authorities));
        let mut config = match self.certificate.as_deref() {
            Some((chain, key)) => builder
                .with_client_auth_cert(chain.clone(), key.clone_key())
                .unwrap(),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols.clone_from(&self.protocols);
        config
    }

    /// A connection to this address, its handshake done.
    pub async fn connect(&self, address: SocketAddr) -> io::Result<TlsStream<TcpStream>> {
        let connector = TlsConnector::from(Arc::new(self.config()));
        let name = ServerName::from(address.ip());
        let connect = async {
            let stream = TcpStream::connect(address).await?;
            connector.connect(name, stream).await
        };
        tokio::time::timeout(LIMIT, connect).await?
    }

    /// The certificate that is shown there.
    pub async fn shown(&self, address: SocketAddr) -> CertificateDer<'static> {
        let stream = self.connect(address).await.unwrap();
        let shown = stream.get_ref().1.peer_certificates().unwrap();
        shown[0].clone().into_owned()
    }
}
