//! UPDATE (RFC 3311), theirs. Ours only refreshes the session, or is the application's own.

use std::time::Instant;

use bytes::Bytes;

use super::{Arrival, Leg, Phase, put_sdp, refresh::put_session};
use crate::{HeaderName, session_timer::Grant, transaction::layer::Layer};

impl Leg {
    /// Their UPDATE: with an offer it goes to the application, without it is a refresh.
    pub(super) fn receive_update(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        arrival: &Arrival<'_>,
        remote_tag: &str,
    ) {
        match &self.phase {
            Phase::Confirmed | Phase::Calling(_) => {}
            // RFC 3311 section 5.2: their own offer is not answered yet.
            Phase::Incoming(incoming) if !arrival.request.body.is_empty() && !incoming.is_described() => {
                return self.refuse_for_now(now, layer, arrival.id);
            }
            Phase::Incoming(_) => {}
            _ => return self.refuse(now, layer, arrival.id, 481),
        }
        if !arrival.request.body.is_empty() {
            // Two offers at once, or one that our unacknowledged 2xx may still hold.
            if self.outgoing.is_some() || self.late.is_some() || self.answer.is_some() {
                return self.refuse(now, layer, arrival.id, 491);
            }
            return self.offered(now, layer, arrival, true);
        }
        let Some(grant) = self.grant(now, layer, arrival) else { return };
        let headers = &arrival.request.headers;
        if let Some(dialog) = self.dialog_of(remote_tag) {
            dialog.refresh_target(headers);
        }
        self.note_peer(headers);
        self.answer_update(now, layer, arrival.id, grant, None);
        if matches!(self.phase, Phase::Confirmed) {
            self.start_session(now, grant);
        }
    }

    /// 200 to an UPDATE.
    pub(super) fn answer_update(
        &self,
        now: Instant,
        layer: &mut Layer,
        id: u64,
        grant: Grant,
        body: Option<Bytes>,
    ) {
        let Some(flow) = layer.server_flow(id).cloned() else { return };
        let Some(mut response) = self.response(layer, id, 200) else { return };
        self.push_contact(layer, &flow, &mut response.headers);
        response.headers.push(HeaderName::Allow, layer.allow.clone());
        response.headers.push(HeaderName::Supported, layer.supported.clone());
        put_session(&mut response.headers, grant);
        put_sdp(&mut response.headers, &mut response.body, body);
        layer.respond(now, id, &response);
    }
}
