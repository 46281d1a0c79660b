//! Digest authentication (RFC 3261 §22, RFC 7616, RFC 8760), both sides.

mod challenge;
mod client;
mod credentials;
mod nonce_counts;
mod pairs;
mod server;
#[cfg(test)]
mod tests;

use std::fmt;

use md5::{Digest, Md5};
use sha2::Sha256;

pub use challenge::Challenge;
pub use client::{ClientAuth, Unanswerable};
pub use credentials::{ClientNonce, Credentials};
pub use nonce_counts::NonceCounts;
pub use server::{Challenger, Verdict};

use crate::text::Text;

/// The hash of a digest. Session variants (`-sess`) are not offered and not answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// MD5, for the phones that know nothing else.
    Md5,
    /// SHA-256 (RFC 8760).
    Sha256,
}

impl Algorithm {
    /// The algorithm of this name.
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Md5, Self::Sha256].into_iter().find(|a| a.as_str().eq_ignore_ascii_case(text))
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Md5 => "MD5",
            Self::Sha256 => "SHA-256",
        }
    }

    /// The hash of the parts joined by colons, in hexadecimal.
    fn hash(self, parts: &[&str]) -> String {
        match self {
            Self::Md5 => hash::<Md5>(parts),
            Self::Sha256 => hash::<Sha256>(parts),
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

fn hash<D: Digest>(parts: &[&str]) -> String {
    let mut digest = D::new();
    for (at, part) in parts.iter().enumerate() {
        if at > 0 {
            digest.update(b":");
        }
        digest.update(part.as_bytes());
    }
    hex(&digest.finalize())
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    bytes.iter().flat_map(|b| [digit(b >> 4), digit(*b)]).collect()
}

/// The hash of user, realm and password that a server may store in place of the password (RFC 7616 §3.4.2).
pub fn ha1(user: &str, realm: &str, password: &str, algorithm: Algorithm) -> String {
    algorithm.hash(&[user, realm, password])
}

/// The `response` of a digest (RFC 7616 §3.4.1); without `qop` as in RFC 2069.
fn response(
    algorithm: Algorithm,
    ha1: &str,
    nonce: &str,
    qop: Option<QopAuth<'_>>,
    method: &str,
    uri: &str,
) -> String {
    let ha2 = algorithm.hash(&[method, uri]);
    match qop {
        Some(qop) => algorithm.hash(&[ha1, nonce, &format!("{:08x}", qop.nc), qop.cnonce, "auth", &ha2]),
        None => algorithm.hash(&[ha1, nonce, &ha2]),
    }
}

/// What `qop=auth` mixes into the response.
#[derive(Clone, Copy)]
struct QopAuth<'a> {
    nc: u32,
    cnonce: &'a str,
}

/// Content of an authentication header: Digest, or a scheme that has no meaning here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Scheme<T> {
    /// Digest.
    Digest(T),
    /// Any other, kept whole.
    Other(Text),
}

impl<T> Scheme<T> {
    pub(crate) fn parse(
        value: &Text,
        digest: impl FnOnce(&Text) -> Result<T, &'static str>,
    ) -> Result<Self, &'static str> {
        let (scheme, rest) = value.split_once([' ', '\t']).ok_or("has no parameters")?;
        if scheme.eq_ignore_ascii_case("Digest") {
            digest(&value.slice(rest.trim())).map(Self::Digest)
        } else {
            Ok(Self::Other(value.clone()))
        }
    }
}

impl<T: fmt::Display> fmt::Display for Scheme<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(content) => write!(f, "Digest {content}"),
            Self::Other(text) => f.write_str(text),
        }
    }
}
