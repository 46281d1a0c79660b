//! Server transactions.

use std::time::{Duration, Instant};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    super::{ServerAction, ServerInput, ServerMachine, Step, server::Server, server_invite::ServerInvite},
    Key, Layer, Upcall,
};
use crate::{
    HeaderName, Headers, Host, Method, Request, Response, StatusCode,
    endpoint::LegId,
    flow::Flow,
    header::{MAGIC_COOKIE, Via},
    timer::{Timer, Timers},
};

/// What is needed of a request for its responses.
#[derive(Debug)]
struct Head {
    headers: Headers,
    /// To has a tag already.
    tagged: bool,
    /// It asks what we are able to do.
    asks: bool,
}

impl Head {
    fn of(request: &Request) -> Self {
        Self {
            headers: request.headers.head(),
            tagged: request.headers.to().is_ok_and(|to| to.tag().is_some()),
            asks: request.method == Method::Options,
        }
    }
}

/// Who answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerOwner {
    /// The application.
    Application,
    /// A leg, by its procedures.
    Leg(LegId),
    /// The application; then the leg is gone.
    Bye(LegId),
}

#[derive(Debug)]
pub(super) struct ServerTransaction {
    machine: ServerMachine,
    timers: Timers,
    /// Where responses go.
    flow: Flow,
    key: u128,
    merge: Option<u128>,
    /// What every response repeats of the request; none after the final one.
    head: Option<Box<Head>>,
    /// The last response.
    response: Bytes,
    owner: ServerOwner,
}

impl ServerTransaction {
    pub(super) fn timers(&self) -> &Timers {
        &self.timers
    }

    fn is_terminated(&self) -> bool {
        self.machine.is_terminated()
    }
}

impl Layer {
    /// What a request is matched by: RFC 3261 section 17.2.3. ACK and CANCEL match as their INVITE.
    pub(crate) fn server_key(&self, request: &Request, via: &Via, method: &Method) -> u128 {
        let method = method.as_str().as_bytes();
        let mut host = match &via.host {
            Host::Name(name) => SmallVec::<[u8; 64]>::from_slice(name.as_bytes()),
            Host::V4(address) => SmallVec::from_slice(&address.octets()),
            Host::V6(address) => SmallVec::from_slice(&address.octets()),
        };
        if via.host.ip().is_none() {
            host.make_ascii_lowercase();
        }
        let port = via.port.unwrap_or(0).to_be_bytes();
        match via
            .branch()
            .filter(|branch| branch.len() > MAGIC_COOKIE.len() && branch.starts_with(MAGIC_COOKIE))
        {
            Some(branch) => {
                let mut branch = SmallVec::<[u8; 64]>::from_slice(branch.as_bytes());
                branch.make_ascii_lowercase();
                self.hash(&[&branch, &host, &port, method])
            }
            // A client of RFC 2543.
            None => {
                let call_id = request.headers.get(&HeaderName::CallId).unwrap_or_default();
                let from = request.headers.from().ok();
                let tag = from.as_ref().and_then(|from| from.tag()).unwrap_or_default();
                let number = request.headers.cseq().map_or(0, |cseq| cseq.number).to_be_bytes();
                let branch = via.branch().unwrap_or_default();
                self.hash(&[branch.as_bytes(), &host, &port, call_id, tag.as_bytes(), &number, method])
            }
        }
    }

    pub(crate) fn find_server(&self, key: u128) -> Option<u64> {
        self.server_keys.get(&key).copied()
    }

    /// A tag that is always the same for the same request, for answers nothing is kept of.
    pub(crate) fn stateless_tag(key: u128) -> String {
        crate::text::hex((key >> 64) as u64)
    }

    /// Whether this request came before by another way (RFC 3261 section 8.2.2.2), and what to remember if not.
    pub(crate) fn merge_key(&self, request: &Request) -> (u128, bool) {
        let from = request.headers.from().ok();
        let tag = from.as_ref().and_then(|from| from.tag()).unwrap_or_default();
        let call_id = request.headers.get(&HeaderName::CallId).unwrap_or_default();
        let cseq = request.headers.get(&HeaderName::CSeq).unwrap_or_default();
        let key = self.hash(&[b"merge", tag.as_bytes(), call_id, cseq]);
        (key, self.merges.contains_key(&key))
    }

    /// Opens a server transaction for a request that is new. An INVITE is answered 100 as soon as time is looked at:
    /// not before whoever decides at once has had the chance to refuse it.
    pub(crate) fn open_server(
        &mut self,
        now: Instant,
        request: &Request,
        flow: &Flow,
        key: u128,
        merge: Option<u128>,
        owner: ServerOwner,
    ) -> u64 {
        self.next_server += 1;
        let id = self.next_server;
        let mut timers = Timers::default();
        let machine = if request.method == Method::Invite {
            timers.set(Timer::Trying, now);
            ServerMachine::Invite(ServerInvite::Proceeding)
        } else {
            timers.set(Timer::Unanswered, now + self.unanswered_after(owner));
            ServerMachine::Other(Server::Trying)
        };
        self.note(Key::Server(id), &mut timers);
        let transaction = ServerTransaction {
            machine,
            timers,
            flow: flow.clone(),
            key,
            merge,
            head: Some(Box::new(Head::of(request))),
            response: Bytes::new(),
            owner,
        };
        self.servers.insert(id, transaction);
        self.server_keys.insert(key, id);
        if let Some(merge) = merge {
            self.merges.insert(merge, id);
        }
        id
    }

    fn unanswered_after(&self, owner: ServerOwner) -> Duration {
        match owner {
            ServerOwner::Bye(_) => self.config.bye_timeout,
            _ => self.patience(),
        }
    }

    pub(crate) fn server_owner(&self, id: u64) -> Option<ServerOwner> {
        self.servers.get(&id).map(|transaction| transaction.owner)
    }

    /// Where responses of this transaction go.
    pub(crate) fn server_flow(&self, id: u64) -> Option<&Flow> {
        self.servers.get(&id).map(|transaction| &transaction.flow)
    }

    /// The request came again.
    pub(crate) fn request_again(&mut self, now: Instant, id: u64) {
        let resend = self.step_server(now, id, ServerInput::Request);
        if resend && let Some(transaction) = self.servers.get(&id) {
            let (flow, bytes) = (transaction.flow.clone(), transaction.response.clone());
            if !bytes.is_empty() {
                self.transmit(&flow, bytes);
            }
        }
    }

    /// An ACK with the branch of an INVITE: whether it was for a refusal.
    pub(crate) fn acknowledged(&mut self, now: Instant, id: u64) -> bool {
        let accepted = matches!(
            self.servers.get(&id).map(|transaction| &transaction.machine),
            Some(ServerMachine::Invite(ServerInvite::Accepted))
        );
        if !accepted {
            self.step_server(now, id, ServerInput::Ack);
        }
        !accepted
    }

    /// A response to this transaction's request; none when it has been answered finally.
    pub(crate) fn response(&mut self, id: u64, status: u16, tag: Option<&str>) -> Option<Response> {
        let head = self.servers.get(&id)?.head.as_ref()?;
        let mut response = head.headers.response(StatusCode(status), tag.filter(|_| !head.tagged));
        let described = head.asks && status == 200;
        if status > 100 {
            self.name(&mut response.headers, false);
        }
        if described || status == 405 {
            // RFC 3261 sections 11.2 and 21.4.6.
            response.headers.push(HeaderName::Allow, self.allow.clone());
        }
        if described {
            response.headers.push(HeaderName::Supported, self.supported.clone());
        }
        Some(response)
    }

    /// Sends a response, and returns its bytes.
    pub(crate) fn respond(&mut self, now: Instant, id: u64, response: &Response) -> Option<Bytes> {
        if !self.step_server(now, id, ServerInput::Response(response.status)) {
            return None;
        }
        let bytes = response.to_bytes();
        let mut flow = None;
        if let Some(transaction) = self.servers.get_mut(&id) {
            transaction.response = bytes.clone();
            if response.status.is_final() {
                transaction.head = None;
            }
            if matches!(transaction.machine, ServerMachine::Invite(ServerInvite::Accepted)) {
                // The leg repeats it.
                transaction.response = Bytes::new();
            }
            flow = Some(transaction.flow.clone());
        }
        if let Some(flow) = flow {
            self.transmit(&flow, bytes.clone());
        }
        self.settle_server(id);
        Some(bytes)
    }

    /// The refusal of a request that nothing is kept of. Only for what is not ACK.
    pub(crate) fn refusal(&self, request: &Request, key: u128, status: u16) -> Response {
        let mut response = request.response(StatusCode(status), Some(&Self::stateless_tag(key)));
        self.name(&mut response.headers, false);
        response
    }

    /// Refuses a request of which nothing has been said yet, once, and forgets it: its retransmission is a new request
    /// and meets the same answer (RFC 3261 section 8.2.7). Whether that was possible.
    pub(crate) fn refuse_once(&mut self, id: u64, status: u16, fill: impl FnOnce(&mut Response)) -> bool {
        let Some(transaction) = self.servers.get(&id).filter(|transaction| transaction.response.is_empty())
        else {
            return false;
        };
        let (flow, tag) = (transaction.flow.clone(), Self::stateless_tag(transaction.key));
        let Some(mut response) = self.response(id, status, Some(&tag)) else { return false };
        fill(&mut response);
        self.transmit(&flow, response.to_bytes());
        self.forget_server(id);
        true
    }

    /// Does what is due in a server transaction.
    pub(crate) fn fire_server(&mut self, now: Instant, at: Instant, id: u64) -> Option<Upcall> {
        if !self.servers.get_mut(&id)?.timers.claim(at) {
            return None;
        }
        let mut upcall = None;
        while let Some(transaction) = self.servers.get_mut(&id)
            && let Some(timer) = transaction.timers.pop(now)
        {
            if timer == Timer::Unanswered
                && let ServerOwner::Bye(leg) = transaction.owner
            {
                upcall = Some(Upcall::Unanswered { id, leg });
            } else if timer == Timer::Trying {
                if let Some(trying) = self.response(id, 100, None) {
                    self.respond(now, id, &trying);
                }
            } else if self.step_server(now, id, ServerInput::Timer(timer))
                && let Some(transaction) = self.servers.get(&id)
            {
                let (flow, bytes) = (transaction.flow.clone(), transaction.response.clone());
                self.transmit(&flow, bytes);
            }
        }
        self.settle_server(id);
        upcall
    }

    /// One step of either machine: whether something is to be sent.
    fn step_server(&mut self, now: Instant, id: u64, input: ServerInput) -> bool {
        let Some(flow) = self.server_flow(id) else { return false };
        let timing = self.timing(flow);
        let Some(transaction) = self.servers.get_mut(&id) else { return false };
        let mut step = Step { now, timing, timers: &mut transaction.timers };
        let send = transaction.machine.step(&mut step, input) != ServerAction::Nothing;
        if !matches!(input, ServerInput::Response(_)) {
            self.settle_server(id);
        }
        send
    }

    /// Drops a transaction that is over, or notes its next deadline.
    fn settle_server(&mut self, id: u64) {
        let Some(transaction) = self.servers.get_mut(&id) else { return };
        if !transaction.is_terminated() {
            self.deadlines.note(Key::Server(id), &mut transaction.timers);
            return;
        }
        self.forget_server(id);
    }

    fn forget_server(&mut self, id: u64) {
        let Some(transaction) = self.servers.remove(&id) else { return };
        let (key, merge) = (transaction.key, transaction.merge);
        if self.server_keys.get(&key) == Some(&id) {
            self.server_keys.remove(&key);
        }
        if let Some(merge) = merge
            && self.merges.get(&merge) == Some(&id)
        {
            self.merges.remove(&merge);
        }
    }
}
