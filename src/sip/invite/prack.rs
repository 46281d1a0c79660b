//! Reliable provisional responses (RFC 3262), both sides.

use std::time::Instant;

use bytes::Bytes;

use super::{Arrival, Early, Leg, Phase, Unacknowledged, body_of, put_sdp};
use crate::{
    HeaderName, Method, Response,
    endpoint::{EndReason, LegEvent},
    header::{RAck, RSeq},
    timer::Timer,
    transaction::layer::{Layer, Owner, Purpose},
};

/// Provisional responses that wait for the PRACK of the one before. Ringing says nothing new when repeated, so a
/// few are all that an application can mean.
const MAX_QUEUE: usize = 8;

impl Leg {
    /// Sends a provisional response reliably, when the one before it is acknowledged.
    pub(super) fn provisional_reliable(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        status: u16,
        body: Option<Bytes>,
    ) {
        let Phase::Incoming(incoming) = &mut self.phase else { return };
        if incoming.unacknowledged.is_some() {
            if incoming.queue.len() < MAX_QUEUE {
                incoming.queue.push_back((status, body));
            }
            return;
        }
        incoming.rseq += 1;
        let (server, rseq, seq) = (incoming.server, incoming.rseq, incoming.seq);
        // One description is enough: a second one would be a new offer.
        let body = if incoming.described { None } else { body };
        let has_body = body.is_some();
        incoming.described |= has_body;
        let Some(flow) = layer.server_flow(server).cloned() else { return };
        let Some(mut response) = self.response(layer, server, status) else { return };
        self.push_contact(layer, &flow, &mut response.headers);
        response.headers.push(HeaderName::Require, "100rel");
        response.headers.push_typed(&RSeq(rseq));
        response.headers.push(HeaderName::Allow, layer.allow.clone());
        put_sdp(&mut response.headers, &mut response.body, body);
        let Some(bytes) = layer.respond(now, server, &response) else { return };
        let interval = layer.config.t1;
        self.proven = Some((rseq, seq));
        if let Phase::Incoming(incoming) = &mut self.phase {
            incoming.unacknowledged = Some(Unacknowledged { bytes, flow, interval, has_body });
        }
        self.set(Timer::Provisional, now + interval);
        self.set(Timer::Prack, now + layer.patience());
    }

    pub(super) fn repeat_provisional(&mut self, now: Instant, layer: &mut Layer) {
        let Phase::Incoming(incoming) = &mut self.phase else { return };
        let Some(response) = &mut incoming.unacknowledged else { return };
        response.interval *= 2;
        layer.transmit(&response.flow, response.bytes.clone());
        let next = now + response.interval;
        self.set(Timer::Provisional, next);
    }

    /// RFC 3262 section 3: without PRACK the INVITE is refused with a 5xx.
    pub(super) fn provisional_unacknowledged(&mut self, now: Instant, layer: &mut Layer) {
        let Phase::Incoming(incoming) = &self.phase else { return };
        self.refuse(now, layer, incoming.server, 504);
        self.emit(layer, LegEvent::Ended { why: EndReason::NoAck });
        self.close();
    }

    /// Their PRACK.
    pub(super) fn receive_prack(&mut self, now: Instant, layer: &mut Layer, arrival: &Arrival<'_>) {
        let Ok(rack) = arrival.request.headers.typed::<RAck>() else {
            return self.refuse(now, layer, arrival.id, 400);
        };
        if rack.cseq.method != Method::Invite || self.proven != Some((rack.rseq, rack.cseq.number)) {
            return self.refuse(now, layer, arrival.id, 481);
        }
        let acknowledged = match &mut self.phase {
            Phase::Incoming(incoming) => {
                let offered = incoming.offered;
                incoming.unacknowledged.take().map(|response| (offered, response.has_body))
            }
            _ => None,
        };
        self.timers.clear(Timer::Provisional);
        self.timers.clear(Timer::Prack);
        let body = body_of(&arrival.request.body);
        match (acknowledged, body) {
            // Our provisional response carried the offer: this is the answer.
            (Some((false, true)), body @ Some(_)) => {
                self.refuse(now, layer, arrival.id, 200);
                self.emit(layer, LegEvent::Answer { body });
            }
            // A further offer is refused, the response is acknowledged all the same.
            (_, Some(_)) => self.refuse(now, layer, arrival.id, 488),
            (_, None) => self.refuse(now, layer, arrival.id, 200),
        }
        if acknowledged.is_some() {
            self.after_prack(now, layer);
        }
    }

    fn after_prack(&mut self, now: Instant, layer: &mut Layer) {
        let Phase::Incoming(incoming) = &mut self.phase else { return };
        if let Some(body) = incoming.accepted.take() {
            return self.accept_invite(now, layer, body);
        }
        if let Some((status, body)) = incoming.queue.pop_front() {
            self.provisional_reliable(now, layer, status, body);
        }
    }

    /// Acknowledges a reliable provisional response to our INVITE. Whether it is news: one that was seen, or that
    /// came too early, is not (RFC 3262 section 4).
    pub(super) fn prove(&mut self, now: Instant, layer: &mut Layer, tag: &str, response: &Response) -> bool {
        if !response.headers.has_token(&HeaderName::Require, "100rel") {
            return true;
        }
        let (Ok(rseq), Ok(cseq)) = (response.headers.typed::<RSeq>(), response.headers.cseq()) else {
            return false;
        };
        let id = self.id;
        let Phase::Calling(calling) = &mut self.phase else { return false };
        let Some(early) = calling.early.iter_mut().find(|early| &*early.dialog.remote_tag == tag) else {
            return false;
        };
        if early.rseq.is_some_and(|last| last.checked_add(1) != Some(rseq.0)) {
            return false;
        }
        early.rseq = Some(rseq.0);
        let Early { dialog, .. } = early;
        let seq = dialog.next_seq();
        let mut prack = dialog.request(Method::Prack, seq);
        prack.headers.push_typed(&RAck { rseq: rseq.0, cseq: cseq.into_owned() });
        layer.name(&mut prack.headers, true);
        let flow = dialog.flow.clone();
        layer.send(now, &flow, prack, Owner::Leg(id, Purpose::Prack), false);
        true
    }
}
