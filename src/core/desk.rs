//! The desk: decides on every request that begins something. Quick, and never waits: it sits in the signalling
//! task.
//!
//! The order for an INVITE: limits; identity; the application that a trusted peer names; routes without `on`;
//! the location table. What follows, follows in the call's own task ([`crate::call`]).

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    sync::Arc,
    time::{Instant, SystemTime},
};

use sems_app::{CallId, CallInfo, Identity, Params};
use sems_sip::{
    Flow, HeaderName, Method, Request, Transport, Uri,
    endpoint::{LegEvent, LegId, Reply},
};
use tokio::sync::mpsc;

use crate::{
    accounts::Accounts,
    call::{self, Invitation, Plan},
    config::{Cidr, Config},
    identity::{Admission, Gate},
    limits::Rate,
    location::Aor,
    registrar,
    routing::{Query, Router, Target, asserted_application},
    shared::Shared,
    sources::{Offence, Sources},
    transport::{Listener, LocalAddresses},
};

/// Retry-After of a 503, in seconds.
const RETRY_AFTER: &str = "10";

/// How a call is refused.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// By a transaction, which absorbs what the caller sends again: he would be answered otherwise then.
    Kept(Reply),
    /// Once, and nothing is kept.
    Once(Reply),
}

/// Decides on requests outside of dialogs.
pub(crate) struct Desk {
    shared: Arc<Shared>,
    config: Arc<Config>,
    accounts: Accounts,
    router: Arc<Router>,
    gate: Gate,
    rate: Rate,
    sources: Sources,
    listeners: Vec<Listener>,
    local: LocalAddresses,
    /// The accounts that registered over each WebSocket.
    sockets: HashMap<Flow, Vec<Aor>>,
}

impl Desk {
    pub(crate) fn new(
        shared: Arc<Shared>,
        config: Arc<Config>,
        accounts: Accounts,
        gate: Gate,
        listeners: Vec<Listener>,
    ) -> Self {
        let router = Arc::new(Router::new(config.routes.clone()));
        let now = Instant::now();
        let rate = Rate::new(now, config.calls.per_second);
        let mut sources = Sources::new(now, &config.abuse, &known(&config), shared.bans.clone());
        for (_, binding, _) in shared.location.all(SystemTime::now()) {
            sources.proved(now, binding.flow.remote.ip());
        }
        let local = LocalAddresses::default();
        let sockets = HashMap::new();
        Self { shared, config, accounts, router, gate, rate, sources, listeners, local, sockets }
    }

    /// Whether a message that came on this flow is looked at.
    pub(crate) fn hears(&mut self, now: Instant, flow: &Flow) -> bool {
        self.sources.admit(now, flow.remote.ip())
    }

    /// Takes over new routes, accounts, trusted peers and limits (SIGHUP).
    pub(crate) fn reload(&mut self, config: Arc<Config>, accounts: Accounts) {
        self.router = Arc::new(Router::new(config.routes.clone()));
        self.gate.reload(Instant::now(), &config.server.domains, &config.sip);
        self.sources.reload(&config.abuse, &known(&config));
        if config.calls.per_second != self.config.calls.per_second {
            self.rate = Rate::new(Instant::now(), config.calls.per_second);
        }
        self.accounts = accounts;
        self.config = config;
    }

    /// The flow of an outgoing stream: its local side is our listener of that family, where there is one.
    pub(crate) fn listener_towards(&mut self, transport: Transport, remote: SocketAddr) -> Flow {
        let listener = self
            .listeners
            .iter()
            .find(|l| l.transport == transport && l.address.is_ipv6() == remote.is_ipv6())
            .map(|listener| listener.address);
        let any = |ip: IpAddr| SocketAddr::new(ip, transport.default_port());
        let bound = match (listener, remote) {
            (Some(address), _) => address,
            // Nobody can connect to us so, but may answer on the connection that we open.
            (None, SocketAddr::V4(_)) => any(Ipv4Addr::UNSPECIFIED.into()),
            (None, SocketAddr::V6(_)) => any(Ipv6Addr::UNSPECIFIED.into()),
        };
        let local = self.local.towards(bound, remote.ip());
        Flow::to_listener(transport, local, remote)
    }

    /// A request that begins no call.
    pub(crate) fn request(&mut self, flow: &Flow, request: &Request) -> Reply {
        match request.method {
            Method::Register => self.register(flow, request),
            Method::Options => Reply::new(200).header(HeaderName::Accept, "application/sdp"),
            // A NOTIFY outside of a dialog belongs to no subscription of ours (RFC 6665 section 4.1.3).
            Method::Notify => Reply::new(481),
            _ => Reply::new(405),
        }
    }

    fn register(&mut self, flow: &Flow, request: &Request) -> Reply {
        let Ok(to) = request.headers.to() else { return Reply::new(400) };
        let Some(aor) = self.aor_of(&to.uri) else {
            self.offended(flow, request, Offence::Account);
            return Reply::new(404).reason("Domain not served here");
        };
        let now = SystemTime::now();
        match self.gate.owner(&self.accounts, &aor, request) {
            Admission::Known(_) => {
                self.shared.counters.registrations.increment();
                self.sources.proved(Instant::now(), flow.remote.ip());
                let settings = &self.config.registrar;
                let reply = registrar::register(settings, &self.shared.location, now, &aor, flow, request);
                if matches!(flow.transport, Transport::Ws | Transport::Wss) && reply.status == 200 {
                    let bound = self.sockets.entry(flow.clone()).or_default();
                    if !bound.contains(&aor) {
                        bound.push(aor);
                    }
                }
                reply
            }
            Admission::Challenge(reply) | Admission::Refuse(reply) => {
                self.count_failure(&reply, flow, request, &aor);
                reply
            }
        }
    }

    /// A connection is closed: whom it alone led to is not registered any more.
    pub(crate) fn flow_closed(&mut self, flow: &Flow) {
        for aor in self.sockets.remove(flow).into_iter().flatten() {
            self.shared.location.forget_flow(&aor, flow);
        }
    }

    fn count_failure(&mut self, reply: &Reply, flow: &Flow, request: &Request, aor: &Aor) {
        match reply.status {
            403 => {
                self.shared.counters.authentication_failures.increment();
                tracing::warn!(account = %aor, source = %flow.remote, "wrong credentials");
                self.offended(flow, request, Offence::Credentials);
            }
            404 => self.offended(flow, request, Offence::Account),
            _ => {}
        }
    }

    fn offended(&mut self, flow: &Flow, request: &Request, offence: Offence) {
        let mut hasher = DefaultHasher::new();
        // All of it: what differs in anything is another attempt, whatever its Call-ID.
        request.uri.to_string().hash(&mut hasher);
        request.headers.iter().for_each(|field| field.value.hash(&mut hasher));
        self.sources.offended(Instant::now(), flow.remote.ip(), hasher.finish(), offence);
    }

    /// A new INVITE: a task of its own, and the name of the call, or a refusal.
    pub(crate) fn invite(
        &mut self,
        leg: LegId,
        flow: Flow,
        request: Box<Request>,
        events: mpsc::Receiver<LegEvent>,
    ) -> Result<CallId, Refusal> {
        let mut lasting = false;
        let invitation = self
            .admit(leg, flow, request, events, &mut lasting)
            .map_err(|reply| if lasting { Refusal::Kept(reply) } else { Refusal::Once(reply) })?;
        let id = invitation.info.id.clone();
        self.shared.counters.calls.increment();
        tokio::spawn(call::serve(self.shared.clone(), invitation));
        Ok(id)
    }

    /// `lasting` is set where the same request might be answered otherwise a moment later.
    fn admit(
        &mut self,
        leg: LegId,
        flow: Flow,
        request: Box<Request>,
        events: mpsc::Receiver<LegEvent>,
        lasting: &mut bool,
    ) -> Result<Invitation, Reply> {
        let share = self.sources.share(flow.remote.ip(), self.config.calls.max_per_source);
        let seat = call::Seat::take(&self.shared, self.config.calls.max, share);
        let Some(seat) = seat.filter(|_| self.rate.admit(Instant::now())) else {
            self.shared.counters.calls_refused_busy.increment();
            *lasting = true;
            return Err(Reply::new(503).header(HeaderName::RetryAfter, RETRY_AFTER));
        };
        is_servable(&flow, &request)?;
        let request_uri = app_uri(&request.uri).ok_or_else(|| Reply::new(416))?;
        let from = request.headers.from().map_err(|_| Reply::new(400))?;
        let from_uri = app_uri(&from.uri).ok_or_else(|| Reply::new(400).reason("Unreadable From"))?;
        let claimed = self.aor_of(&from.uri);
        let now = SystemTime::now();
        let identity = match self.gate.caller(&self.accounts, claimed.as_ref(), &flow, &request) {
            Admission::Known(identity) => identity,
            Admission::Challenge(reply) => return Err(reply),
            Admission::Refuse(reply) => {
                if let Some(aor) = &claimed {
                    self.count_failure(&reply, &flow, &request, aor);
                }
                return Err(reply);
            }
        };
        if identity.account().is_some() {
            // Its credentials are good for one request.
            *lasting = true;
            self.sources.proved(Instant::now(), flow.remote.ip());
        }
        let trusted = self.gate.is_trusted(flow.remote.ip());
        let callee = self
            .callee(&request.uri, trusted)
            .inspect_err(|_| self.offended(&flow, &request, Offence::Relay))?;
        let plan = self
            .plan(&request, &request_uri, &from_uri, callee.as_ref(), &flow, trusted)
            .inspect_err(|_| self.offended(&flow, &request, Offence::Number))?;
        if matches!(plan, Plan::Relay(_)) && identity == Identity::Stranger {
            self.offended(&flow, &request, Offence::Relay);
            return Err(Reply::new(403).reason("Relaying is for accounts"));
        }
        let mailbox = self.mailbox(&request, callee.as_ref(), trusted);
        let to =
            request.headers.to().ok().and_then(|to| app_uri(&to.uri)).unwrap_or_else(|| request_uri.clone());
        let info = CallInfo {
            id: CallId(format!("{:016x}", rand::random::<u64>()).into()),
            request_uri,
            to,
            from: from_uri,
            from_name: from.name.as_ref().map(ToString::to_string),
            identity,
            mailbox: mailbox.map(|aor| aor.uri()),
            unavailable: None,
            params: Params::default(),
            headers: headers(&request),
            received: now,
        };
        let router = self.router.clone();
        Ok(Invitation { seat, leg, flow, request, events, info, plan, router, callee })
    }

    /// The account or application address that a request URI means; none where it has no user.
    fn callee(&mut self, uri: &Uri, trusted: bool) -> Result<Option<Aor>, Reply> {
        let Uri::Sip(sip) = uri else { return Ok(None) };
        let user = uri.user().unwrap_or_default();
        let host = sip.host.to_string();
        if self.is_local(&host) || trusted {
            // A proxy in front of us serves its own domains; an address of ours is the first domain.
            let domain = self.domain_of(&host);
            return Ok((!user.is_empty()).then(|| Aor::new(&user, &domain)));
        }
        Err(Reply::new(403).reason("Relaying to other domains is not allowed"))
    }

    fn plan(
        &self,
        request: &Request,
        request_uri: &sems_app::Uri,
        from: &sems_app::Uri,
        callee: Option<&Aor>,
        flow: &Flow,
        trusted: bool,
    ) -> Result<Plan, Reply> {
        let named = request.headers.text(&HeaderName::from("P-App-Name"));
        if let Some(name) = asserted_application(trusted, request_uri, named) {
            return Ok(Plan::Application { name: name.to_owned(), params: Params::default() });
        }
        let now = SystemTime::now();
        let query = Query {
            user: request_uri.user().unwrap_or_default(),
            domain: callee.map_or(request_uri.host(), |aor| &aor.domain),
            from,
            method: request.method.as_str(),
            source: flow.remote.ip(),
            registered: callee.is_some_and(|aor| self.shared.location.is_registered(aor, now)),
            on: None,
        };
        if let Some(route) = self.router.find(&query) {
            return Ok(match &route.target {
                Target::App { name, params } => {
                    Plan::Application { name: name.clone(), params: params.clone() }
                }
                Target::Relay { to } => Plan::Relay(to.clone()),
            });
        }
        match callee {
            Some(aor) if self.accounts.contains(aor) => Ok(Plan::Account(aor.clone())),
            _ => Err(Reply::new(404)),
        }
    }

    /// Whose mailbox a call is for: that of the account in the request URI; where that is no account but the number
    /// of a service, that of the party whom a trusted proxy diverted from.
    fn mailbox(&self, request: &Request, callee: Option<&Aor>, trusted: bool) -> Option<Aor> {
        let account = callee.filter(|aor| self.accounts.contains(aor)).cloned();
        let diverted = || trusted.then(|| self.diverted(request)).flatten();
        account.or_else(diverted).or_else(|| callee.cloned())
    }

    /// Whose mailbox a trusted proxy means: the first diverted-from party (RFC 5806, RFC 7044).
    fn diverted(&self, request: &Request) -> Option<Aor> {
        use sems_sip::header::{Diversion, HistoryInfo};
        let diversion = request.headers.list::<Diversion>().ok()?.last().map(|d| d.uri.clone());
        let history = || request.headers.list::<HistoryInfo>().ok()?.first().map(|h| h.uri.clone());
        let uri = diversion.or_else(history)?;
        let user = uri.user()?;
        let host = match &uri {
            Uri::Sip(sip) => sip.host.to_string(),
            _ => String::new(),
        };
        Some(Aor::new(&user, &self.domain_of(&host)))
    }

    /// The address of record of a URI of ours.
    fn aor_of(&mut self, uri: &Uri) -> Option<Aor> {
        let Uri::Sip(sip) = uri else { return None };
        let host = sip.host.to_string();
        if !self.is_local(&host) {
            return None;
        }
        let user = uri.user()?;
        Some(Aor::new(&user, &self.domain_of(&host)))
    }

    fn is_local(&mut self, host: &str) -> bool {
        let host = host.to_ascii_lowercase();
        self.config.server.domains.contains(&host) || self.is_own_address(&host)
    }

    /// Whether this is an address we listen on.
    fn is_own_address(&mut self, host: &str) -> bool {
        let Ok(ip) = host.trim_matches(['[', ']']).parse::<IpAddr>() else { return false };
        if self.shared.advertise.names(ip) {
            return true;
        }
        let listeners = self.listeners.clone();
        listeners.iter().filter(|l| l.address.is_ipv6() == ip.is_ipv6()).any(|listener| {
            // The way to an address of our own leads from that address.
            listener.address.ip() == ip
                || (listener.address.ip().is_unspecified()
                    && (ip.is_loopback() || self.local.towards(listener.address, ip).ip() == ip))
        })
    }

    /// The domain itself where it is served, else the first one.
    fn domain_of(&self, host: &str) -> String {
        let host = host.to_ascii_lowercase();
        let domains = &self.config.server.domains;
        domains.iter().find(|domain| **domain == host).or(domains.first()).cloned().unwrap_or(host)
    }
}

/// Whether the body is one that we read, and the way one that the request URI wants.
fn is_servable(flow: &Flow, request: &Request) -> Result<(), Reply> {
    if !request.body.is_empty() && !is_sdp(request) {
        return Err(Reply::new(415).header(HeaderName::Accept, "application/sdp"));
    }
    if request.uri.is_secure() && !matches!(flow.transport, Transport::Tls | Transport::Wss) {
        return Err(Reply::new(403).reason("SIPS Requires TLS"));
    }
    Ok(())
}

/// The trusted peers, and the servers that calls are passed on to, as far as routes name their addresses.
fn known(config: &Config) -> Vec<Cidr> {
    let relays = config.routes.iter().filter_map(|route| match &route.target {
        Target::Relay { to } => to.host().trim_matches(['[', ']']).parse().ok(),
        Target::App { .. } => None,
    });
    config.sip.trusted.iter().copied().chain(relays).collect()
}

fn is_sdp(request: &Request) -> bool {
    request.headers.text(&HeaderName::ContentType).is_some_and(|kind| {
        kind.split(';').next().is_some_and(|k| k.trim().eq_ignore_ascii_case("application/sdp"))
    })
}

/// A URI as applications see it; none for schemes they do not know.
pub(crate) fn app_uri(uri: &Uri) -> Option<sems_app::Uri> {
    uri.to_string().parse().ok()
}

fn headers(request: &Request) -> Vec<(String, String)> {
    // Credentials are nobody's business beyond the gate.
    let secret = [HeaderName::Authorization, HeaderName::ProxyAuthorization];
    request
        .headers
        .iter()
        .filter(|field| !secret.contains(field.name))
        .map(|field| (field.name.to_string(), String::from_utf8_lossy(field.value).into_owned()))
        .collect()
}
