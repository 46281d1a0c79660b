//! The transaction layer: it keeps the machines with their bytes and addresses, numbers and matches them, and is
//! the only one that writes to the output.

mod clients;
mod long;
mod numbers;
mod servers;

use std::{
    collections::{BTreeSet, HashSet, VecDeque},
    fmt::Write,
    hash::{BuildHasher, RandomState},
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;
use smallvec::SmallVec;

pub(crate) use clients::{ClientKey, Owner, Purpose};
pub(crate) use numbers::Numbered;
pub(crate) use servers::ServerOwner;

use self::{clients::ClientTransaction, servers::ServerTransaction};
use super::Timing;
use crate::{
    HeaderName, Headers, Request, Response, Text,
    endpoint::{Config, Event, LegEvent, LegId, Output},
    flow::{Advertised, Flow, Transport},
    timer::{Deadlines, Timers},
};

/// The room for output that is kept while there is none.
const MAX_IDLE_OUTPUT: usize = 1024;

/// Stale deadlines that are not worth a search; more than a second's calls leave behind.
const MAX_STALE: usize = 65_536;

/// What a deadline belongs to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Key {
    /// A server transaction.
    Server(u64),
    /// A client transaction.
    Client(ClientKey),
    /// A leg.
    Leg(LegId),
}

/// What the layer tells those above it.
#[derive(Debug)]
pub(crate) enum Upcall {
    /// A response to a request of ours; provisional only for INVITE, and 100 only for one that calls.
    Response {
        /// The transaction.
        key: ClientKey,
        /// Whose request it was.
        owner: Owner,
        /// Where the request went.
        flow: Flow,
        /// The response.
        response: Box<Response>,
        /// With a refusal: the request as it was sent, so that it can be tried again.
        request: Option<Box<Request>>,
    },
    /// There will be no response.
    Failed {
        /// Whose request it was.
        owner: Owner,
    },
    /// Nobody answered a BYE.
    Unanswered {
        /// The server transaction.
        id: u64,
        /// The leg.
        leg: LegId,
    },
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Layer {
    pub(crate) config: Config,
    pub(crate) output: VecDeque<Output>,
    /// The values of our Allow and Supported headers.
    pub(crate) allow: Text,
    pub(crate) supported: Text,
    pub(crate) advertised: Advertised,
    /// Where we listen for TCP.
    pub(crate) listeners: Vec<SocketAddr>,
    /// Peers that refused TCP, as far as they are remembered.
    datagrams_only: HashSet<SocketAddr>,
    rng: ChaCha12Rng,
    deadlines: Deadlines<Key>,
    servers: Numbered<u64, ServerTransaction>,
    /// Server transactions by what RFC 3261 section 17.2.3 matches, hashed with secret keys.
    server_keys: Numbered<u128, u64>,
    /// Requests that open something, by what RFC 3261 section 8.2.2.2 compares.
    merges: Numbered<u128, u64>,
    clients: Numbered<ClientKey, ClientTransaction>,
    /// Which transactions wait on a flow, so that one that breaks fails them without a search.
    waiting: BTreeSet<(Flow, ClientKey)>,
    /// The streams that are open.
    open: HashSet<Flow>,
    next_server: u64,
    hashers: [RandomState; 2],
}

impl Layer {
    pub(crate) fn new(config: Config, seed: [u8; 32]) -> Self {
        let allow = config.allow.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let supported = config.supported.join(", ");
        Self {
            config,
            output: VecDeque::new(),
            allow: Text::from(allow),
            supported: Text::from(supported),
            advertised: Advertised::default(),
            listeners: Vec::new(),
            datagrams_only: HashSet::new(),
            rng: ChaCha12Rng::from_seed(seed),
            deadlines: Deadlines::new(),
            servers: Numbered::default(),
            server_keys: Numbered::default(),
            merges: Numbered::default(),
            clients: Numbered::default(),
            waiting: BTreeSet::new(),
            open: HashSet::new(),
            next_server: 0,
            hashers: [RandomState::new(), RandomState::new()],
        }
    }

    /// `host:port` as others shall reach us.
    fn sent_by(&self, flow: &Flow, out: &mut String) {
        match self.advertised.on(flow) {
            Some(sent_by) => out.push_str(&sent_by),
            None => {
                let _ = write!(out, "{}", flow.local);
            }
        }
    }

    /// The value of our Contact header; of the scheme `sips` in what a `sips` URI began (RFC 5630 section 4).
    pub(crate) fn contact(&self, flow: &Flow, user: Option<&str>, secure: bool) -> Text {
        let mut out = String::with_capacity(64);
        out.push_str(if secure { "<sips:" } else { "<sip:" });
        if let Some(user) = user.filter(|user| !user.is_empty()) {
            out.push_str(user);
            out.push('@');
        }
        self.sent_by(flow, &mut out);
        // RFC 3261 section 26.2.2: with `sips`, `tls` goes without saying.
        let implied = secure && flow.transport == Transport::Tls;
        if let Some(transport) = flow.transport.uri_parameter().filter(|_| !implied) {
            out.push_str(";transport=");
            out.push_str(transport);
        }
        out.push('>');
        Text::from(out)
    }

    pub(crate) fn random(&mut self) -> u64 {
        self.rng.next_u64()
    }

    /// A Call-ID of our own.
    pub(crate) fn call_id(&mut self) -> Text {
        Text::from(format!("{:016x}{:016x}", self.random(), self.random()))
    }

    /// Our Supported header but for one option.
    pub(crate) fn supported_without(&self, option: &str) -> Text {
        let rest: Vec<&str> =
            self.config.supported.iter().map(String::as_str).filter(|other| *other != option).collect();
        Text::from(rest.join(", "))
    }

    /// A duration of at most `limit`, in steps of 10 ms.
    pub(crate) fn random_delay(&mut self, limit: Duration) -> Duration {
        let steps = u64::try_from(limit.as_millis() / 10).unwrap_or(u64::MAX).saturating_add(1);
        Duration::from_millis(self.random() % steps * 10)
    }

    pub(crate) fn timing(&self, flow: &Flow) -> Timing {
        Timing {
            t1: self.config.t1,
            t2: self.config.t2,
            t4: self.config.t4,
            reliable: flow.transport.is_reliable(),
        }
    }

    /// 64*T1.
    pub(crate) fn patience(&self) -> Duration {
        self.config.t1 * 64
    }

    pub(crate) fn transmit(&mut self, flow: &Flow, bytes: Bytes) {
        let flow = self.live(flow);
        self.output.push_back(Output::Transmit { flow, bytes });
    }

    /// A stream is open.
    pub(crate) fn connected(&mut self, flow: &Flow) {
        self.open.insert(flow.clone());
    }

    /// The way that a message takes now: by a new connection where the flow's own is closed (RFC 3261 section
    /// 18.2.2).
    fn live(&self, flow: &Flow) -> Flow {
        if !flow.transport.is_reliable() || self.open.contains(flow) {
            return flow.clone();
        }
        flow.again().unwrap_or_else(|| flow.clone())
    }

    pub(crate) fn event(&mut self, event: Event) {
        self.output.push_back(Output::Event(event));
    }

    pub(crate) fn leg_event(&mut self, leg: LegId, event: LegEvent) {
        self.event(Event::Leg { leg, event });
    }

    pub(crate) fn note(&mut self, key: Key, timers: &mut Timers) {
        self.deadlines.note(key, timers);
    }

    pub(crate) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.next()
    }

    pub(crate) fn pop_deadline(&mut self, now: Instant) -> Option<(Instant, Key)> {
        self.deadlines.pop(now)
    }

    /// Drops stale deadlines when they are many: a leg leaves that of its session timer behind, half an hour
    /// away. `legs` is how many there are, `leg` their timers.
    pub(crate) fn tidy<'a>(&mut self, legs: usize, leg: impl Fn(LegId) -> Option<&'a Timers>) {
        let live = self.servers.len() + self.clients.len() + legs;
        let stale = self.deadlines.len().saturating_sub(live);
        if stale == 0 || (live > 0 && stale <= live + MAX_STALE) {
            return;
        }
        // What a burst needed is not kept for ever.
        for map in [&mut self.server_keys, &mut self.merges] {
            map.shrink_to(map.len() * 2);
        }
        self.servers.shrink_to(self.servers.len() * 2);
        self.clients.shrink_to(self.clients.len() * 2);
        let (servers, clients) = (&self.servers, &self.clients);
        self.deadlines.retain(|at, key| {
            let timers = match key {
                Key::Server(id) => servers.get(&id).map(ServerTransaction::timers),
                Key::Client(key) => clients.get(&key).map(ClientTransaction::timers),
                Key::Leg(id) => leg(id),
            };
            timers.is_some_and(|timers| timers.is_queued_at(at))
        });
    }

    pub(crate) fn server_count(&self) -> usize {
        self.servers.len()
    }

    pub(crate) fn client_count(&self) -> usize {
        self.clients.len()
    }

    /// The next message to be sent, or event.
    pub(crate) fn poll_output(&mut self) -> Option<Output> {
        let output = self.output.pop_front();
        if self.output.is_empty() && self.output.capacity() > MAX_IDLE_OUTPUT {
            // What a burst needed is not kept for ever.
            self.output = VecDeque::new();
        }
        output
    }

    fn hash(&self, parts: &[&[u8]]) -> u128 {
        let mut whole = SmallVec::<[u8; 256]>::new();
        for part in parts {
            // The lengths keep what is before a part's end apart from what is behind.
            whole.extend_from_slice(&part.len().to_ne_bytes());
            whole.extend_from_slice(part);
        }
        let [a, b] = &self.hashers;
        u128::from(a.hash_one(&*whole)) << 64 | u128::from(b.hash_one(&*whole))
    }

    /// Says what we are, in User-Agent or Server.
    pub(crate) fn name(&self, headers: &mut Headers, is_request: bool) {
        if !self.config.user_agent.is_empty() {
            let name = if is_request { HeaderName::UserAgent } else { HeaderName::Server };
            headers.push(name, Text::from(self.config.user_agent.as_str()));
        }
    }
}
