//! An authority of one's own, the certificates it issues, and connections that believe it.

use std::{
    net::{SocketAddr, TcpStream},
    path::{Path, PathBuf},
    sync::Arc,
};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ClientConfig, ClientConnection, RootCertStore, ServerConfig, ServerConnection, StreamOwned,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject},
};

use super::wire::PATIENCE;

/// An authority.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::new(Vec::new()).expect("no names");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(rcgen::DnType::CommonName, "authority of a test");
        let key = KeyPair::generate().expect("a key");
        Self(CertifiedIssuer::self_signed(params, key).expect("an authority"))
    }

    /// Writes its own certificate to `ca.pem` of a folder.
    pub fn write(&self, dir: &Path) -> PathBuf {
        let path = dir.join("ca.pem");
        std::fs::write(&path, self.0.pem()).expect("written");
        path
    }

    /// Issues a certificate of these names and addresses, as `<file>.pem` and `<file>.key`.
    pub fn issue(&self, dir: &Path, file: &str, names: &[&str]) -> Identity {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let params = CertificateParams::new(names).expect("names");
        let pair = KeyPair::generate().expect("a key");
        let issued = params.signed_by(&pair, &self.0).expect("a certificate");
        let (certificate, key) = (dir.join(format!("{file}.pem")), dir.join(format!("{file}.key")));
        std::fs::write(&certificate, issued.pem()).expect("written");
        std::fs::write(&key, pair.serialize_pem()).expect("written");
        Identity { certificate, key }
    }

    /// A client's connection to a server that must prove `name`, and the server's certificate.
    pub fn connect(
        &self,
        server: SocketAddr,
        name: &str,
    ) -> std::io::Result<StreamOwned<ClientConnection, TcpStream>> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).expect("an authority");
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_root_certificates(roots)
            .with_no_client_auth();
        let name = ServerName::try_from(name.to_owned()).expect("a name");
        let connection = ClientConnection::new(Arc::new(config), name).expect("a client");
        let tcp = TcpStream::connect(server)?;
        tcp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let mut stream = StreamOwned::new(connection, tcp);
        // The greeting happens with the first bytes: ours are none.
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        Ok(stream)
    }
}

/// The files of a certificate and its key.
pub struct Identity {
    pub certificate: PathBuf,
    pub key: PathBuf,
}

impl Identity {
    /// The table `[tls]` with these.
    pub fn table(&self) -> String {
        format!("[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n", self.certificate.display(), self.key.display())
    }

    /// As a server: greets a connection; what name the client asked for.
    pub fn greet(
        &self,
        tcp: TcpStream,
    ) -> std::io::Result<(StreamOwned<ServerConnection, TcpStream>, Option<String>)> {
        let chain = vec![CertificateDer::from_pem_file(&self.certificate).expect("a certificate")];
        let key = PrivateKeyDer::from_pem_file(&self.key).expect("a key");
        let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(chain, key)
            .expect("a pair");
        tcp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        let connection = ServerConnection::new(Arc::new(config)).expect("a server");
        let mut stream = StreamOwned::new(connection, tcp);
        while stream.conn.is_handshaking() {
            stream.conn.complete_io(&mut stream.sock)?;
        }
        let name = stream.conn.server_name().map(str::to_owned);
        Ok((stream, name))
    }
}
