//! TLS: who we are, whom we believe, and how either is read anew (RFC 3261 section 26, RFC 5922).

use std::{
    fmt, io,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError, RwLock},
};

use rustls::{
    ClientConfig, RootCertStore, ServerConfig,
    crypto::{CryptoProvider, ring},
    pki_types::{
        CertificateDer, PrivateKeyDer, ServerName,
        pem::{self, PemObject},
    },
    server::{ClientHello, ResolvesServerCert},
    sign::CertifiedKey,
    version::{TLS12, TLS13},
};
use sems_sip::Flow;
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, TlsConnector, client, server};

use crate::config;

/// Why a certificate, a key or authorities cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TlsError {
    /// A file cannot be read.
    #[error("tls.{key}: {path}: {reason}", path = path.display())]
    File {
        /// The key of `[tls]`.
        key: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// Certificate and key are not a pair.
    #[error("tls.key: {key}: is not the key of {certificate}", key = key.display(), certificate = certificate.display())]
    Pair {
        /// The file of the key.
        key: PathBuf,
        /// The file of the certificate.
        certificate: PathBuf,
    },
}

/// Our side of all TLS connections.
pub(crate) struct Tls {
    identity: Arc<Identity>,
    acceptor: TlsAcceptor,
    /// Whom we believe; made when the first connection is opened, as the system's authorities are many.
    connector: Mutex<Option<TlsConnector>>,
    authorities: Mutex<Option<PathBuf>>,
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Tls")
    }
}

/// The certificate that every new connection shows.
#[derive(Debug)]
struct Identity(RwLock<Option<Arc<CertifiedKey>>>);

impl ResolvesServerCert for Identity {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        self.0.read().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

impl Tls {
    /// # Errors
    /// See [`TlsError`].
    pub(crate) fn new(config: &config::Tls) -> Result<Arc<Self>, TlsError> {
        let identity = Arc::new(Identity(RwLock::new(read_identity(config)?)));
        let settings = ServerConfig::builder_with_provider(provider())
            .with_protocol_versions(&[&TLS13, &TLS12])
            .map_err(|error| unusable("certificate", Path::new(""), error))?
            .with_no_client_auth()
            .with_cert_resolver(identity.clone());
        let authorities = config.authorities.clone();
        // A file that cannot be read shall stop the start, not the first call.
        let connector = authorities.as_deref().map(|path| connector(Some(path))).transpose()?;
        Ok(Arc::new(Self {
            identity,
            acceptor: TlsAcceptor::from(Arc::new(settings)),
            connector: Mutex::new(connector),
            authorities: Mutex::new(authorities),
        }))
    }

    /// Reads the files anew; connections that are open keep what they have.
    ///
    /// # Errors
    /// See [`TlsError`]; all stays as it was then.
    pub(crate) fn reload(&self, config: &config::Tls) -> Result<(), TlsError> {
        let identity = read_identity(config)?;
        let connector = config.authorities.as_deref().map(|path| connector(Some(path))).transpose()?;
        *self.identity.0.write().unwrap_or_else(PoisonError::into_inner) = identity;
        *self.connector.lock().unwrap_or_else(PoisonError::into_inner) = connector;
        self.authorities.lock().unwrap_or_else(PoisonError::into_inner).clone_from(&config.authorities);
        Ok(())
    }

    pub(crate) async fn accept(&self, stream: TcpStream) -> io::Result<server::TlsStream<TcpStream>> {
        self.acceptor.accept(stream).await
    }

    /// Greets the server of a flow, which must prove its name, or its address where it has none (RFC 5922).
    pub(crate) async fn connect(
        &self,
        flow: &Flow,
        stream: TcpStream,
    ) -> io::Result<client::TlsStream<TcpStream>> {
        let name = match flow.name.as_deref() {
            Some(name) => ServerName::try_from(name.to_owned()).map_err(io::Error::other)?,
            None => ServerName::from(flow.remote.ip()),
        };
        let connector = self.connector().map_err(io::Error::other)?;
        connector.connect(name, stream).await
    }

    fn connector(&self) -> Result<TlsConnector, TlsError> {
        let mut known = self.connector.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connector) = &*known {
            return Ok(connector.clone());
        }
        let authorities = self.authorities.lock().unwrap_or_else(PoisonError::into_inner);
        let made = connector(authorities.as_deref())?;
        Ok(known.insert(made).clone())
    }
}

fn provider() -> Arc<CryptoProvider> {
    Arc::new(ring::default_provider())
}

fn read_identity(config: &config::Tls) -> Result<Option<Arc<CertifiedKey>>, TlsError> {
    let (Some(certificate), Some(key)) = (&config.certificate, &config.key) else { return Ok(None) };
    let chain = certificates("certificate", certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable("key", key, &error))?;
    match CertifiedKey::from_der(chain, private, &ring::default_provider()) {
        Ok(identity) => Ok(Some(Arc::new(identity))),
        Err(rustls::Error::InconsistentKeys(_)) => {
            Err(TlsError::Pair { key: key.clone(), certificate: certificate.clone() })
        }
        Err(error) => Err(unusable("certificate", certificate, error)),
    }
}

fn connector(authorities: Option<&Path>) -> Result<TlsConnector, TlsError> {
    let mut roots = RootCertStore::empty();
    match authorities {
        Some(path) => {
            for certificate in certificates("authorities", path)? {
                roots.add(certificate).map_err(|error| unusable("authorities", path, error))?;
            }
        }
        None => {
            let found = rustls_native_certs::load_native_certs();
            for error in &found.errors {
                tracing::warn!(%error, "an authority of the system cannot be read");
            }
            roots.add_parsable_certificates(found.certs);
        }
    }
    let settings = ClientConfig::builder_with_provider(provider())
        .with_protocol_versions(&[&TLS13, &TLS12])
        .map_err(|error| unusable("authorities", Path::new(""), error))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(settings)))
}

fn certificates(key: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let found = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    match found.map_err(|error| unreadable(key, path, &error))? {
        none if none.is_empty() => Err(unusable(key, path, "holds no certificate in PEM")),
        some => Ok(some),
    }
}

fn unreadable(key: &'static str, path: &Path, error: &pem::Error) -> TlsError {
    match error {
        pem::Error::Io(error) => unusable(key, path, error),
        pem::Error::NoItemsFound => unusable(key, path, "holds no private key in PEM"),
        error => unusable(key, path, error),
    }
}

fn unusable(key: &'static str, path: &Path, reason: impl fmt::Display) -> TlsError {
    TlsError::File { key, path: path.to_owned(), reason: reason.to_string() }
}
