//! The one task that owns the SIP endpoint: all transactions, all dialogs, no locks.
//!
//! Datagrams and framed messages come in, timers fire, call actors ask; out go messages and events. New calls,
//! registrations and other requests outside of dialogs are decided here, at once, by [`Desk`]; everything
//! that may wait happens in the call's own task.

use std::{collections::HashMap, sync::Arc, time::Instant};

use bytes::Bytes;
use sems_sip::{
    Endpoint, Flow, HeaderName, Method, Request, Response, Transport,
    endpoint::{ClientId, Event, Invite, LegEvent, LegId, Output, Reply, RequestId},
};
use tokio::sync::{mpsc, oneshot};

use crate::{
    accounts::Accounts,
    config::Config,
    counters::Counters,
    desk::{Desk, Refusal},
    trace::{self, Trace},
    transport::{Sent, StreamEvent, Streams, UdpSockets, stun},
};

/// Asks of all call actors on their way to the signalling task. An actor waits for most of its asks, so this
/// holds one or two each for thousands of calls in the same moment.
const ASKS: usize = 8192;
/// Events of one leg that its actor has not looked at: a dialog has few, and an actor never sleeps on them.
/// A leg whose queue is full has a dead actor, and is ended.
pub(crate) const LEG_EVENTS: usize = 32;
/// Retry-After while draining, in seconds: a restart takes less.
const RETRY_AFTER: u32 = 10;
/// Datagrams taken in one turn before timers and asks get theirs.
const BURST: usize = 64;

/// What a call actor asks of the signalling task.
#[derive(Debug)]
pub(crate) enum Ask {
    Respond {
        id: RequestId,
        reply: Reply,
    },
    Invite {
        invite: Box<Invite>,
        events: mpsc::Sender<LegEvent>,
        reply: oneshot::Sender<LegId>,
    },
    Provisional {
        leg: LegId,
        status: u16,
        body: Option<Bytes>,
    },
    Accept {
        leg: LegId,
        body: Option<Bytes>,
    },
    Reject {
        leg: LegId,
        reply: Reply,
    },
    End {
        leg: LegId,
        reason: Option<String>,
    },
    RequestIn {
        leg: LegId,
        method: Method,
        headers: Vec<(HeaderName, String)>,
        body: Option<(String, Bytes)>,
        reply: oneshot::Sender<Option<Response>>,
    },
    FlowTo {
        transport: Transport,
        remote: std::net::SocketAddr,
        reply: oneshot::Sender<Option<Flow>>,
    },
    IsOpen {
        flow: Flow,
        reply: oneshot::Sender<bool>,
    },
    Trace {
        reply: oneshot::Sender<Vec<trace::Entry>>,
    },
    Drain,
    Reload {
        config: Arc<Config>,
        accounts: Accounts,
    },
}

/// The way to the signalling task.
#[derive(Debug, Clone)]
pub(crate) struct Signalling(mpsc::Sender<Ask>);

impl Signalling {
    /// The queue between actors and the task.
    pub(crate) fn channel() -> (Self, mpsc::Receiver<Ask>) {
        let (sender, receiver) = mpsc::channel(ASKS);
        (Self(sender), receiver)
    }

    /// Asks; a task that is gone means that the process ends, and nobody waits for an answer then.
    pub(crate) async fn ask(&self, ask: Ask) {
        let _ = self.0.send(ask).await;
    }

    /// Places a call; its events go to `events`.
    pub(crate) async fn invite(&self, invite: Invite, events: mpsc::Sender<LegEvent>) -> Option<LegId> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Invite { invite: Box::new(invite), events, reply }).await;
        answer.await.ok()
    }

    /// The flow on which we reach an address; none where no listener serves it.
    pub(crate) async fn flow_to(&self, transport: Transport, remote: std::net::SocketAddr) -> Option<Flow> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::FlowTo { transport, remote, reply }).await;
        answer.await.ok().flatten()
    }

    /// Whether messages can take a flow that a peer opened: its connection is there, or it needs none.
    pub(crate) async fn is_open(&self, flow: &Flow) -> bool {
        if flow.transport == Transport::Udp {
            return true;
        }
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::IsOpen { flow: flow.clone(), reply }).await;
        answer.await.unwrap_or(false)
    }

    /// The messages that are kept.
    pub(crate) async fn trace(&self) -> Vec<trace::Entry> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::Trace { reply }).await;
        answer.await.unwrap_or_default()
    }

    /// Sends a request within a dialog and waits for its final answer.
    pub(crate) async fn request_in(
        &self,
        leg: LegId,
        method: Method,
        headers: Vec<(HeaderName, String)>,
        body: Option<(String, Bytes)>,
    ) -> Option<Response> {
        let (reply, answer) = oneshot::channel();
        self.ask(Ask::RequestIn { leg, method, headers, body, reply }).await;
        answer.await.ok().flatten()
    }
}

/// The task's state.
pub(crate) struct Task {
    endpoint: Endpoint,
    udp: UdpSockets,
    streams: Streams,
    stream_events: mpsc::Receiver<StreamEvent>,
    asks: mpsc::Receiver<Ask>,
    legs: HashMap<LegId, mpsc::Sender<LegEvent>>,
    waiting: HashMap<ClientId, oneshot::Sender<Option<Response>>>,
    desk: Desk,
    trace: Trace,
    counters: Arc<Counters>,
}

/// What the task is made of.
pub(crate) struct Parts {
    pub(crate) endpoint: Endpoint,
    pub(crate) udp: UdpSockets,
    pub(crate) streams: Streams,
    pub(crate) stream_events: mpsc::Receiver<StreamEvent>,
    pub(crate) asks: mpsc::Receiver<Ask>,
    pub(crate) desk: Desk,
    pub(crate) trace: Trace,
    pub(crate) counters: Arc<Counters>,
}

impl Task {
    pub(crate) fn new(parts: Parts) -> Self {
        let Parts { endpoint, udp, streams, stream_events, asks, desk, trace, counters } = parts;
        Self {
            endpoint,
            udp,
            streams,
            stream_events,
            asks,
            legs: HashMap::new(),
            waiting: HashMap::new(),
            desk,
            trace,
            counters,
        }
    }

    /// Runs until every [`Signalling`] is gone.
    pub(crate) async fn run(mut self) {
        loop {
            let deadline = self.endpoint.poll_timeout();
            let timer = async {
                match deadline {
                    Some(at) => tokio::time::sleep_until(at.into()).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                ask = self.asks.recv() => match ask {
                    Some(ask) => self.take_asks(ask),
                    None => return,
                },
                (flow, bytes) = self.udp.receive() => self.take_datagrams(flow, bytes),
                Some(event) = self.stream_events.recv() => self.take_stream(event),
                () = timer => self.endpoint.handle_timeout(Instant::now()),
            }
            self.drain();
        }
    }

    fn take_asks(&mut self, first: Ask) {
        self.carry_out(first);
        for _ in 1..BURST {
            let Ok(ask) = self.asks.try_recv() else { return };
            self.carry_out(ask);
        }
    }

    fn take_datagrams(&mut self, flow: Flow, bytes: Bytes) {
        self.take_message(&flow, bytes);
        for _ in 1..BURST {
            let Some((flow, bytes)) = self.udp.try_receive() else { return };
            self.take_message(&flow, bytes);
        }
    }

    fn take_stream(&mut self, event: StreamEvent) {
        match event {
            StreamEvent::Opened { flow, line } => {
                self.endpoint.handle_connected(&flow);
                self.streams.opened(flow, line);
            }
            StreamEvent::Message { flow, bytes } => self.take_message(&flow, bytes),
            StreamEvent::Closed { flow, number } => {
                if self.streams.closed(&flow, number) {
                    self.endpoint.handle_transport_error(Instant::now(), &flow);
                    self.desk.flow_closed(&flow);
                }
            }
        }
    }

    fn take_message(&mut self, flow: &Flow, bytes: Bytes) {
        let now = Instant::now();
        let is_stun = flow.transport == Transport::Udp && stun::is_stun(&bytes);
        if !is_stun {
            self.counters.sip.count(false, flow.transport, &bytes);
        }
        // Responses are to requests of ours.
        if !bytes.starts_with(b"SIP/2.0 ") && !self.desk.hears(now, flow) {
            return;
        }
        if is_stun {
            if let Some(answer) = stun::answer(&bytes, flow.remote) {
                self.counters.stun_answered.increment();
                // Lost like any datagram where it cannot be sent.
                let _ = self.udp.send(flow, &answer);
            }
            return;
        }
        self.trace.message(flow, false, &bytes);
        self.endpoint.handle_message(now, flow, bytes);
        self.drain();
    }

    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { flow, bytes } => self.transmit(&flow, bytes),
                Output::Event(event) => self.take_event(event),
            }
        }
    }

    fn transmit(&mut self, flow: &Flow, bytes: Bytes) {
        self.counters.sip.count(true, flow.transport, &bytes);
        self.trace.message(flow, true, &bytes);
        let sent = match flow.transport {
            Transport::Udp => self.udp.send(flow, &bytes).map(|()| Sent::Queued),
            _ => self.streams.send(flow, bytes),
        };
        match sent {
            Ok(Sent::Queued) => {}
            Ok(Sent::Opening) => self.endpoint.handle_connected(flow),
            Err(error) => {
                tracing::debug!(%flow, %error, "a message could not be sent");
                // A datagram that cannot leave says nothing of the others on their way to that peer.
                if flow.transport != Transport::Udp {
                    self.endpoint.handle_transport_error(Instant::now(), flow);
                }
            }
        }
    }

    fn take_event(&mut self, event: Event) {
        match event {
            Event::Incoming { leg, flow, request } => self.take_invite(leg, flow, request),
            Event::Request { id, flow, request } => {
                let reply = self.desk.request(&flow, &request);
                self.endpoint.respond(Instant::now(), id, reply);
            }
            Event::Response { id, response } => {
                if let Some(waiting) = self.waiting.remove(&id) {
                    // Whoever asked may have left.
                    let _ = waiting.send(response.map(|response| *response));
                }
            }
            Event::Leg { leg, event } => self.take_leg_event(leg, event),
        }
    }

    fn take_invite(&mut self, leg: LegId, flow: Flow, request: Box<Request>) {
        let (sender, receiver) = mpsc::channel(LEG_EVENTS);
        let call_id = request.headers.text(&HeaderName::CallId).unwrap_or_default().to_owned();
        match self.desk.invite(leg, flow, request, receiver) {
            Ok(call) => {
                self.trace.call(&call, &call_id);
                self.legs.insert(leg, sender);
                // Its caller need not ask again: what follows may take its time.
                self.endpoint.handle_timeout(Instant::now());
            }
            Err(Refusal::Once(reply)) => self.endpoint.turn_away(Instant::now(), leg, reply),
            Err(Refusal::Kept(reply)) => self.endpoint.reject(Instant::now(), leg, reply),
        }
    }

    fn take_leg_event(&mut self, leg: LegId, event: LegEvent) {
        // Of a leg that hangs up nothing more is heard, held though its BYE may be.
        let last = matches!(
            event,
            LegEvent::Failed { .. }
                | LegEvent::Cancelled { .. }
                | LegEvent::Ended { .. }
                | LegEvent::Bye { .. }
        );
        let Some(events) = self.legs.get(&leg) else {
            self.nobody_listens(leg, event);
            return;
        };
        match events.try_send(event) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::error!(?leg, "a call's actor does not take its events; ending the leg");
                self.legs.remove(&leg);
                self.endpoint.end(Instant::now(), leg, None);
            }
            Err(mpsc::error::TrySendError::Closed(event)) => {
                self.legs.remove(&leg);
                self.nobody_listens(leg, event);
            }
        }
        if last {
            self.legs.remove(&leg);
        }
    }

    /// The actor is gone: its leg's requests are answered, its dialog ended.
    fn nobody_listens(&mut self, leg: LegId, event: LegEvent) {
        let now = Instant::now();
        match event {
            LegEvent::Bye { id, .. } => self.endpoint.respond(now, id, Reply::new(200)),
            LegEvent::Request { id, .. } => self.endpoint.respond(now, id, Reply::new(481)),
            LegEvent::Offer { .. } => self.endpoint.reject(now, leg, Reply::new(488)),
            LegEvent::Answered { .. } | LegEvent::Acked { .. } => self.endpoint.end(now, leg, None),
            _ => {}
        }
    }

    fn carry_out(&mut self, ask: Ask) {
        let now = Instant::now();
        match ask {
            Ask::Respond { id, reply } => self.endpoint.respond(now, id, reply),
            Ask::Invite { invite, events, reply } => {
                let leg = self.endpoint.invite(now, *invite);
                self.legs.insert(leg, events);
                if reply.send(leg).is_err() {
                    self.endpoint.end(now, leg, None);
                }
            }
            Ask::Provisional { leg, status, body } => self.endpoint.provisional(now, leg, status, body),
            Ask::Accept { leg, body } => self.endpoint.accept(now, leg, body),
            Ask::Reject { leg, reply } => self.endpoint.reject(now, leg, reply),
            Ask::End { leg, reason } => self.endpoint.end(now, leg, reason),
            Ask::RequestIn { leg, method, headers, body, reply } => {
                let id = self.endpoint.request_in(now, leg, method, headers, body);
                self.waiting.insert(id, reply);
            }
            Ask::FlowTo { transport, remote, reply } => {
                let _ = reply.send(self.flow_to(transport, remote));
            }
            Ask::IsOpen { flow, reply } => {
                let _ = reply.send(self.streams.is_open(&flow));
            }
            Ask::Trace { reply } => {
                // Whoever asked may have left.
                let _ = reply.send(self.trace.entries());
            }
            Ask::Drain => self.endpoint.set_draining(Some(RETRY_AFTER)),
            Ask::Reload { config, accounts } => self.desk.reload(config, accounts),
        }
        self.drain();
    }

    fn flow_to(&mut self, transport: Transport, remote: std::net::SocketAddr) -> Option<Flow> {
        match transport {
            Transport::Udp => self.udp.flow_to(remote).map(|flow| Flow { reconnect: Some(remote), ..flow }),
            // A stream's local port is the system's choice; what Contact must say is our listener.
            Transport::Tcp | Transport::Tls => Some(self.desk.listener_towards(transport, remote)),
            Transport::Ws | Transport::Wss => None,
        }
    }
}
