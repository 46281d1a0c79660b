//! The end of a leg: ours by CANCEL, BYE or refusal, and theirs by BYE.

use std::time::Instant;

use super::{Arrival, Leg, MAX_TRIES, Phase, Reaction, cancel::reason_of};
use crate::{
    HeaderName, Method,
    endpoint::{EndReason, LegEvent, Reply, RequestId},
    transaction::layer::{Layer, Owner, Purpose},
};

impl Leg {
    /// Ends the leg as its state demands.
    pub(crate) fn end(&mut self, now: Instant, layer: &mut Layer, reason: Option<String>) {
        match &self.phase {
            Phase::Incoming(incoming) => {
                let server = incoming.server;
                if let Some(mut response) = self.response(layer, server, 480) {
                    if let Some(reason) = reason {
                        response.headers.push(HeaderName::Reason, reason);
                    }
                    layer.respond(now, server, &response);
                }
                self.refuse_pending(now, layer);
                self.emit(layer, LegEvent::Ended { why: EndReason::Local });
                self.close();
            }
            Phase::Calling(calling) => {
                layer.cancel(now, calling.key, reason);
                self.refuse_pending(now, layer);
                self.emit(layer, LegEvent::Ended { why: EndReason::Local });
                self.close();
            }
            Phase::Confirmed => {
                self.emit(layer, LegEvent::Ended { why: EndReason::Local });
                // RFC 3261 section 15: the callee must not hang up before the ACK came.
                if self.answer.as_ref().is_some_and(|answer| answer.first) {
                    self.refuse_pending(now, layer);
                    self.phase = Phase::Leaving(reason);
                } else {
                    self.send_bye(now, layer, reason);
                }
            }
            // Both hang up at once: the application has not seen theirs, or has nothing more to do before its answer.
            Phase::HungUp(id) => {
                let id = *id;
                self.answer_bye(now, layer, id, &Reply::new(200));
            }
            Phase::Leaving(_) | Phase::Closing | Phase::Closed => {}
        }
    }

    /// Whatever of theirs waits is not going to be answered otherwise.
    fn refuse_pending(&mut self, now: Instant, layer: &mut Layer) {
        if let Some(pending) = self.pending.take() {
            self.refuse(now, layer, pending.server, 487);
        }
    }

    /// Hangs up.
    pub(super) fn send_bye(&mut self, now: Instant, layer: &mut Layer, reason: Option<String>) {
        if self.late.is_some() {
            // A 2xx is acknowledged even if nothing is wanted of it.
            self.ack(now, layer, None);
        }
        self.refuse_pending(now, layer);
        self.give_up_outgoing(now, layer);
        self.stop();
        self.tries = 0;
        let Some((mut request, flow)) = self.request(layer, Method::Bye) else { return self.close() };
        if let Some(reason) = reason {
            request.headers.push(HeaderName::Reason, reason);
        }
        layer.send(now, &flow, request, Owner::Leg(self.id, Purpose::Bye), self.auth.is_some());
        self.phase = Phase::Closing;
    }

    /// The answer to our BYE: with that it is over, unless credentials are asked for.
    pub(super) fn bye_answered(&mut self, now: Instant, layer: &mut Layer, mut reaction: Reaction) {
        if let Some(mut request) = reaction.request.take().filter(|_| self.tries < MAX_TRIES)
            && self.mend(layer, &mut request, &reaction)
            && let Some(dialog) = &mut self.dialog
        {
            self.tries += 1;
            let seq = dialog.next_seq();
            request.headers.set(HeaderName::CSeq, format!("{seq} BYE"));
            layer.send(now, &reaction.flow, *request, Owner::Leg(self.id, Purpose::Bye), true);
            return;
        }
        self.close();
    }

    /// Their BYE.
    pub(super) fn receive_bye(&mut self, now: Instant, layer: &mut Layer, arrival: Arrival<'_>) {
        match &self.phase {
            Phase::Confirmed => {
                self.refuse_pending(now, layer);
                self.give_up_outgoing(now, layer);
                self.stop();
                self.late = None;
                self.phase = Phase::HungUp(arrival.id);
                let event = LegEvent::Bye { id: RequestId(arrival.id), request: arrival.request };
                self.emit(layer, event);
            }
            // Both hang up at once: ours needs no answer any more.
            Phase::Leaving(_) | Phase::Closing => {
                self.refuse(now, layer, arrival.id, 200);
                self.close();
            }
            // RFC 3261 section 15: the caller may end an early dialog so.
            Phase::Incoming(incoming) => {
                let server = incoming.server;
                self.refuse(now, layer, arrival.id, 200);
                self.refuse(now, layer, server, 487);
                self.refuse_pending(now, layer);
                self.emit(layer, LegEvent::Cancelled { reason: reason_of(&arrival.request) });
                self.close();
            }
            Phase::HungUp(_) => self.refuse(now, layer, arrival.id, 200),
            Phase::Calling(_) | Phase::Closed => self.refuse(now, layer, arrival.id, 481),
        }
    }

    /// The application's answer to their BYE, or ours in its place.
    pub(crate) fn answer_bye(&mut self, now: Instant, layer: &mut Layer, id: u64, reply: &Reply) {
        if let Some(mut response) = self.response(layer, id, reply.status.clamp(200, 699)) {
            reply.fill(&mut response);
            layer.respond(now, id, &response);
        }
        if matches!(self.phase, Phase::HungUp(_)) {
            self.close();
        }
    }
}
