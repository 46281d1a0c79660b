//! What a server asks for.

use std::fmt;

use super::{Algorithm, pairs};
use crate::grammar;
use crate::text::Text;

/// A Digest challenge, the content of WWW-Authenticate and Proxy-Authenticate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The realm, shown to users and mixed into the hash.
    pub realm: Text,
    /// The server's nonce.
    pub nonce: Text,
    /// To be sent back as it is.
    pub opaque: Option<Text>,
    /// The hash; `None` is one that cannot be answered here.
    pub algorithm: Option<Algorithm>,
    /// The nonce was too old, the password is not in doubt.
    pub stale: bool,
    /// Whether `qop=auth` is offered; without it the challenge is that of RFC 2069.
    pub qop_auth: bool,
}

impl Challenge {
    /// Reads what stands behind `Digest`.
    pub(crate) fn parse(text: &Text) -> Result<Self, &'static str> {
        let (mut realm, mut nonce, mut opaque) = (None, None, None);
        let (mut algorithm, mut stale, mut qop) = (Some(Algorithm::Md5), false, None);
        pairs::parse(text, |name, value| {
            match () {
                () if name.eq_ignore_ascii_case("realm") => realm = Some(value),
                () if name.eq_ignore_ascii_case("nonce") => nonce = Some(value),
                () if name.eq_ignore_ascii_case("opaque") => opaque = Some(value),
                () if name.eq_ignore_ascii_case("algorithm") => algorithm = Algorithm::parse(&value),
                () if name.eq_ignore_ascii_case("stale") => stale = value.eq_ignore_ascii_case("true"),
                () if name.eq_ignore_ascii_case("qop") => qop = Some(value),
                () => {}
            }
            Ok(())
        })?;
        let qop_auth =
            qop.as_deref().is_some_and(|q| q.split(',').any(|q| q.trim().eq_ignore_ascii_case("auth")));
        if qop.is_some() && !qop_auth {
            // Only auth-int is offered: to answer without qop would be refused.
            algorithm = None;
        }
        let (realm, nonce) = realm.zip(nonce).ok_or("challenge without realm or nonce")?;
        Ok(Self { realm, nonce, opaque, algorithm, stale, qop_auth })
    }
}

impl fmt::Display for Challenge {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "realm={}", grammar::quote(&self.realm))?;
        pairs::quoted(f, "nonce", &self.nonce)?;
        if let Some(opaque) = &self.opaque {
            pairs::quoted(f, "opaque", opaque)?;
        }
        match self.algorithm {
            Some(algorithm) => write!(f, ", algorithm={algorithm}")?,
            // Without a name it would be MD5.
            None => f.write_str(", algorithm=unknown")?,
        }
        if self.stale {
            f.write_str(", stale=true")?;
        }
        if self.qop_auth { pairs::quoted(f, "qop", "auth") } else { Ok(()) }
    }
}
