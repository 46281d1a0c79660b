//! Requests outside of any dialog, other than INVITE, both ways.

use std::time::Instant;

use super::{ClientId, Endpoint, Event, OutOfDialog, Reply};
use crate::{
    HeaderName, Method, Request, StatusCode, auth::ClientAuth, invite::Reaction, text::hex,
    transaction::layer::Owner,
};

/// How often a request is sent again with credentials.
const MAX_TRIES: u8 = 3;

/// What a request of ours needs when it is challenged.
#[derive(Debug)]
pub(super) struct Outside {
    auth: ClientAuth,
    tries: u8,
}

impl Endpoint {
    pub(super) fn send_outside(&mut self, now: Instant, spec: OutOfDialog) -> ClientId {
        let id = ClientId(self.number());
        let layer = &mut self.layer;
        let mut request = Request::new(spec.method, spec.target);
        let headers = &mut request.headers;
        for hop in &spec.route {
            headers.push(HeaderName::Route, hop.to_string());
        }
        headers.push(HeaderName::MaxForwards, "70");
        let mut from = spec.from;
        from.params.set("tag", Some(&hex(layer.random())));
        headers.push(HeaderName::From, from.to_string());
        headers.push(HeaderName::To, spec.to.to_string());
        headers.push(HeaderName::CallId, spec.call_id.unwrap_or_else(|| layer.call_id()));
        headers.push(HeaderName::CSeq, format!("{} {}", spec.cseq.unwrap_or(1), request.method));
        let has_contact = spec.headers.iter().any(|(name, _)| *name == HeaderName::Contact);
        if !has_contact && matches!(request.method, Method::Subscribe | Method::Refer) {
            headers.push(
                HeaderName::Contact,
                layer.contact(&spec.flow, from.uri.raw_user(), request.uri.is_secure()),
            );
        }
        layer.name(headers, true);
        for (name, value) in spec.headers {
            headers.push(name, value);
        }
        if let Some((content_type, body)) = spec.body {
            headers.push(HeaderName::ContentType, content_type);
            request.body = body;
        }
        if let Some(credentials) = spec.credentials {
            let auth = ClientAuth::new(credentials.user, credentials.password);
            self.outside.insert(id, Outside { auth, tries: 0 });
        }
        let keep = self.outside.contains_key(&id);
        self.layer.send(now, &spec.flow, request, Owner::Application(id), keep);
        id
    }

    pub(super) fn outside_answered(&mut self, now: Instant, id: ClientId, mut reaction: Reaction) {
        let challenged = matches!(
            reaction.response.status,
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED
        );
        if challenged
            && let Some(mut request) = reaction.request.take()
            && let Some(outside) = self.outside.get_mut(&id)
            && outside.tries < MAX_TRIES
            && outside.auth.challenged(&request, &reaction.response).is_ok()
        {
            outside.tries += 1;
            outside.auth.authorize(&mut request, &hex(self.layer.random()));
            let seq = request.headers.cseq().map_or(1, |cseq| cseq.number.saturating_add(1));
            request.headers.set(HeaderName::CSeq, format!("{seq} {}", request.method));
            self.layer.send(now, &reaction.flow, *request, Owner::Application(id), true);
            return;
        }
        self.outside.remove(&id);
        self.layer.event(Event::Response { id, response: Some(reaction.response) });
    }

    pub(super) fn outside_unanswered(&mut self, id: ClientId) {
        self.outside.remove(&id);
        self.layer.event(Event::Response { id, response: None });
    }

    /// The application's answer to their request.
    pub(super) fn answer_outside(&mut self, now: Instant, id: u64, reply: &Reply) {
        let tag = hex(self.layer.random());
        let Some(mut response) = self.layer.response(id, reply.status.clamp(200, 699), Some(&tag)) else {
            return;
        };
        reply.fill(&mut response);
        self.layer.respond(now, id, &response);
    }
}
