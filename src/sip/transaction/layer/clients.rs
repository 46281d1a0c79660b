//! Client transactions.

use std::{fmt::Write, time::Instant};

use bytes::Bytes;
use smallvec::SmallVec;

use super::{
    super::{ClientAction, ClientInput, ClientMachine, Step, client::Client, client_invite::ClientInvite},
    Key, Layer, Upcall,
    long::Datagram,
};
use crate::{
    HeaderName, Headers, Method, Request, Response, Text,
    endpoint::{ClientId, LegId},
    flow::Flow,
    header::{CSeq, MAGIC_COOKIE},
    timer::Timers,
};

/// The forks whose ACK is kept for retransmitted 2xx; beyond, each 2xx is treated as new.
const MAX_FORKS: usize = 16;

/// A client transaction: the number in its branch, and whether it is the CANCEL that shares it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct ClientKey {
    branch: u64,
    cancel: bool,
}

impl ClientKey {
    /// The least of all.
    pub(super) fn branch(self) -> u64 {
        self.branch
    }

    const FIRST: Self = Self { branch: 0, cancel: false };
}

/// Who waits for a response.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Owner {
    /// A leg.
    Leg(LegId, Purpose),
    /// The application.
    Application(ClientId),
    /// Nobody; a 2xx to such an INVITE is acknowledged and hung up.
    Nobody,
    /// A leg that hung up; a 2xx to its re-INVITE is acknowledged.
    Gone,
}

/// What a leg wanted with a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// The first INVITE.
    Invite,
    /// A re-INVITE.
    Modify,
    /// An UPDATE that refreshes the session.
    Refresh,
    /// A PRACK.
    Prack,
    /// A BYE.
    Bye,
    /// A request of the application's within the dialog, and how often it was sent again.
    Inside(ClientId, u8),
}

#[derive(Debug)]
enum Cancel {
    No,
    /// As soon as a provisional response came (RFC 3261 section 9.1).
    Wanted(Option<String>),
    Sent,
}

#[derive(Debug)]
pub(super) struct ClientTransaction {
    pub(super) machine: ClientMachine,
    pub(super) timers: Timers,
    pub(super) flow: Flow,
    /// What is sent again: the request, and after the refusal of an INVITE its ACK.
    pub(super) bytes: Bytes,
    owner: Owner,
    /// Kept for ACK and CANCEL, and for a second try with credentials.
    pub(super) request: Option<Box<Request>>,
    /// It went by TCP for its length alone.
    pub(super) datagram: Option<Box<Datagram>>,
    cancel: Cancel,
    /// The ACKs to 2xx, by the tag of the fork.
    acks: SmallVec<[(Text, Flow, Bytes); 1]>,
}

impl ClientTransaction {
    /// The first refusal makes the ACK that is sent for it and for its retransmissions.
    fn acknowledge_refusal(&mut self, action: ClientAction, response: &Response) {
        if action == ClientAction::AckAndDeliver {
            self.bytes =
                self.request.as_ref().map_or_else(Bytes::new, |request| refusal_ack(request, response));
        }
    }

    pub(super) fn timers(&self) -> &Timers {
        &self.timers
    }

    /// Whether nothing was heard of the peer yet.
    pub(super) fn is_unheard(&self) -> bool {
        matches!(
            self.machine,
            ClientMachine::Invite(ClientInvite::Calling { .. }) | ClientMachine::Other(Client::Trying { .. })
        )
    }

    fn is_terminated(&self) -> bool {
        self.machine.is_terminated()
    }
}

impl Layer {
    /// Sends a request in a transaction of its own. `keep` keeps it for a second try; an INVITE is kept anyway.
    pub(crate) fn send(
        &mut self,
        now: Instant,
        flow: &Flow,
        mut request: Request,
        owner: Owner,
        keep: bool,
    ) -> ClientKey {
        let branch = self.put_via(flow, &mut request);
        let key = ClientKey { branch, cancel: false };
        let keep = keep || request.method == Method::Invite;
        self.start(now, key, flow, request, owner, keep);
        key
    }

    /// Puts our Via on top, with a new branch, in place of any other.
    pub(crate) fn put_via(&mut self, flow: &Flow, request: &mut Request) -> u64 {
        let branch = self.random();
        self.set_via(flow, request, branch);
        branch
    }

    pub(super) fn set_via(&self, flow: &Flow, request: &mut Request, branch: u64) {
        let mut via = String::with_capacity(80);
        let _ = write!(via, "SIP/2.0/{} ", flow.transport);
        self.sent_by(flow, &mut via);
        let _ = write!(via, ";branch={MAGIC_COOKIE}{branch:016x};rport");
        request.headers.remove(&HeaderName::Via);
        request.headers.prepend(HeaderName::Via, via);
    }

    fn start(
        &mut self,
        now: Instant,
        key: ClientKey,
        flow: &Flow,
        mut request: Request,
        owner: Owner,
        keep: bool,
    ) {
        let (flow, bytes, datagram) = self.fit(&self.live(flow), key, &mut request);
        self.transmit(&flow, bytes.clone());
        let mut timers = Timers::default();
        let is_invite = request.method == Method::Invite;
        let machine = ClientMachine::begin(is_invite, now, self.timing(&flow), &mut timers);
        self.note(Key::Client(key), &mut timers);
        let transaction = ClientTransaction {
            machine,
            timers,
            flow: flow.clone(),
            bytes,
            owner,
            request: keep.then(|| Box::new(request)),
            datagram: datagram.map(Box::new),
            cancel: Cancel::No,
            acks: SmallVec::new(),
        };
        self.clients.insert(key, transaction);
        self.waiting.insert((flow, key));
    }

    /// Takes a response (RFC 3261 section 17.1.3). Those that match nothing are dropped.
    pub(crate) fn receive_response(&mut self, now: Instant, response: Response) -> Option<Upcall> {
        let via = response.headers.top_via().ok()?;
        let digits = via.branch()?.strip_prefix(MAGIC_COOKIE)?;
        let branch = u64::from_str_radix(digits, 16).ok()?;
        let method = response.headers.cseq().ok()?.method.clone();
        let key = ClientKey { branch, cancel: method == Method::Cancel };
        let timing = self.timing(&self.clients.get(&key)?.flow);
        let transaction = self.clients.get_mut(&key)?;
        let mut step = Step { now, timing, timers: &mut transaction.timers };
        if matches!(transaction.machine, ClientMachine::Invite(_)) != (method == Method::Invite) {
            return None;
        }
        let action = transaction.machine.step(&mut step, ClientInput::Response(response.status));
        transaction.acknowledge_refusal(action, &response);
        if matches!(action, ClientAction::Ack | ClientAction::AckAndDeliver) {
            let (flow, bytes) = (transaction.flow.clone(), transaction.bytes.clone());
            self.transmit(&flow, bytes);
        }
        let deliver = matches!(action, ClientAction::Deliver | ClientAction::AckAndDeliver);
        let upcall = if deliver { self.deliver(now, key, response) } else { None };
        self.settle_client(key);
        upcall
    }

    fn deliver(&mut self, now: Instant, key: ClientKey, response: Response) -> Option<Upcall> {
        if response.status.is_provisional() {
            self.cancel_if_wanted(now, key);
        }
        let transaction = self.clients.get_mut(&key)?;
        if response.status.code() == 100 && !matches!(transaction.owner, Owner::Leg(_, Purpose::Invite)) {
            return None;
        }
        let is_invite = matches!(transaction.machine, ClientMachine::Invite(_));
        if is_invite && response.status.is_success() {
            transaction.request = None;
            transaction.bytes = Bytes::new();
            let tag = response.headers.to().ok().and_then(|to| to.tag().map(Text::from)).unwrap_or_default();
            if let Some((_, flow, bytes)) = transaction.acks.iter().find(|(known, ..)| *known == tag).cloned()
            {
                self.transmit(&flow, bytes);
                return None;
            }
        }
        let request = if response.status.code() >= 300 { transaction.request.take() } else { None };
        if !is_invite {
            transaction.bytes = Bytes::new();
            transaction.request = None;
        }
        let owner = transaction.owner;
        // What is shorter goes by datagrams again.
        let flow = transaction.datagram.as_ref().map_or(&transaction.flow, |datagram| &datagram.flow).clone();
        Some(Upcall::Response { key, owner, flow, response: Box::new(response), request })
    }

    /// Keeps the ACK of a 2xx, to be sent again whenever the 2xx is, and sends it.
    pub(crate) fn send_ack(&mut self, key: ClientKey, tag: Text, flow: &Flow, bytes: Bytes) {
        self.transmit(flow, bytes.clone());
        if let Some(transaction) = self.clients.get_mut(&key)
            && transaction.acks.len() < MAX_FORKS
        {
            transaction.acks.push((tag, flow.clone(), bytes));
        }
    }

    /// The leg that waits for this re-INVITE hung up. The other side may have done so as well, and then never
    /// answers: it is given up like a cancelled one.
    pub(crate) fn disown(&mut self, now: Instant, key: ClientKey) {
        if let Some(transaction) = self.clients.get_mut(&key) {
            transaction.owner = Owner::Gone;
            self.expect_no_answer(now, key);
        }
    }

    fn expect_no_answer(&mut self, now: Instant, key: ClientKey) {
        let Some(transaction) = self.clients.get(&key) else { return };
        let timing = self.timing(&transaction.flow);
        let Some(transaction) = self.clients.get_mut(&key) else { return };
        let mut step = Step { now, timing, timers: &mut transaction.timers };
        transaction.machine.step(&mut step, ClientInput::Cancelled);
        self.settle_client(key);
    }

    /// Cancels an INVITE, now or when the first provisional response comes. Its owner hears no more of it.
    pub(crate) fn cancel(&mut self, now: Instant, key: ClientKey, reason: Option<String>) {
        let Some(transaction) = self.clients.get_mut(&key) else { return };
        transaction.owner = Owner::Nobody;
        match transaction.machine {
            ClientMachine::Invite(ClientInvite::Calling { .. }) => {
                transaction.cancel = Cancel::Wanted(reason);
            }
            ClientMachine::Invite(ClientInvite::Proceeding) => {
                transaction.cancel = Cancel::Wanted(reason);
                self.cancel_if_wanted(now, key);
            }
            _ => {}
        }
    }

    fn cancel_if_wanted(&mut self, now: Instant, key: ClientKey) {
        let Some(transaction) = self.clients.get_mut(&key) else { return };
        let Cancel::Wanted(reason) = &mut transaction.cancel else { return };
        let reason = reason.take();
        transaction.cancel = Cancel::Sent;
        let Some(invite) = &transaction.request else { return };
        let cancel = cancel_of(invite, reason);
        let flow = transaction.flow.clone();
        self.expect_no_answer(now, key);
        let cancel_key = ClientKey { branch: key.branch, cancel: true };
        self.start(now, cancel_key, &flow, cancel, Owner::Nobody, false);
    }

    /// Does what is due in a client transaction.
    pub(crate) fn fire_client(&mut self, now: Instant, at: Instant, key: ClientKey) -> Option<Upcall> {
        let timing = self.timing(&self.clients.get(&key)?.flow);
        if !self.clients.get_mut(&key)?.timers.claim(at) {
            return None;
        }
        let mut upcall = None;
        while let Some(transaction) = self.clients.get_mut(&key)
            && let Some(timer) = transaction.timers.pop(now)
        {
            let mut step = Step { now, timing, timers: &mut transaction.timers };
            match transaction.machine.step(&mut step, ClientInput::Timer(timer)) {
                ClientAction::Resend => {
                    let (flow, bytes) = (transaction.flow.clone(), transaction.bytes.clone());
                    self.transmit(&flow, bytes);
                }
                ClientAction::Fail => upcall = Some(Upcall::Failed { owner: transaction.owner }),
                _ => {}
            }
            if self.clients.get(&key).is_some_and(ClientTransaction::is_terminated) {
                break;
            }
        }
        self.settle_client(key);
        upcall
    }

    /// The flow is broken: fails what waits on it.
    pub(crate) fn break_clients(&mut self, now: Instant, flow: &Flow) -> Vec<Upcall> {
        self.open.remove(flow);
        let first = (flow.clone(), ClientKey::FIRST);
        let keys: Vec<ClientKey> =
            self.waiting.range(first..).take_while(|(on, _)| on == flow).map(|(_, key)| *key).collect();
        let timing = self.timing(flow);
        let mut upcalls = Vec::new();
        for key in keys {
            if self.fall_back(now, key) {
                continue;
            }
            let Some(transaction) = self.clients.get_mut(&key) else { continue };
            let mut step = Step { now, timing, timers: &mut transaction.timers };
            if transaction.machine.step(&mut step, ClientInput::TransportError) == ClientAction::Fail {
                upcalls.push(Upcall::Failed { owner: transaction.owner });
            }
            self.settle_client(key);
        }
        upcalls
    }

    /// Drops a transaction that is over, or notes its next deadline.
    fn settle_client(&mut self, key: ClientKey) {
        let Some(transaction) = self.clients.get_mut(&key) else { return };
        if transaction.is_terminated() {
            if let Some(transaction) = self.clients.remove(&key) {
                self.waiting.remove(&(transaction.flow, key));
            }
        } else {
            self.deadlines.note(Key::Client(key), &mut transaction.timers);
        }
    }
}

/// What ACK (to a refusal) and CANCEL repeat of their INVITE: RFC 3261 sections 17.1.1.3 and 9.1.
fn shadow(invite: &Request, method: Method, to: Option<&[u8]>) -> Request {
    let mut headers = Headers::new();
    for (index, field) in invite.headers.iter().enumerate() {
        match field.name {
            HeaderName::Via if index == 0 => headers.push_field(field),
            HeaderName::Route | HeaderName::From | HeaderName::CallId | HeaderName::MaxForwards => {
                headers.push_field(field);
            }
            HeaderName::To => headers.push(HeaderName::To, to.unwrap_or(field.value)),
            HeaderName::CSeq => {
                let number = invite.headers.cseq().map_or(0, |cseq| cseq.number);
                headers.push_typed(&CSeq { number, method: method.clone() });
            }
            _ => {}
        }
    }
    let mut request = Request::new(method, invite.uri.clone());
    request.headers = headers;
    request
}

fn refusal_ack(invite: &Request, response: &Response) -> Bytes {
    let to = response.headers.get(&HeaderName::To);
    shadow(invite, Method::Ack, to).to_bytes()
}

fn cancel_of(invite: &Request, reason: Option<String>) -> Request {
    let mut cancel = shadow(invite, Method::Cancel, None);
    if let Some(reason) = reason {
        cancel.headers.push(HeaderName::Reason, Text::from(reason));
    }
    cancel
}
