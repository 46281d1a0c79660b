//! The side that answers.

use super::{Algorithm, Challenge, ClientNonce, Credentials, ha1, response};
use crate::header::{
    Authorization, Header, HeaderName, ProxyAuthenticate, ProxyAuthorization, WwwAuthenticate,
};
use crate::message::{Request, Response, StatusCode};
use crate::text::Text;

/// How many realms are remembered: a call passes few proxies that ask.
const MAX_REALMS: usize = 8;

/// The credentials of one user, and the challenges met so far.
#[derive(Clone, Debug)]
pub struct ClientAuth {
    user: Text,
    password: Text,
    answered: Vec<Answered>,
}

#[derive(Clone, Debug)]
struct Answered {
    proxy: bool,
    challenge: Challenge,
    algorithm: Algorithm,
    nc: u32,
}

/// Why a 401 or 407 is final.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unanswerable {
    /// No Digest challenge with a known algorithm.
    #[error("no challenge that can be answered")]
    NoChallenge,
    /// The credentials were tried and refused.
    #[error("credentials refused")]
    Refused,
}

impl ClientAuth {
    /// Credentials without any challenge yet.
    pub fn new(user: impl Into<Text>, password: impl Into<Text>) -> Self {
        Self { user: user.into(), password: password.into(), answered: Vec::new() }
    }

    /// Takes the challenges of a 401 or 407 that answered `request`; afterwards [`ClientAuth::authorize`] can answer
    /// them. Of each realm the strongest algorithm is answered, whatever the order (RFC 8760 §2.4).
    pub fn challenged(&mut self, request: &Request, response: &Response) -> Result<(), Unanswerable> {
        let proxy = response.status == StatusCode::PROXY_AUTHENTICATION_REQUIRED;
        let mut best: Vec<(Challenge, Algorithm)> = Vec::new();
        for challenge in challenges(response, proxy).into_iter().take(4 * MAX_REALMS) {
            let Some(algorithm) = challenge.algorithm else { continue };
            match best.iter_mut().find(|(other, _)| other.realm == challenge.realm) {
                Some(place) if place.1 < algorithm => *place = (challenge, algorithm),
                Some(_) => {}
                None => best.push((challenge, algorithm)),
            }
        }
        if best.is_empty() {
            return Err(Unanswerable::NoChallenge);
        }
        let sent = sent_credentials(request, proxy);
        // Credentials for a nonce that served before may have failed by its age, even where the server does not say
        // stale: those are tried once more.
        let fresh = |s: &Credentials| s.qop_auth.as_ref().is_none_or(|qop| qop.nc == 1);
        let refused = |c: &Challenge| !c.stale && sent.iter().any(|s| s.realm == c.realm && fresh(s));
        if best.iter().all(|(challenge, _)| refused(challenge)) {
            return Err(Unanswerable::Refused);
        }
        for (challenge, algorithm) in best {
            self.answered.retain(|a| a.proxy != proxy || a.challenge.realm != challenge.realm);
            if self.answered.len() < MAX_REALMS {
                self.answered.push(Answered { proxy, challenge, algorithm, nc: 0 });
            }
        }
        Ok(())
    }

    /// Whether there is a challenge to answer, so that a next request can carry credentials at once.
    pub fn is_ready(&self) -> bool {
        !self.answered.is_empty()
    }

    /// Puts credentials for every realm met into the request, in place of older ones. `cnonce` is random.
    pub fn authorize(&mut self, request: &mut Request, cnonce: &str) {
        if self.answered.is_empty() {
            return;
        }
        request.headers.remove(&HeaderName::Authorization);
        request.headers.remove(&HeaderName::ProxyAuthorization);
        let uri = request.uri.to_string();
        for answered in &mut self.answered {
            let credentials =
                answered.answer(&self.user, &self.password, request.method.as_str(), &uri, cnonce);
            if answered.proxy {
                request.headers.push_typed(&ProxyAuthorization::from(credentials));
            } else {
                request.headers.push_typed(&Authorization::from(credentials));
            }
        }
    }
}

impl Answered {
    fn answer(&mut self, user: &Text, password: &str, method: &str, uri: &str, cnonce: &str) -> Credentials {
        self.nc = self.nc.saturating_add(1);
        let Challenge { realm, nonce, opaque, qop_auth, .. } = self.challenge.clone();
        let qop_auth = qop_auth.then(|| ClientNonce { cnonce: Text::from(cnonce), nc: self.nc });
        let ha1 = ha1(user, &realm, password, self.algorithm);
        let qop = qop_auth.as_ref().map(ClientNonce::as_qop);
        let response = Text::from(response(self.algorithm, &ha1, &nonce, qop, method, uri));
        let (username, uri, algorithm) = (user.clone(), Text::from(uri), Some(self.algorithm));
        Credentials { username, realm, nonce, uri, response, algorithm, opaque, qop_auth }
    }
}

/// The Digest challenges of a response; malformed ones and other schemes are passed over.
fn challenges(response: &Response, proxy: bool) -> Vec<Challenge> {
    let read = |value: &[u8]| {
        let value = Text::copy_lossy(value);
        if proxy {
            ProxyAuthenticate::parse(&value).ok().and_then(|h| h.digest().cloned())
        } else {
            WwwAuthenticate::parse(&value).ok().and_then(|h| h.digest().cloned())
        }
    };
    let name = if proxy { HeaderName::ProxyAuthenticate } else { HeaderName::WwwAuthenticate };
    response.headers.all(&name).filter_map(read).collect()
}

fn sent_credentials(request: &Request, proxy: bool) -> Vec<Credentials> {
    let read =
        |value: &[u8]| Authorization::parse(&Text::copy_lossy(value)).ok().and_then(|h| h.digest().cloned());
    let name = if proxy { HeaderName::ProxyAuthorization } else { HeaderName::Authorization };
    request.headers.all(&name).filter_map(read).collect()
}
