//! The core of a user agent: messages and time in, messages and events out.

mod config;
mod event;
mod spec;

use std::{net::SocketAddr, time::Instant};

use bytes::Bytes;

pub use config::{Config, Reliable};
pub use event::{ClientId, Counts, EndReason, Event, LegEvent, LegId, Output, RequestId};
pub use spec::{Credentials, Invite, OutOfDialog, Reply};

use crate::{
    HeaderName, Method,
    flow::{Flow, Transport},
};

/// A user agent without sockets or clock.
///
/// Every call may leave something in the output: drain [`poll_output`](Self::poll_output), then wait for the
/// network or for [`poll_timeout`](Self::poll_timeout).
#[derive(Debug)]
pub struct Endpoint {
    config: Config,
}

#[allow(unused_variables, clippy::todo)]
impl Endpoint {
    /// An endpoint whose tags, branches and Call-IDs grow from `seed`.
    pub fn new(config: Config, seed: [u8; 32]) -> Self {
        Self { config }
    }

    /// What Via and Contact say on flows from this local address; without it, the address itself.
    pub fn advertise(&mut self, transport: Transport, local: SocketAddr, host: String, port: u16) {
        todo!()
    }

    /// While draining, INVITEs that would open a dialog are refused with 503 and this Retry-After (seconds).
    pub fn set_draining(&mut self, retry_after: Option<u32>) {
        todo!()
    }

    /// One datagram, or one message framed off a stream.
    pub fn handle_message(&mut self, now: Instant, flow: &Flow, bytes: Bytes) {
        todo!()
    }

    /// The flow is broken: what was sent by it last is lost.
    pub fn handle_transport_error(&mut self, now: Instant, flow: &Flow) {
        todo!()
    }

    /// Does what is due.
    pub fn handle_timeout(&mut self, now: Instant) {
        todo!()
    }

    /// When [`handle_timeout`](Self::handle_timeout) is wanted next. It may turn out that nothing is due then.
    pub fn poll_timeout(&self) -> Option<Instant> {
        todo!()
    }

    /// The next message to be sent, or event.
    pub fn poll_output(&mut self) -> Option<Output> {
        todo!()
    }

    /// How much is remembered.
    pub fn counts(&self) -> Counts {
        todo!()
    }

    /// Answers a request. Nothing happens when it is gone.
    pub fn respond(&mut self, now: Instant, id: RequestId, reply: Reply) {
        todo!()
    }

    /// Sends a request outside of any dialog; its end is told by [`Event::Response`].
    pub fn request(&mut self, now: Instant, spec: OutOfDialog) -> ClientId {
        todo!()
    }

    /// Calls. The leg lives until it reports its end.
    pub fn invite(&mut self, now: Instant, spec: Invite) -> LegId {
        todo!()
    }

    /// Sends 101..=199 to the INVITE that waits, reliably where the configuration and the caller want it.
    pub fn provisional(&mut self, now: Instant, leg: LegId, status: u16, body: Option<Bytes>) {
        todo!()
    }

    /// Sends 200 to the INVITE, re-INVITE or UPDATE that waits, with our answer (or our offer, where none came).
    pub fn accept(&mut self, now: Instant, leg: LegId, body: Option<Bytes>) {
        todo!()
    }

    /// Refuses the INVITE, re-INVITE or UPDATE that waits, with 300..=699.
    pub fn reject(&mut self, now: Instant, leg: LegId, reply: Reply) {
        todo!()
    }

    /// Acknowledges the 2xx to an INVITE that carried no offer, with our answer.
    pub fn ack(&mut self, now: Instant, leg: LegId, body: Option<Bytes>) {
        todo!()
    }

    /// Ends the leg by CANCEL, BYE or a refusal, as its state demands. `reason` is a Reason header (RFC 3326).
    /// [`EndReason::Local`] is reported at once.
    pub fn end(&mut self, now: Instant, leg: LegId, reason: Option<String>) {
        todo!()
    }

    /// Offers another description by re-INVITE, as soon as nothing else is under way. Glare (491) is tried again.
    pub fn modify(&mut self, now: Instant, leg: LegId, body: Bytes) {
        todo!()
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
        todo!()
    }

    /// Our description as it is now, for requests that refresh the session. `accept`, `invite` and `modify`
    /// note theirs by themselves.
    pub fn set_local_body(&mut self, leg: LegId, body: Bytes) {
        todo!()
    }
}
