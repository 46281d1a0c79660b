//! Answering an INVITE: provisional responses, 2xx until its ACK, refusal.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use bytes::Bytes;

use super::{Answer, Incoming, Leg, Opening, Pending, Phase, body_of, put_sdp, refresh::put_session};
use crate::{
    HeaderName, Request, Text,
    dialog::Dialog,
    endpoint::{EndReason, LegEvent, LegId, Reliable, Reply},
    session_timer::Grant,
    timer::Timer,
    transaction::layer::Layer,
};

/// How often the last provisional response is repeated (RFC 3261 section 13.3.1.1).
const RINGING_INTERVAL: Duration = Duration::from_secs(60);

impl Leg {
    /// Their INVITE opens a leg. None when it cannot make a dialog.
    pub(crate) fn incoming(
        layer: &mut Layer,
        id: LegId,
        tag: u64,
        arrival: &Opening<'_>,
        grant: Grant,
    ) -> Option<Self> {
        let request = arrival.request;
        let headers = &request.headers;
        let reliable = headers.has_token(&HeaderName::Require, "100rel")
            || (layer.config.reliable_provisionals == Reliable::WhenSupported && headers.supports("100rel"));
        let incoming = Incoming {
            server: arrival.id,
            seq: arrival.seq,
            offered: body_of(&request.body).is_some(),
            reliable,
            grant,
            unacknowledged: None,
            queue: VecDeque::new(),
            rseq: u32::from(layer.random() as u16),
            described: false,
            accepted: None,
            last: None,
        };
        let mut leg = Self::new(id, tag, Phase::Incoming(Box::new(incoming)), false);
        leg.dialog = Some(Dialog::as_server(request, &leg.tag_text(), arrival.flow, arrival.nat)?);
        leg.user = user_of(request);
        leg.secure = request.uri.is_secure();
        leg.note_peer(headers);
        Some(leg)
    }

    /// Sends 101..=199 to the INVITE.
    pub(crate) fn provisional(&mut self, now: Instant, layer: &mut Layer, status: u16, body: Option<Bytes>) {
        let status = status.clamp(101, 199);
        let Phase::Incoming(incoming) = &mut self.phase else { return };
        if incoming.accepted.is_some() {
            return;
        }
        if body.is_some() {
            self.local_body.clone_from(&body);
        }
        incoming.last = Some((status, body.clone()));
        self.timers.set(Timer::Ringing, now + RINGING_INTERVAL);
        if incoming.reliable {
            self.provisional_reliable(now, layer, status, body);
        } else {
            self.send_provisional(now, layer, status, body);
        }
    }

    fn send_provisional(&mut self, now: Instant, layer: &mut Layer, status: u16, body: Option<Bytes>) {
        let Phase::Incoming(incoming) = &self.phase else { return };
        let server = incoming.server;
        let Some(mut response) = self.response(layer, server, status) else { return };
        if let Some(flow) = layer.server_flow(server).cloned() {
            self.push_contact(layer, &flow, &mut response.headers);
        }
        response.headers.push(HeaderName::Allow, layer.allow.clone());
        put_sdp(&mut response.headers, &mut response.body, body);
        layer.respond(now, server, &response);
    }

    pub(super) fn repeat_ringing(&mut self, now: Instant, layer: &mut Layer) {
        let Phase::Incoming(incoming) = &self.phase else { return };
        if let Some((status, body)) = incoming.last.clone() {
            if !incoming.reliable {
                self.send_provisional(now, layer, status, body);
            } else if incoming.unacknowledged.is_none() {
                self.provisional_reliable(now, layer, status, None);
            }
            self.set(Timer::Ringing, now + RINGING_INTERVAL);
        }
    }

    /// 2xx to whatever waits.
    pub(crate) fn accept(&mut self, now: Instant, layer: &mut Layer, body: Option<Bytes>) {
        if let Some(pending) = self.pending.take() {
            return self.accept_modification(now, layer, &pending, body);
        }
        let Phase::Incoming(incoming) = &mut self.phase else { return };
        if body.is_some() {
            self.local_body.clone_from(&body);
        }
        // RFC 3262 section 3: not while a reliable provisional response with a description is unacknowledged.
        if incoming.unacknowledged.as_ref().is_some_and(|response| response.has_body) {
            incoming.accepted = Some(body);
            return;
        }
        self.accept_invite(now, layer, body);
    }

    /// 2xx to the INVITE.
    pub(super) fn accept_invite(&mut self, now: Instant, layer: &mut Layer, body: Option<Bytes>) {
        let Phase::Incoming(incoming) = &self.phase else { return };
        let (server, seq, grant) = (incoming.server, incoming.seq, incoming.grant);
        // Offer and answer are through when a reliable provisional response carried ours: the answer to theirs, or
        // the offer that its PRACK answered.
        let body = if incoming.described { None } else { body };
        for timer in [Timer::Provisional, Timer::Prack, Timer::Ringing] {
            self.timers.clear(timer);
        }
        self.phase = Phase::Confirmed;
        self.send_answer(now, layer, &Pending { server, seq, update: false, grant }, body, true);
        self.start_session(now, grant);
    }

    /// Sends a 2xx to an INVITE, to be repeated until its ACK comes (RFC 3261 section 13.3.1.4).
    pub(super) fn send_answer(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        to: &Pending,
        body: Option<Bytes>,
        first: bool,
    ) {
        let (server, seq) = (to.server, to.seq);
        let Some(flow) = layer.server_flow(server).cloned() else { return };
        let Some(mut response) = self.response(layer, server, 200) else { return };
        self.push_contact(layer, &flow, &mut response.headers);
        response.headers.push(HeaderName::Allow, layer.allow.clone());
        response.headers.push(HeaderName::Supported, layer.supported.clone());
        put_session(&mut response.headers, to.grant);
        put_sdp(&mut response.headers, &mut response.body, body);
        let Some(bytes) = layer.respond(now, server, &response) else { return };
        let interval = layer.config.t1;
        self.answer = Some(Answer { bytes, flow, interval, seq, first });
        self.set(Timer::Answer, now + interval);
        self.set(Timer::Ack, now + layer.patience());
    }

    pub(super) fn repeat_answer(&mut self, now: Instant, layer: &mut Layer) {
        let Some(answer) = &mut self.answer else { return };
        answer.interval = (answer.interval * 2).min(layer.config.t2);
        layer.transmit(&answer.flow, answer.bytes.clone());
        let next = now + answer.interval;
        self.set(Timer::Answer, next);
    }

    /// No ACK came: RFC 3261 sections 13.3.1.4 and 14.2.
    pub(super) fn answer_unacknowledged(&mut self, now: Instant, layer: &mut Layer) {
        self.answer = None;
        self.timers.clear(Timer::Answer);
        match &mut self.phase {
            Phase::Leaving(reason) => {
                let reason = reason.take();
                self.send_bye(now, layer, reason);
            }
            _ => self.fail(now, layer, EndReason::NoAck),
        }
    }

    /// A refusal of whatever waits.
    pub(crate) fn reject(&mut self, now: Instant, layer: &mut Layer, reply: &Reply) {
        if let Some(pending) = self.pending.take() {
            self.send_reply(now, layer, pending.server, reply);
            return self.pursue_wish(now, layer);
        }
        let Phase::Incoming(incoming) = &self.phase else { return };
        let server = incoming.server;
        self.send_reply(now, layer, server, reply);
        self.emit(layer, LegEvent::Ended { why: EndReason::Local });
        self.close();
    }

    /// Refuses the INVITE that opens this leg, once, if nothing has been said to it yet; else as [`reject`](Self::reject).
    pub(crate) fn turn_away(&mut self, now: Instant, layer: &mut Layer, reply: &Reply) {
        if let (Phase::Incoming(incoming), None) = (&self.phase, &self.pending)
            && layer
                .refuse_once(incoming.server, reply.status.clamp(300, 699), |response| reply.fill(response))
        {
            self.emit(layer, LegEvent::Ended { why: EndReason::Local });
            return self.close();
        }
        self.reject(now, layer, reply);
    }

    fn send_reply(&self, now: Instant, layer: &mut Layer, server: u64, reply: &Reply) {
        let Some(mut response) = self.response(layer, server, reply.status.clamp(300, 699)) else { return };
        reply.fill(&mut response);
        layer.respond(now, server, &response);
    }
}

impl Reply {
    /// Puts reason phrase, headers and body in.
    pub(crate) fn fill(&self, response: &mut crate::Response) {
        if let Some(reason) = &self.reason {
            response.reason = Text::from(reason.replace(['\r', '\n'], " "));
        }
        for (name, value) in &self.headers {
            response.headers.push(name.clone(), value.clone());
        }
        if let Some((content_type, body)) = &self.body {
            response.headers.push(HeaderName::ContentType, content_type.clone());
            response.body = body.clone();
        }
    }
}

/// The user the request is for, as our Contact repeats it.
fn user_of(request: &Request) -> Option<String> {
    request.uri.raw_user().map(str::to_owned)
}
