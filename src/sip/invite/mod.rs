//! A leg: one INVITE and the session it makes, from either side. One procedure a file.

mod accept;
mod ack;
mod cancel;
mod close;
mod connect;
mod inside;
mod modify;
mod prack;
mod refresh;
mod update;

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;
use smallvec::SmallVec;

pub(crate) use connect::{acknowledge_stray, hang_up_stray};

use crate::{
    HeaderName, Headers, Method, Request, Response,
    auth::ClientAuth,
    dialog::Dialog,
    endpoint::{ClientId, EndReason, LegEvent, LegId},
    flow::Flow,
    session_timer::{Grant, SessionTimer},
    timer::{Timer, Timers},
    transaction::layer::{ClientKey, Layer, Purpose},
};

/// The only body that is understood in INVITE, UPDATE and PRACK.
pub(crate) const SDP: &str = "application/sdp";

/// How often a request is sent again with credentials, or with a longer session interval.
const MAX_TRIES: u8 = 3;

/// An INVITE that opens a leg, and what its Via says of the way.
#[derive(Debug)]
pub(crate) struct Opening<'a> {
    pub(crate) request: &'a Request,
    /// Where it came from.
    pub(crate) flow: &'a Flow,
    /// Its sender does not know its own address.
    pub(crate) nat: bool,
    /// Its server transaction.
    pub(crate) id: u64,
    /// Its CSeq number.
    pub(crate) seq: u32,
}

/// A request within the dialog as it arrived, and what its Via says of the way.
#[derive(Debug)]
pub(crate) struct Arrival<'a> {
    pub(crate) request: Box<Request>,
    /// Where it came from.
    pub(crate) flow: &'a Flow,
    /// Its sender does not know its own address.
    pub(crate) nat: bool,
    /// Its server transaction.
    pub(crate) id: u64,
    /// Its CSeq number.
    pub(crate) seq: u32,
}

/// A response to a request of a leg.
#[derive(Debug)]
pub(crate) struct Reaction {
    pub(crate) key: ClientKey,
    pub(crate) flow: Flow,
    pub(crate) response: Box<Response>,
    /// With a refusal: the request as it was sent.
    pub(crate) request: Option<Box<Request>>,
}

impl Reaction {
    /// Whether it is a 2xx to an INVITE, which wants an ACK whatever became of the leg.
    pub(crate) fn accepts_invite(&self) -> bool {
        self.response.status.is_success()
            && self.response.headers.cseq().is_ok_and(|cseq| cseq.method == Method::Invite)
    }
}

/// How far a leg has come.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Their INVITE waits for our final answer.
    Incoming(Box<Incoming>),
    /// Our INVITE waits for theirs.
    Calling(Box<Calling>),
    /// There is a session.
    Confirmed,
    /// We want to hang up, but our 2xx is not acknowledged yet (RFC 3261 section 15).
    Leaving(Option<String>),
    /// Our BYE waits for its answer.
    Closing,
    /// Their BYE, by its server transaction, waits for our answer.
    HungUp(u64),
    /// To be dropped.
    Closed,
}

/// Their INVITE before our final answer.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// Its server transaction.
    server: u64,
    seq: u32,
    /// It carried an offer.
    offered: bool,
    /// Provisional responses are reliable.
    reliable: bool,
    /// What the 2xx will say of the session timer.
    grant: Grant,
    /// The reliable provisional response that waits for its PRACK.
    unacknowledged: Option<Unacknowledged>,
    /// Provisional responses that wait for that (RFC 3262 section 3).
    queue: VecDeque<(u16, Option<Bytes>)>,
    /// The number of the last reliable provisional response.
    rseq: u32,
    /// A reliable provisional response carried our description.
    described: bool,
    /// The body of the 2xx that waits for a PRACK.
    accepted: Option<Option<Bytes>>,
    /// What is repeated every minute.
    last: Option<(u16, Option<Bytes>)>,
}

impl Incoming {
    /// Offer and answer went through before the final response.
    fn is_described(&self) -> bool {
        self.described && self.unacknowledged.is_none()
    }
}

#[derive(Debug)]
struct Unacknowledged {
    bytes: Bytes,
    flow: Flow,
    interval: Duration,
    has_body: bool,
}

/// Our INVITE before their final answer.
#[derive(Debug)]
pub(crate) struct Calling {
    key: ClientKey,
    /// The dialogs of the provisional responses, one a fork.
    early: SmallVec<[Early; 1]>,
    late_offer: bool,
    tries: u8,
}

#[derive(Debug)]
struct Early {
    dialog: Dialog,
    /// The last reliable provisional response in order.
    rseq: Option<u32>,
}

/// Our 2xx to an INVITE that is not acknowledged.
#[derive(Debug)]
struct Answer {
    bytes: Bytes,
    flow: Flow,
    interval: Duration,
    seq: u32,
    /// It answered the INVITE that made the dialog.
    first: bool,
}

/// A re-INVITE or UPDATE that waits for the application.
#[derive(Debug)]
struct Pending {
    server: u64,
    seq: u32,
    update: bool,
    grant: Grant,
}

/// Our re-INVITE under way.
#[derive(Debug)]
struct Outgoing {
    key: ClientKey,
    body: Option<Bytes>,
    refresh: bool,
    tries: u8,
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Leg {
    pub(crate) id: LegId,
    /// The number of our tag.
    pub(crate) tag: u64,
    pub(crate) phase: Phase,
    pub(crate) timers: Timers,
    /// None until their first response with a tag, where we call.
    dialog: Option<Dialog>,
    /// We sent the first INVITE.
    caller: bool,
    /// The user part of our Contact.
    user: Option<String>,
    /// The first INVITE went to a `sips` URI.
    secure: bool,
    auth: Option<Box<ClientAuth>>,
    session: Option<SessionTimer>,
    local_body: Option<Bytes>,
    /// Their Allow names UPDATE.
    update_allowed: bool,
    answer: Option<Answer>,
    pending: Option<Pending>,
    outgoing: Option<Outgoing>,
    /// The 2xx to our INVITE without offer waits for the application's answer.
    late: Option<(ClientKey, u32)>,
    /// A description to be offered when nothing else is under way.
    wish: Option<Bytes>,
    /// How often the present wish met 491.
    glares: u8,
    /// How often the present refresh or BYE was tried.
    tries: u8,
    /// RSeq and CSeq of the last reliable provisional response, for a PRACK that comes late.
    proven: Option<(u32, u32)>,
}

impl Leg {
    fn new(id: LegId, tag: u64, phase: Phase, caller: bool) -> Self {
        Self {
            id,
            tag,
            phase,
            timers: Timers::default(),
            dialog: None,
            caller,
            user: None,
            secure: false,
            auth: None,
            session: None,
            local_body: None,
            update_allowed: false,
            answer: None,
            pending: None,
            outgoing: None,
            late: None,
            wish: None,
            glares: 0,
            tries: 0,
            proven: None,
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        matches!(self.phase, Phase::Closed)
    }

    /// Whether a request with these identifiers belongs to a dialog of this leg.
    pub(crate) fn matches(&self, call_id: &str, remote_tag: &str) -> bool {
        let is = |dialog: &Dialog| &*dialog.call_id == call_id && &*dialog.remote_tag == remote_tag;
        match &self.phase {
            Phase::Calling(calling) => calling.early.iter().any(|early| is(&early.dialog)),
            _ => self.dialog.as_ref().is_some_and(is),
        }
    }

    /// The dialog that a request with this tag belongs to.
    fn dialog_of(&mut self, remote_tag: &str) -> Option<&mut Dialog> {
        match &mut self.phase {
            Phase::Calling(calling) => calling
                .early
                .iter_mut()
                .map(|early| &mut early.dialog)
                .find(|dialog| &*dialog.remote_tag == remote_tag),
            _ => self.dialog.as_mut().filter(|dialog| &*dialog.remote_tag == remote_tag),
        }
    }

    fn tag_text(&self) -> String {
        crate::text::hex(self.tag)
    }

    fn emit(&self, layer: &mut Layer, event: LegEvent) {
        layer.leg_event(self.id, event);
    }

    fn set(&mut self, timer: Timer, at: Instant) {
        self.timers.set(timer, at);
    }

    /// A request in the confirmed dialog, numbered.
    fn request(&mut self, layer: &Layer, method: Method) -> Option<(Request, Flow)> {
        let dialog = self.dialog.as_mut()?;
        let seq = dialog.next_seq();
        let mut request = dialog.request(method, seq);
        layer.name(&mut request.headers, true);
        Some((request, dialog.flow.clone()))
    }

    /// An answer to one of their requests, with our tag.
    fn response(&self, layer: &mut Layer, id: u64, status: u16) -> Option<Response> {
        layer.response(id, status, Some(&self.tag_text()))
    }

    /// Answers one of their requests with nothing but a status.
    fn refuse(&self, now: Instant, layer: &mut Layer, id: u64, status: u16) {
        if let Some(response) = self.response(layer, id, status) {
            layer.respond(now, id, &response);
        }
    }

    /// 500: another request must be answered first (RFC 3261 section 14.2).
    fn refuse_for_now(&self, now: Instant, layer: &mut Layer, id: u64) {
        let Some(mut response) = self.response(layer, id, 500) else { return };
        let seconds = layer.random() % 10;
        response.headers.push(HeaderName::RetryAfter, seconds.to_string());
        layer.respond(now, id, &response);
    }

    /// Puts our Contact in.
    fn push_contact(&self, layer: &Layer, flow: &Flow, headers: &mut Headers) {
        headers.push(HeaderName::Contact, layer.contact(flow, self.user.as_deref(), self.secure));
    }

    fn stop(&mut self) {
        self.timers.clear_all();
        self.answer = None;
        self.wish = None;
    }

    /// It is over, and nothing is left to be sent.
    fn close(&mut self) {
        self.stop();
        self.phase = Phase::Closed;
    }

    /// It is over through no wish of ours: reports it, and sends BYE in case somebody hears it.
    fn fail(&mut self, now: Instant, layer: &mut Layer, why: EndReason) {
        if matches!(self.phase, Phase::Confirmed) {
            self.emit(layer, LegEvent::Ended { why });
            self.send_bye(now, layer, None);
        }
    }

    /// Takes what came back for a request of this leg.
    pub(crate) fn react(&mut self, now: Instant, layer: &mut Layer, purpose: Purpose, reaction: Reaction) {
        match purpose {
            Purpose::Invite => self.invite_answered(now, layer, reaction),
            Purpose::Modify => self.modify_answered(now, layer, reaction),
            Purpose::Refresh => self.refresh_answered(now, layer, reaction),
            Purpose::Prack => {}
            Purpose::Bye => self.bye_answered(now, layer, reaction),
            Purpose::Inside(client, tries) => self.inside_answered(now, layer, client, tries, reaction),
        }
    }

    /// A request of this leg met silence or a broken transport.
    pub(crate) fn unanswered(&mut self, now: Instant, layer: &mut Layer, purpose: Purpose) {
        match purpose {
            Purpose::Invite => {
                if matches!(self.phase, Phase::Calling(_)) {
                    self.emit(layer, LegEvent::Failed { response: None });
                    self.close();
                }
            }
            Purpose::Modify => self.modify_unanswered(now, layer),
            Purpose::Refresh => self.fail(now, layer, EndReason::Unreachable),
            Purpose::Prack => {}
            Purpose::Bye => self.close(),
            Purpose::Inside(client, _) => self.inside_unanswered(now, layer, client),
        }
    }

    /// Does what is due.
    pub(crate) fn fire(&mut self, now: Instant, layer: &mut Layer, timer: Timer) {
        match timer {
            Timer::Answer => self.repeat_answer(now, layer),
            Timer::Ack => self.answer_unacknowledged(now, layer),
            Timer::Provisional => self.repeat_provisional(now, layer),
            Timer::Prack => self.provisional_unacknowledged(now, layer),
            Timer::Ringing => self.repeat_ringing(now, layer),
            Timer::Glare => self.pursue_wish(now, layer),
            Timer::Refresh => self.refresh(now, layer),
            Timer::Expiry => self.fail(now, layer, EndReason::SessionExpired),
            _ => {}
        }
    }

    /// Takes a request within the dialog, other than ACK.
    pub(crate) fn receive(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        arrival: Arrival<'_>,
        remote_tag: &str,
    ) {
        let Some(dialog) = self.dialog_of(remote_tag) else {
            return self.refuse(now, layer, arrival.id, 481);
        };
        // RFC 3261 12.2.2: a request that was overtaken is refused.
        if !dialog.accept_seq(arrival.seq) {
            return self.refuse(now, layer, arrival.id, 500);
        }
        if arrival.nat || arrival.flow.transport.is_reliable() {
            dialog.come_by(arrival.flow);
        }
        match arrival.request.method {
            Method::Bye => self.receive_bye(now, layer, arrival),
            Method::Invite => self.receive_reinvite(now, layer, &arrival),
            Method::Update => self.receive_update(now, layer, &arrival, remote_tag),
            Method::Prack => self.receive_prack(now, layer, &arrival),
            _ => self.receive_inside(now, layer, arrival),
        }
    }

    pub(crate) fn set_local_body(&mut self, body: Bytes) {
        self.local_body = Some(body);
    }

    /// Notes what their message says of them.
    fn note_peer(&mut self, headers: &Headers) {
        if headers.has(&HeaderName::Allow) {
            self.update_allowed = headers.has_token(&HeaderName::Allow, "UPDATE");
        }
    }

    /// A client number for the application, when nothing can be sent.
    pub(crate) fn report_unsent(layer: &mut Layer, id: ClientId) {
        layer.event(crate::endpoint::Event::Response { id, response: None });
    }
}

/// The body of a message, if it has one.
fn body_of(body: &Bytes) -> Option<Bytes> {
    (!body.is_empty()).then(|| body.clone())
}

/// Puts a description in.
fn put_sdp(headers: &mut Headers, place: &mut Bytes, body: Option<Bytes>) {
    if let Some(body) = body {
        headers.push(HeaderName::ContentType, SDP);
        *place = body;
    }
}
