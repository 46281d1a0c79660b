//! What arrives: read, checked and given to whom it is for.

use std::{net::SocketAddr, time::Instant};

use bytes::Bytes;

use super::{Endpoint, Event, LegId, RequestId};
use crate::{
    HeaderName, Message, Method, Request, Response, Text,
    flow::{Flow, Transport},
    header::{ContentType, MaxForwards, Via},
    invite::{Arrival, Leg, Opening, SDP},
    session_timer::{self, Grant},
    text::hex,
    transaction::layer::{Layer, ServerOwner},
};

/// A new request on its way in.
struct Inbound<'a> {
    request: Box<Request>,
    /// Where it came from.
    flow: &'a Flow,
    /// Where its responses go.
    back: Flow,
    nat: bool,
    key: u128,
    seq: u32,
}

impl Endpoint {
    pub(super) fn receive(&mut self, now: Instant, flow: &Flow, bytes: Bytes) {
        // RFC 5626 keepalives and stray line ends.
        if bytes.iter().all(|b| matches!(b, b'\r' | b'\n' | 0)) {
            return;
        }
        match Message::parse(bytes) {
            Ok(Message::Response(response)) => {
                if let Some(upcall) = self.layer.receive_response(now, response) {
                    self.take_upcall(now, upcall);
                }
            }
            Ok(Message::Request(request)) => self.receive_request(now, flow, Box::new(request)),
            Err(malformed) => {
                tracing::debug!(status = malformed.status.code(), "malformed message");
                if let Some(mut reply) = malformed.reply()
                    && let Ok(mut via) = reply.headers.typed::<Via>()
                {
                    let (back, _) = note_source(&mut via, flow);
                    reply.headers.set_first(&via);
                    self.layer.transmit(&back, reply.to_bytes());
                }
            }
        }
    }

    fn receive_request(&mut self, now: Instant, flow: &Flow, mut request: Box<Request>) {
        let (Ok(via), Ok(cseq)) = (request.headers.top_via(), request.headers.cseq()) else { return };
        let (mut via, seq) = (via.into_owned(), cseq.number);
        let key_method = match request.method {
            Method::Ack | Method::Cancel => Method::Invite,
            ref other => other.clone(),
        };
        let key = self.layer.server_key(&request, &via, &key_method);
        let known = self.layer.find_server(key);
        let (back, nat) = note_source(&mut via, flow);
        request.headers.set_first(&via);
        let inbound = Inbound { request, flow, back, nat, key, seq };
        match (&inbound.request.method, known) {
            (Method::Ack, Some(id)) if self.layer.acknowledged(now, id) => {}
            (Method::Ack, _) => self.receive_ack(now, &inbound.request),
            (Method::Cancel, known) => self.receive_cancel(now, &inbound, known),
            (_, Some(id)) => self.layer.request_again(now, id),
            (_, None) => self.receive_new(now, inbound),
        }
    }

    fn receive_ack(&mut self, now: Instant, request: &Request) {
        if let Some((leg, _)) = self.find_dialog(request) {
            self.with_leg(leg, |leg, layer| leg.receive_ack(now, layer, request));
        }
    }

    fn receive_cancel(&mut self, now: Instant, inbound: &Inbound<'_>, known: Option<u64>) {
        let owner = known.and_then(|id| self.layer.server_owner(id));
        let leg = match owner {
            Some(ServerOwner::Leg(leg)) => leg,
            _ => return self.refuse(inbound, 481, |_| {}),
        };
        // The tag is that of the responses to the INVITE (RFC 3261 section 9.2).
        let tag = self.legs.get(&leg).map(|leg| hex(leg.tag));
        let tag = tag.unwrap_or_else(|| Layer::stateless_tag(inbound.key));
        let response = inbound.request.response(crate::StatusCode::OK, Some(&tag));
        self.layer.transmit(&inbound.back, response.to_bytes());
        self.with_leg(leg, |leg, layer| leg.receive_cancel(now, layer, &inbound.request));
    }

    fn receive_new(&mut self, now: Instant, inbound: Inbound<'_>) {
        if !self.is_acceptable(&inbound) {
            return;
        }
        let to = inbound.request.headers.to().ok();
        if to.as_ref().is_some_and(|to| to.tag().is_some()) {
            return self.receive_inside(now, inbound);
        }
        match inbound.request.method {
            // These have no meaning without a dialog.
            Method::Bye | Method::Prack | Method::Update => self.refuse(&inbound, 481, |_| {}),
            _ => self.receive_outside(now, inbound),
        }
    }

    /// RFC 3261 section 8.2: refuses what cannot be understood.
    fn is_acceptable(&mut self, inbound: &Inbound<'_>) -> bool {
        let request = &inbound.request;
        if !self.layer.config.allow.contains(&request.method) {
            let status = if matches!(request.method, Method::Other(_)) { 501 } else { 405 };
            let allow = self.layer.allow.clone();
            self.refuse(inbound, status, |response| response.headers.push(HeaderName::Allow, allow));
            return false;
        }
        let unsupported: Vec<String> = request
            .headers
            .tokens(&HeaderName::Require)
            .filter(|option| {
                !self.layer.config.supported.iter().any(|ours| ours.eq_ignore_ascii_case(option))
            })
            .map(str::to_owned)
            .collect();
        if !unsupported.is_empty() {
            self.refuse(inbound, 420, |response| {
                response.headers.push(HeaderName::Unsupported, unsupported.join(", "));
            });
            return false;
        }
        let describes = matches!(request.method, Method::Invite | Method::Update | Method::Prack);
        if describes && !request.body.is_empty() && !is_sdp(request) {
            self.refuse(inbound, 415, |response| response.headers.push(HeaderName::Accept, SDP));
            return false;
        }
        true
    }

    /// The leg that a request with a To tag belongs to, and the tag of its sender.
    fn find_dialog(&self, request: &Request) -> Option<(LegId, Text)> {
        let to = request.headers.to().ok()?;
        let from = request.headers.from().ok()?;
        let id = *self.tags.get(&u64::from_str_radix(to.tag()?, 16).ok()?)?;
        let remote_tag = from.tag().unwrap_or_default();
        let call_id = request.headers.text(&HeaderName::CallId)?;
        self.legs.get(&id)?.matches(call_id, remote_tag).then(|| (id, Text::from(remote_tag)))
    }

    fn receive_inside(&mut self, now: Instant, inbound: Inbound<'_>) {
        let Some((leg, remote_tag)) = self.find_dialog(&inbound.request) else {
            return self.refuse(&inbound, 481, |_| {});
        };
        let owner = match inbound.request.method {
            Method::Bye => ServerOwner::Bye(leg),
            _ => ServerOwner::Leg(leg),
        };
        let id = self.layer.open_server(now, &inbound.request, &inbound.back, inbound.key, None, owner);
        self.with_leg(leg, |leg, layer| leg.receive(now, layer, inbound.arrival(id), &remote_tag));
    }

    fn receive_outside(&mut self, now: Instant, inbound: Inbound<'_>) {
        let (merge, merged) = self.layer.merge_key(&inbound.request);
        if merged {
            return self.refuse(&inbound, 482, |_| {});
        }
        if inbound.request.method == Method::Invite {
            return self.receive_invite(now, inbound, merge);
        }
        let owner = ServerOwner::Application;
        let id =
            self.layer.open_server(now, &inbound.request, &inbound.back, inbound.key, Some(merge), owner);
        self.layer.event(Event::Request {
            id: RequestId(id),
            flow: inbound.flow.clone(),
            request: inbound.request,
        });
    }

    fn receive_invite(&mut self, now: Instant, inbound: Inbound<'_>, merge: u128) {
        let headers = &inbound.request.headers;
        if headers.typed::<MaxForwards>().is_ok_and(|hops| hops.0 == 0) {
            // We may send it on; the loop ends here.
            return self.refuse(&inbound, 483, |_| {});
        }
        if let Some(seconds) = self.draining {
            return self.refuse(&inbound, 503, |response| {
                response.headers.push(HeaderName::RetryAfter, seconds.to_string());
            });
        }
        let grant = session_timer::grant(&self.layer.config, headers, headers.supports("timer"));
        if let Grant::TooSmall(floor) = grant {
            return self.refuse(&inbound, 422, |response| {
                response.headers.push(HeaderName::MinSe, floor.to_string());
            });
        }
        let leg_id = LegId(self.number());
        let tag = self.layer.random();
        let owner = ServerOwner::Leg(leg_id);
        let id =
            self.layer.open_server(now, &inbound.request, &inbound.back, inbound.key, Some(merge), owner);
        let opening =
            Opening { request: &inbound.request, flow: inbound.flow, nat: inbound.nat, id, seq: inbound.seq };
        let Some(leg) = Leg::incoming(&mut self.layer, leg_id, tag, &opening, grant) else {
            if let Some(response) = self.layer.response(id, 400, Some(&hex(tag))) {
                self.layer.respond(now, id, &response);
            }
            return;
        };
        self.tags.insert(tag, leg_id);
        self.legs.insert(leg_id, leg);
        self.layer.event(Event::Incoming {
            leg: leg_id,
            flow: inbound.flow.clone(),
            request: inbound.request,
        });
    }

    /// Refuses without remembering anything: a retransmission meets the same refusal.
    fn refuse(&mut self, inbound: &Inbound<'_>, status: u16, fill: impl FnOnce(&mut Response)) {
        let mut response = self.layer.refusal(&inbound.request, inbound.key, status);
        fill(&mut response);
        self.layer.transmit(&inbound.back, response.to_bytes());
    }
}

impl<'a> Inbound<'a> {
    /// As it is given to a leg.
    fn arrival(self, id: u64) -> Arrival<'a> {
        Arrival { request: self.request, flow: self.flow, nat: self.nat, id, seq: self.seq }
    }
}

/// Notes in the topmost Via where the request came from (RFC 3261 section 18.2.1, RFC 3581). Returns where its
/// responses go, and whether its sender is behind a NAT.
fn note_source(via: &mut Via, flow: &Flow) -> (Flow, bool) {
    let ip = flow.remote.ip();
    let named = via.host.ip();
    let wants_rport = via.wants_rport();
    if named != Some(ip) || wants_rport {
        via.set_received(ip);
    }
    if wants_rport {
        via.set_rport(flow.remote.port());
    }
    let nat = named.is_some_and(|named| named != ip);
    let mut back = flow.clone();
    if flow.transport == Transport::Udp && !wants_rport && named == Some(ip) {
        back.remote = SocketAddr::new(ip, via.port.unwrap_or(5060));
    }
    if matches!(flow.transport, Transport::Tcp | Transport::Tls) {
        // Its sender may close the connection before it is answered, and listens where its Via says.
        let port = via.port.unwrap_or(flow.transport.default_port());
        back.reconnect = Some(SocketAddr::new(ip, port));
    }
    (back, nat)
}

fn is_sdp(request: &Request) -> bool {
    request.headers.typed::<ContentType>().is_ok_and(|content| content.is("application", "sdp"))
}
