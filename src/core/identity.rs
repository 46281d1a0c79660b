//! Who is asking: digest (RFC 7616, RFC 8760), trusted peers, strangers.

use std::{
    collections::HashMap,
    net::IpAddr,
    time::{Duration, Instant},
};

use sems_app::Identity;
use sems_sip::{
    Flow, HeaderName, Request, Text, Uri,
    auth::{Algorithm, Challenger, Credentials, NonceCounts, Verdict},
    endpoint::Reply,
    header::{Authorization, PAssertedIdentity, ProxyAuthorization},
};
use sems_store::Account;

use crate::{
    accounts::Accounts,
    config::{Cidr, Sip},
    location::Aor,
};

/// How long a nonce is good. A phone that refreshes every 10 minutes is challenged again each time, and answers
/// `stale=true` without asking its user.
const NONCE_LIFETIME: Duration = Duration::from_secs(300);
/// Nonces whose counts are kept: those of some minutes at hundreds of logins a second.
const NONCES: usize = 65_536;

/// What the gate says.
#[derive(Debug)]
pub(crate) enum Admission {
    /// This is who it is.
    Known(Identity),
    /// 401 or 407.
    Challenge(Reply),
    /// 403 or 404.
    Refuse(Reply),
}

/// Which pair of headers: those of a server, or those of a proxy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Server,
    Proxy,
}

/// Checks credentials.
#[derive(Debug)]
pub(crate) struct Gate {
    key: [u8; 32],
    challengers: HashMap<String, Challenger>,
    counts: NonceCounts,
    trusted: Vec<Cidr>,
    /// Those that logins may use.
    algorithms: Vec<Algorithm>,
}

impl Gate {
    /// A gate for these domains, each its own realm. `key` signs nonces.
    pub(crate) fn new(now: Instant, domains: &[String], key: [u8; 32], sip: &Sip) -> Self {
        let counts = NonceCounts::new(NONCES);
        let (trusted, algorithms) = (Vec::new(), Vec::new());
        let mut gate = Self { key, challengers: HashMap::new(), counts, trusted, algorithms };
        gate.reload(now, domains, sip);
        gate
    }

    /// Serves these domains, trusts these peers and takes these algorithms from now on.
    pub(crate) fn reload(&mut self, now: Instant, domains: &[String], sip: &Sip) {
        self.challengers.retain(|domain, _| domains.contains(domain));
        for domain in domains {
            let realm = || Text::from(domain.clone());
            self.challengers
                .entry(domain.clone())
                .or_insert_with(|| Challenger::new(now, realm(), self.key, NONCE_LIFETIME));
        }
        sip.trusted.clone_into(&mut self.trusted);
        sip.digest.clone_into(&mut self.algorithms);
    }

    pub(crate) fn is_trusted(&self, source: IpAddr) -> bool {
        self.trusted.iter().any(|block| block.contains(source))
    }

    /// Whether a REGISTER comes from the owner of `aor` (SER-M2, SER-M3).
    pub(crate) fn owner(&mut self, accounts: &Accounts, aor: &Aor, request: &Request) -> Admission {
        let Some(account) = accounts.get(aor) else {
            return Admission::Refuse(Reply::new(404));
        };
        self.check(aor, account, request, Asks::Server)
    }

    /// Who sends an INVITE. `claimed` is the account that From names, if it is one of our domains.
    pub(crate) fn caller(
        &mut self,
        accounts: &Accounts,
        claimed: Option<&Aor>,
        flow: &Flow,
        request: &Request,
    ) -> Admission {
        if self.is_trusted(flow.remote.ip()) {
            return Admission::Known(self.asserted(accounts, request));
        }
        match claimed.and_then(|aor| Some((aor, accounts.get(aor)?))) {
            Some((aor, account)) => self.check(aor, account, request, Asks::Proxy),
            None => Admission::Known(Identity::Stranger),
        }
    }

    /// The account that a trusted peer names in P-Asserted-Identity (RFC 3325).
    fn asserted(&self, accounts: &Accounts, request: &Request) -> Identity {
        let asserted = request.headers.list::<PAssertedIdentity>().unwrap_or_default();
        let account = asserted.iter().find_map(|identity| {
            let Uri::Sip(sip) = &identity.uri else { return None };
            let aor = Aor::new(&identity.uri.user()?, &sip.host.to_string());
            accounts.contains(&aor).then_some(aor)
        });
        account.map_or(Identity::Trusted, |aor| Identity::Account(aor.uri()))
    }

    fn check(&mut self, aor: &Aor, account: &Account, request: &Request, asks: Asks) -> Admission {
        let now = Instant::now();
        let Some(credentials) = credentials(request, asks, &aor.domain) else {
            return self.challenge(now, aor, asks, request, false);
        };
        if credentials.algorithm.is_some_and(|algorithm| !self.algorithms.contains(&algorithm)) {
            return self.challenge(now, aor, asks, request, true);
        }
        let ha1 = match credentials.algorithm {
            Some(Algorithm::Md5) => account.ha1_md5.as_deref(),
            Some(Algorithm::Sha256) => account.ha1_sha256.as_deref(),
            None => None,
        };
        let (Some(ha1), true) = (ha1, credentials.username.as_str() == aor.user) else {
            return refuse();
        };
        let Some(challenger) = self.challengers.get(&aor.domain) else { return refuse() };
        match challenger.verify(now, &request.method, &request.uri, &credentials, ha1) {
            Verdict::Accepted => {
                let nc = credentials.qop_auth.as_ref().map_or(0, |qop| qop.nc);
                if self.counts.accept(&credentials.nonce, nc) {
                    Admission::Known(Identity::Account(aor.uri()))
                } else {
                    self.challenge(now, aor, asks, request, true)
                }
            }
            Verdict::Stale => self.challenge(now, aor, asks, request, true),
            Verdict::Refused => refuse(),
        }
    }

    fn challenge(
        &mut self,
        now: Instant,
        aor: &Aor,
        asks: Asks,
        request: &Request,
        stale: bool,
    ) -> Admission {
        let Some(challenger) = self.challengers.get_mut(&aor.domain) else { return refuse() };
        let (status, name) = match asks {
            Asks::Server => (401, HeaderName::WwwAuthenticate),
            Asks::Proxy => (407, HeaderName::ProxyAuthenticate),
        };
        let agent = request.headers.text(&HeaderName::UserAgent);
        let md5_alone = self.algorithms.contains(&Algorithm::Md5) && agent.is_some_and(knows_md5_alone);
        let offered = if md5_alone { &[Algorithm::Md5][..] } else { &self.algorithms };
        let challenges = challenger.challenges(now, stale).into_iter();
        let challenges = challenges.filter(|c| c.algorithm.is_some_and(|own| offered.contains(&own)));
        let reply = challenges.fold(Reply::new(status), |reply, challenge| {
            reply.header(name.clone(), format!("Digest {challenge}"))
        });
        Admission::Challenge(reply)
    }
}

/// Phones that give up when any challenge is not MD5, instead of passing over it (RFC 8760 section 2.4): baresip
/// before 3.11. Whoever pretends to be one gains nothing: it is offered MD5 only where all are.
fn knows_md5_alone(user_agent: &str) -> bool {
    let Some(version) = user_agent.strip_prefix("baresip v") else { return false };
    let mut numbers = version.split(|c: char| !c.is_ascii_digit()).map(str::parse::<u32>);
    matches!((numbers.next(), numbers.next()), (Some(Ok(major)), Some(Ok(minor))) if (major, minor) < (3, 11))
}

fn refuse() -> Admission {
    Admission::Refuse(Reply::new(403))
}

/// The request's digest credentials for a realm.
fn credentials(request: &Request, asks: Asks, realm: &str) -> Option<Credentials> {
    let of_realm = |credentials: &&Credentials| credentials.realm.as_str() == realm;
    match asks {
        Asks::Server => {
            let all = request.headers.list::<Authorization>().ok()?;
            all.iter().filter_map(Authorization::digest).find(of_realm).cloned()
        }
        Asks::Proxy => {
            let all = request.headers.list::<ProxyAuthorization>().ok()?;
            all.iter().filter_map(ProxyAuthorization::digest).find(of_realm).cloned()
        }
    }
}

#[cfg(test)]
mod tests;
