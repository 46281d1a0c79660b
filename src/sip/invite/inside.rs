//! Other requests within the dialog: INFO, MESSAGE, REFER, NOTIFY and the like, both ways.

use std::time::Instant;

use bytes::Bytes;

use super::{Arrival, Leg, MAX_TRIES, Phase, Reaction, SDP};
use crate::{
    HeaderName, Method, StatusCode,
    endpoint::{ClientId, EndReason, Event, LegEvent, Reply, RequestId},
    transaction::layer::{Layer, Owner, Purpose},
};

impl Leg {
    /// Their request goes to the application; but what we are able to do is known here.
    pub(super) fn receive_inside(&mut self, now: Instant, layer: &mut Layer, arrival: Arrival<'_>) {
        match self.phase {
            Phase::Confirmed | Phase::Incoming(_) | Phase::Calling(_)
                if arrival.request.method == Method::Options =>
            {
                let able = Reply::new(200).header(HeaderName::Accept, SDP);
                self.answer_inside(now, layer, arrival.id, &able);
            }
            Phase::Confirmed | Phase::Incoming(_) | Phase::Calling(_) => {
                let event = LegEvent::Request { id: RequestId(arrival.id), request: arrival.request };
                self.emit(layer, event);
            }
            _ => self.refuse(now, layer, arrival.id, 481),
        }
    }

    /// The application's request.
    pub(crate) fn send_inside(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        client: ClientId,
        method: Method,
        headers: Vec<(HeaderName, String)>,
        body: Option<(String, Bytes)>,
    ) {
        let open = matches!(self.phase, Phase::Confirmed | Phase::Incoming(_));
        let separate = matches!(method, Method::Invite | Method::Ack | Method::Cancel | Method::Bye);
        if !open || separate {
            return Self::report_unsent(layer, client);
        }
        let refreshes_target =
            matches!(method, Method::Update | Method::Refer | Method::Subscribe | Method::Notify);
        let Some((mut request, flow)) = self.request(layer, method) else {
            return Self::report_unsent(layer, client);
        };
        if refreshes_target {
            self.push_contact(layer, &flow, &mut request.headers);
        }
        for (name, value) in headers {
            request.headers.push(name, value);
        }
        if let Some((content_type, body)) = body {
            request.headers.push(HeaderName::ContentType, content_type);
            request.body = body;
        }
        let owner = Owner::Leg(self.id, Purpose::Inside(client, 0));
        layer.send(now, &flow, request, owner, self.auth.is_some());
    }

    /// The end of the application's request.
    pub(super) fn inside_answered(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        client: ClientId,
        tries: u8,
        mut reaction: Reaction,
    ) {
        if let Some(mut request) = reaction.request.take().filter(|_| tries < MAX_TRIES)
            && !matches!(self.phase, Phase::Closed)
            && self.mend(layer, &mut request, &reaction)
            && let Some(dialog) = &mut self.dialog
        {
            let seq = dialog.next_seq();
            request.headers.set(HeaderName::CSeq, format!("{seq} {}", request.method));
            let owner = Owner::Leg(self.id, Purpose::Inside(client, tries + 1));
            layer.send(now, &reaction.flow, *request, owner, true);
            return;
        }
        let status = reaction.response.status;
        layer.event(Event::Response { id: client, response: Some(reaction.response) });
        if matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST) {
            self.fail(now, layer, EndReason::Unreachable);
        }
    }

    pub(super) fn inside_unanswered(&mut self, now: Instant, layer: &mut Layer, client: ClientId) {
        layer.event(Event::Response { id: client, response: None });
        self.fail(now, layer, EndReason::Unreachable);
    }

    /// The application's answer to their request.
    pub(crate) fn answer_inside(&self, now: Instant, layer: &mut Layer, id: u64, reply: &Reply) {
        let Some(mut response) = self.response(layer, id, reply.status.clamp(200, 699)) else { return };
        reply.fill(&mut response);
        layer.respond(now, id, &response);
    }
}
