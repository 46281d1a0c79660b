//! The core of a user agent: messages and time in, messages and events out.

mod config;
mod event;
mod outside;
mod receive;
mod spec;

use std::{collections::HashMap, net::SocketAddr, time::Instant};

use bytes::Bytes;

pub use config::{Config, Reliable};
pub use event::{ClientId, Counts, EndReason, Event, LegEvent, LegId, Output, RequestId};
pub use spec::{Credentials, Invite, OutOfDialog, Reply};

use self::outside::Outside;
use crate::{
    HeaderName, Method,
    flow::{Advertised, Flow},
    invite::{Leg, Reaction, acknowledge_stray, hang_up_stray},
    transaction::layer::{Key, Layer, Numbered, Owner, Purpose, ServerOwner, Upcall},
};

/// The room for legs that is kept while there is none.
const MAX_IDLE_LEGS: usize = 1024;

/// A user agent without sockets or clock.
///
/// Every call may leave something in the output: drain [`poll_output`](Self::poll_output), then wait for the
/// network or for [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Endpoint {
    layer: Layer,
    legs: Numbered<LegId, Leg>,
    /// Legs by the number of our tag.
    tags: Numbered<u64, LegId>,
    /// Requests of ours outside of dialogs that may be asked for credentials.
    outside: HashMap<ClientId, Outside>,
    draining: Option<u32>,
    next: u64,
}

impl Endpoint {
    /// An endpoint whose tags, branches and Call-IDs grow from `seed`.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self {
            layer: Layer::new(config, seed),
            legs: Numbered::default(),
            tags: Numbered::default(),
            outside: HashMap::new(),
            draining: None,
            next: 0,
        }
    }

    /// What Via and Contact say of us from now on.
    pub fn advertise(&mut self, advertised: Advertised) {
        self.layer.advertised = advertised;
    }

    /// Where we listen for TCP. Requests that are too long for a datagram go by TCP where we can be answered so (RFC
    /// 3261 section 18.1.1), and by datagrams after all to peers that refuse it.
    pub fn set_stream_listeners(&mut self, listeners: Vec<SocketAddr>) {
        self.layer.listeners = listeners;
    }

    /// While draining, INVITEs that would open a dialog are refused with 503 and this Retry-After (seconds).
    pub fn set_draining(&mut self, retry_after: Option<u32>) {
        self.draining = retry_after;
    }

    /// One datagram, or one message framed off a stream.
    pub fn handle_message(&mut self, now: Instant, flow: &Flow, bytes: Bytes) {
        self.receive(now, flow, bytes);
    }

    /// A stream is open, whoever opened it. Until [`handle_transport_error`](Self::handle_transport_error) tells that
    /// it is not, messages take it; then those whose peer can be connected to take a new one.
    pub fn handle_connected(&mut self, flow: &Flow) {
        self.layer.connected(flow);
    }

    /// The flow is broken or closed: what was sent by it last is lost.
    pub fn handle_transport_error(&mut self, now: Instant, flow: &Flow) {
        for upcall in self.layer.break_clients(now, flow) {
            self.take_upcall(now, upcall);
        }
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        while let Some((at, key)) = self.layer.pop_deadline(now) {
            let upcall = match key {
                Key::Server(id) => self.layer.fire_server(now, at, id),
                Key::Client(key) => self.layer.fire_client(now, at, key),
                Key::Leg(id) => {
                    self.fire_leg(now, at, id);
                    None
                }
            };
            if let Some(upcall) = upcall {
                self.take_upcall(now, upcall);
            }
        }
        let legs = &self.legs;
        self.layer.tidy(legs.len(), |id| legs.get(&id).map(|leg| &leg.timers));
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next. It may turn out that nothing is due then.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.layer.next_deadline()
    }

    /// The next message to be sent, or event.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.layer.poll_output()
    }

    /// How much is remembered.
    pub fn counts(&self) -> Counts {
        Counts {
            server_transactions: self.layer.server_count(),
            client_transactions: self.layer.client_count(),
            legs: self.legs.len(),
        }
    }

    /// Answers a request. Nothing happens when it is gone.
    pub fn respond(&mut self, now: Instant, id: RequestId, reply: Reply) {
        match self.layer.server_owner(id.0) {
            Some(ServerOwner::Bye(leg)) => {
                self.with_leg(leg, |leg, layer| leg.answer_bye(now, layer, id.0, &reply));
            }
            Some(ServerOwner::Leg(leg)) => {
                self.with_leg(leg, |leg, layer| leg.answer_inside(now, layer, id.0, &reply));
            }
            Some(ServerOwner::Application) => self.answer_outside(now, id.0, &reply),
            None => {}
        }
    }

    /// Sends a request outside of any dialog; its end is told by [`Event::Response`].
    pub fn request(&mut self, now: Instant, spec: OutOfDialog) -> ClientId {
        self.send_outside(now, spec)
    }

    /// Calls. The leg lives until it reports its end.
    pub fn invite(&mut self, now: Instant, spec: Invite) -> LegId {
        let id = LegId(self.number());
        let tag = self.layer.random();
        let leg = Leg::call(now, &mut self.layer, id, tag, spec);
        self.tags.insert(tag, id);
        self.legs.insert(id, leg);
        id
    }

    /// Sends 101..=199 to the INVITE that waits, reliably where the configuration and the caller want it.
    pub fn provisional(&mut self, now: Instant, leg: LegId, status: u16, body: Option<Bytes>) {
        self.with_leg(leg, |leg, layer| leg.provisional(now, layer, status, body));
    }

    /// Sends 200 to the INVITE, re-INVITE or UPDATE that waits, with our answer (or our offer, where none came).
    pub fn accept(&mut self, now: Instant, leg: LegId, body: Option<Bytes>) {
        self.with_leg(leg, |leg, layer| leg.accept(now, layer, body));
    }

    /// Refuses the INVITE, re-INVITE or UPDATE that waits, with 300..=699.
    pub fn reject(&mut self, now: Instant, leg: LegId, reply: Reply) {
        self.with_leg(leg, |leg, layer| leg.reject(now, layer, &reply));
    }

    /// Refuses an INVITE that was just told by [`Event::Incoming`], before time is looked at again, once and without
    /// keeping anything: if the refusal is lost, the retransmitted INVITE is told anew. So nobody is sent more than he
    /// asks for, whose address may be forged besides, and a flood of calls that are refused takes no memory (RFC 3261
    /// section 8.2.7). Later, this is [`reject`](Self::reject).
    pub fn turn_away(&mut self, now: Instant, leg: LegId, reply: Reply) {
        self.with_leg(leg, |leg, layer| leg.turn_away(now, layer, &reply));
    }

    /// Acknowledges the 2xx to an INVITE that carried no offer, with our answer.
    pub fn ack(&mut self, now: Instant, leg: LegId, body: Option<Bytes>) {
        self.with_leg(leg, |leg, layer| leg.ack(now, layer, body));
    }

    /// Ends the leg by CANCEL, BYE or a refusal, as its state demands. `reason` is a Reason header (RFC 3326).
    /// [`EndReason::Local`] is reported at once.
    pub fn end(&mut self, now: Instant, leg: LegId, reason: Option<String>) {
        self.with_leg(leg, |leg, layer| leg.end(now, layer, reason));
    }

    /// Offers another description by re-INVITE, as soon as nothing else is under way. Glare (491) is tried again.
    pub fn modify(&mut self, now: Instant, leg: LegId, body: Bytes) {
        self.with_leg(leg, |leg, layer| leg.modify(now, layer, body));
    }

    /// Sends INFO, NOTIFY, REFER, MESSAGE, ... within the dialog; its end is told by [`Event::Response`].
    pub fn request_in(
        &mut self,
        now: Instant,
        leg: LegId,
        method: Method,
        headers: Vec<(HeaderName, String)>,
        body: Option<(String, Bytes)>,
    ) -> ClientId {
        let client = ClientId(self.number());
        let sent =
            self.with_leg(leg, |leg, layer| leg.send_inside(now, layer, client, method, headers, body));
        if sent.is_none() {
            Leg::report_unsent(&mut self.layer, client);
        }
        client
    }

    /// Our description as it is now, for requests that refresh the session. `accept`, `invite` and `modify`
    /// note theirs by themselves.
    pub fn set_local_body(&mut self, leg: LegId, body: Bytes) {
        self.with_leg(leg, |leg, _| leg.set_local_body(body));
    }

    fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Lets a leg do something; afterwards it is dropped when it is over, or its next deadline is noted.
    fn with_leg<R>(&mut self, id: LegId, act: impl FnOnce(&mut Leg, &mut Layer) -> R) -> Option<R> {
        let leg = self.legs.get_mut(&id)?;
        let result = act(leg, &mut self.layer);
        if leg.is_closed() {
            let tag = leg.tag;
            self.legs.remove(&id);
            self.tags.remove(&tag);
            if self.legs.is_empty() && self.legs.capacity() > MAX_IDLE_LEGS {
                // What a burst needed is not kept for ever.
                self.legs = Numbered::default();
                self.tags = Numbered::default();
            }
        } else {
            self.layer.note(Key::Leg(id), &mut leg.timers);
        }
        Some(result)
    }

    fn fire_leg(&mut self, now: Instant, at: Instant, id: LegId) {
        self.with_leg(id, |leg, layer| {
            if !leg.timers.claim(at) {
                return;
            }
            while let Some(timer) = leg.timers.pop(now) {
                tracing::trace!(leg = id.0, ?timer, "timer");
                leg.fire(now, layer, timer);
            }
        });
    }

    fn take_upcall(&mut self, now: Instant, upcall: Upcall) {
        match upcall {
            Upcall::Response { key, owner, flow, response, request } => {
                let reaction = Reaction { key, flow, response, request };
                match owner {
                    Owner::Application(client) => self.outside_answered(now, client, reaction),
                    Owner::Leg(leg, purpose) if self.legs.contains_key(&leg) => {
                        self.with_leg(leg, |leg, layer| leg.react(now, layer, purpose, reaction));
                    }
                    Owner::Leg(_, Purpose::Invite) | Owner::Nobody if reaction.accepts_invite() => {
                        hang_up_stray(now, &mut self.layer, &reaction);
                    }
                    Owner::Leg(_, Purpose::Modify) | Owner::Gone if reaction.accepts_invite() => {
                        acknowledge_stray(&mut self.layer, &reaction);
                    }
                    Owner::Leg(_, Purpose::Inside(client, _)) => {
                        self.layer.event(Event::Response { id: client, response: Some(reaction.response) });
                    }
                    Owner::Leg(..) | Owner::Nobody | Owner::Gone => {}
                }
            }
            Upcall::Failed { owner, .. } => match owner {
                Owner::Application(client) => self.outside_unanswered(client),
                Owner::Leg(leg, purpose) if self.legs.contains_key(&leg) => {
                    self.with_leg(leg, |leg, layer| leg.unanswered(now, layer, purpose));
                }
                Owner::Leg(_, Purpose::Inside(client, _)) => Leg::report_unsent(&mut self.layer, client),
                Owner::Leg(..) | Owner::Nobody | Owner::Gone => {}
            },
            Upcall::Unanswered { id, leg } => {
                self.with_leg(leg, |leg, layer| leg.answer_bye(now, layer, id, &Reply::new(200)));
            }
        }
    }
}
