//! Changing a session by re-INVITE (RFC 3261 section 14), both sides.

use std::time::{Duration, Instant};

use bytes::Bytes;

use super::{Arrival, Leg, MAX_TRIES, Outgoing, Pending, Phase, Reaction, body_of, put_sdp, refresh};
use crate::{
    HeaderName, Method, StatusCode,
    endpoint::{EndReason, LegEvent, Reply},
    header::RetryAfter,
    session_timer::{self, Grant},
    timer::Timer,
    transaction::layer::{Layer, Owner, Purpose},
};

/// How often a re-INVITE that meets 491 is tried again.
const MAX_GLARES: u8 = 8;

/// The longest Retry-After of a 500 that is waited for (RFC 3261 section 14.2 names 0 to 10 seconds).
const MAX_RETRY_AFTER: u32 = 10;

impl Leg {
    /// Whether an offer of ours may go.
    fn is_quiet(&self) -> bool {
        matches!(self.phase, Phase::Confirmed)
            && self.outgoing.is_none()
            && self.pending.is_none()
            && self.answer.is_none()
            && self.late.is_none()
            && self.timers.at(Timer::Glare).is_none()
    }

    /// Offers another description.
    pub(crate) fn modify(&mut self, now: Instant, layer: &mut Layer, body: Bytes) {
        match self.phase {
            Phase::Confirmed | Phase::Incoming(_) | Phase::Calling(_) => {
                self.wish = Some(body);
                self.glares = 0;
                self.pursue_wish(now, layer);
            }
            // It has ended, and said so.
            _ => {}
        }
    }

    /// Sends the re-INVITE that waits, if nothing else is under way.
    pub(super) fn pursue_wish(&mut self, now: Instant, layer: &mut Layer) {
        if !self.is_quiet() {
            return;
        }
        if let Some(body) = self.wish.take() {
            self.send_reinvite(now, layer, Some(body), false);
        }
    }

    fn send_reinvite(&mut self, now: Instant, layer: &mut Layer, body: Option<Bytes>, refresh: bool) {
        let session = self.session;
        let Some((mut request, flow)) = self.request(layer, Method::Invite) else { return };
        self.push_contact(layer, &flow, &mut request.headers);
        request.headers.push(HeaderName::Allow, layer.allow.clone());
        request.headers.push(HeaderName::Supported, layer.supported_without("100rel"));
        refresh::ask_for_session(layer, &mut request.headers, session);
        put_sdp(&mut request.headers, &mut request.body, body.clone());
        let key = layer.send(now, &flow, request, Owner::Leg(self.id, Purpose::Modify), true);
        self.outgoing = Some(Outgoing { key, body, refresh, tries: 0 });
    }

    /// Refreshes the session by the description that stands. Whether it could go.
    pub(super) fn reinvite_as_it_is(&mut self, now: Instant, layer: &mut Layer) -> bool {
        let body = self.local_body.clone();
        let can = self.is_quiet() && body.is_some();
        if can {
            self.send_reinvite(now, layer, body, true);
        }
        can
    }

    /// The leg ends: whatever comes back for our re-INVITE is only acknowledged.
    pub(super) fn give_up_outgoing(&mut self, now: Instant, layer: &mut Layer) {
        if let Some(outgoing) = self.outgoing.take() {
            layer.disown(now, outgoing.key);
        }
    }

    /// A response to our re-INVITE.
    pub(super) fn modify_answered(&mut self, now: Instant, layer: &mut Layer, mut reaction: Reaction) {
        let status = reaction.response.status;
        if status.is_provisional() {
            return;
        }
        let Some(mut outgoing) = self.outgoing.take_if(|outgoing| outgoing.key == reaction.key) else {
            return;
        };
        if status.is_success() {
            return self.modified(now, layer, reaction, outgoing);
        }
        if outgoing.tries < MAX_TRIES
            && let Some(mut request) = reaction.request.take()
            && self.mend(layer, &mut request, &reaction)
            && let Some(dialog) = &mut self.dialog
        {
            let seq = dialog.next_seq();
            request.headers.set(HeaderName::CSeq, format!("{seq} INVITE"));
            let owner = Owner::Leg(self.id, Purpose::Modify);
            outgoing.key = layer.send(now, &reaction.flow, *request, owner, true);
            outgoing.tries += 1;
            self.outgoing = Some(outgoing);
            return;
        }
        match status {
            StatusCode::REQUEST_TIMEOUT | StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST => {
                self.fail(now, layer, EndReason::Unreachable);
            }
            _ => match self.glare_delay(layer, &reaction) {
                Some(delay) if self.glares < MAX_GLARES => {
                    self.glares += 1;
                    if outgoing.refresh {
                        self.set(Timer::Refresh, now + delay);
                    } else {
                        self.wish = self.wish.take().or(outgoing.body);
                    }
                    self.set(Timer::Glare, now + delay);
                }
                _ => {
                    if !outgoing.refresh {
                        self.emit(layer, LegEvent::ModifyFailed { status: status.code() });
                    }
                    self.pursue_wish(now, layer);
                }
            },
        }
    }

    /// How long to wait before a refused offer is made again (RFC 3261 section 14.1): the side that made the
    /// call waits longer.
    fn glare_delay(&self, layer: &mut Layer, reaction: &Reaction) -> Option<Duration> {
        match reaction.response.status {
            StatusCode::REQUEST_PENDING if self.caller => {
                Some(Duration::from_millis(2100) + layer.random_delay(Duration::from_millis(1900)))
            }
            StatusCode::REQUEST_PENDING => Some(layer.random_delay(Duration::from_secs(2))),
            StatusCode::SERVER_INTERNAL_ERROR => {
                let after = reaction.response.headers.typed::<RetryAfter>().ok()?;
                (after.0 <= MAX_RETRY_AFTER).then(|| Duration::from_secs(after.0.into()))
            }
            _ => None,
        }
    }

    fn modified(&mut self, now: Instant, layer: &mut Layer, reaction: Reaction, outgoing: Outgoing) {
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh_target(&reaction.response.headers);
        }
        self.note_peer(&reaction.response.headers);
        self.acknowledge(layer, reaction.key, &reaction, None);
        self.glares = 0;
        self.set_session(now, session_timer::granted(&reaction.response.headers));
        let body = body_of(&reaction.response.body);
        if outgoing.refresh {
            self.emit(layer, LegEvent::Refreshed { body });
        } else {
            self.local_body = outgoing.body;
            self.emit(layer, LegEvent::Answer { body });
        }
        self.pursue_wish(now, layer);
    }

    pub(super) fn modify_unanswered(&mut self, now: Instant, layer: &mut Layer) {
        if self.outgoing.take().is_some_and(|outgoing| !outgoing.refresh) {
            self.emit(layer, LegEvent::ModifyFailed { status: 408 });
        }
        self.fail(now, layer, EndReason::Unreachable);
    }

    /// Their re-INVITE.
    pub(super) fn receive_reinvite(&mut self, now: Instant, layer: &mut Layer, arrival: &Arrival<'_>) {
        match self.phase {
            Phase::Confirmed => {}
            Phase::Incoming(_) | Phase::Calling(_) => return self.refuse_for_now(now, layer, arrival.id),
            _ => return self.refuse(now, layer, arrival.id, 481),
        }
        if self.outgoing.is_some() || self.late.is_some() || self.answer.is_some() {
            return self.refuse(now, layer, arrival.id, 491);
        }
        self.offered(now, layer, arrival, false);
    }

    /// An offer of theirs, by re-INVITE or UPDATE, goes to the application.
    pub(super) fn offered(&mut self, now: Instant, layer: &mut Layer, arrival: &Arrival<'_>, update: bool) {
        if self.pending.is_some() {
            return self.refuse_for_now(now, layer, arrival.id);
        }
        let Some(grant) = self.grant(now, layer, arrival) else { return };
        let headers = &arrival.request.headers;
        if let Some(dialog) = &mut self.dialog {
            dialog.refresh_target(headers);
        }
        self.note_peer(headers);
        self.pending = Some(Pending { server: arrival.id, seq: arrival.seq, update, grant });
        self.emit(layer, LegEvent::Offer { body: body_of(&arrival.request.body), update });
    }

    /// 200 to their re-INVITE or UPDATE.
    pub(super) fn accept_modification(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        pending: &Pending,
        body: Option<Bytes>,
    ) {
        if body.is_some() {
            self.local_body.clone_from(&body);
        }
        if pending.update {
            self.answer_update(now, layer, pending.server, pending.grant, body);
        } else {
            self.send_answer(now, layer, pending, body, false);
        }
        self.start_session(now, pending.grant);
        self.pursue_wish(now, layer);
    }

    /// What their request is granted of a session timer; refuses it itself when the interval is too small.
    pub(super) fn grant(&self, now: Instant, layer: &mut Layer, arrival: &Arrival<'_>) -> Option<Grant> {
        let headers = &arrival.request.headers;
        let grant = session_timer::grant(&layer.config, headers, headers.supports("timer"));
        if let Grant::TooSmall(floor) = grant {
            let mut response = self.response(layer, arrival.id, 422)?;
            Reply::new(422).header(HeaderName::MinSe, floor.to_string()).fill(&mut response);
            layer.respond(now, arrival.id, &response);
            return None;
        }
        Some(grant)
    }
}
