//! What a client answers.

use std::fmt;

use super::{Algorithm, QopAuth, pairs};
use crate::grammar;
use crate::text::Text;

/// Digest credentials, the content of Authorization and Proxy-Authorization.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// The user.
    pub username: Text,
    /// The realm of the challenge.
    pub realm: Text,
    /// The nonce of the challenge.
    pub nonce: Text,
    /// The request URI that was hashed.
    pub uri: Text,
    /// The hash, in hexadecimal.
    pub response: Text,
    /// How it was hashed; `None` is an algorithm that cannot be checked here.
    pub algorithm: Option<Algorithm>,
    /// What the challenge gave.
    pub opaque: Option<Text>,
    /// `qop=auth`: the client's nonce and how often the server's was used; `None` is the form of RFC 2069.
    pub qop_auth: Option<ClientNonce>,
}

/// The client's part of `qop=auth`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientNonce {
    /// The client's nonce.
    pub cnonce: Text,
    /// How often the server's nonce has been used, this time included.
    pub nc: u32,
}

impl ClientNonce {
    pub(super) fn as_qop(&self) -> QopAuth<'_> {
        QopAuth { nc: self.nc, cnonce: &self.cnonce }
    }
}

#[derive(Default)]
struct Pairs {
    username: Option<Text>,
    realm: Option<Text>,
    nonce: Option<Text>,
    uri: Option<Text>,
    response: Option<Text>,
    algorithm: Option<Text>,
    opaque: Option<Text>,
    qop: Option<Text>,
    cnonce: Option<Text>,
    nc: Option<Text>,
}

impl Pairs {
    fn slot(&mut self, name: &str) -> Option<&mut Option<Text>> {
        Some(match name.to_ascii_lowercase().as_str() {
            "username" => &mut self.username,
            "realm" => &mut self.realm,
            "nonce" => &mut self.nonce,
            "uri" => &mut self.uri,
            "response" => &mut self.response,
            "algorithm" => &mut self.algorithm,
            "opaque" => &mut self.opaque,
            "qop" => &mut self.qop,
            "cnonce" => &mut self.cnonce,
            "nc" => &mut self.nc,
            _ => return None,
        })
    }

    fn client_nonce(&self) -> Result<Option<ClientNonce>, &'static str> {
        match &self.qop {
            None => Ok(None),
            Some(qop) if qop.eq_ignore_ascii_case("auth") => {
                let nc = self.nc.as_deref().filter(|nc| nc.len() == 8);
                let nc = nc.and_then(|nc| u32::from_str_radix(nc, 16).ok());
                let (cnonce, nc) = self.cnonce.clone().zip(nc).ok_or("qop without cnonce or nc")?;
                Ok(Some(ClientNonce { cnonce, nc }))
            }
            Some(_) => Err("qop other than auth"),
        }
    }
}

impl Credentials {
    /// Reads what stands behind `Digest`.
    pub(crate) fn parse(text: &Text) -> Result<Self, &'static str> {
        let mut pairs = Pairs::default();
        pairs::parse(text, |name, value| match pairs.slot(name) {
            Some(Some(_)) => Err("parameter stands twice"),
            Some(slot) => {
                *slot = Some(value);
                Ok(())
            }
            None => Ok(()),
        })?;
        let qop_auth = pairs.client_nonce()?;
        let algorithm = pairs.algorithm.as_deref().map_or(Some(Algorithm::Md5), Algorithm::parse);
        let missing = "credentials without username, realm, nonce, uri or response";
        Ok(Self {
            username: pairs.username.ok_or(missing)?,
            realm: pairs.realm.ok_or(missing)?,
            nonce: pairs.nonce.ok_or(missing)?,
            uri: pairs.uri.ok_or(missing)?,
            response: pairs.response.ok_or(missing)?,
            algorithm,
            opaque: pairs.opaque,
            qop_auth,
        })
    }
}

impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "username={}", grammar::quote(&self.username))?;
        pairs::quoted(f, "realm", &self.realm)?;
        pairs::quoted(f, "nonce", &self.nonce)?;
        pairs::quoted(f, "uri", &self.uri)?;
        pairs::quoted(f, "response", &self.response)?;
        if let Some(algorithm) = self.algorithm {
            write!(f, ", algorithm={algorithm}")?;
        }
        if let Some(opaque) = &self.opaque {
            pairs::quoted(f, "opaque", opaque)?;
        }
        match &self.qop_auth {
            Some(qop) => {
                write!(f, ", qop=auth, nc={:08x}", qop.nc)?;
                pairs::quoted(f, "cnonce", &qop.cnonce)
            }
            None => Ok(()),
        }
    }
}
