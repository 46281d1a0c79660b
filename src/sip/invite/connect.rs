//! Calling: our INVITE, what its forks answer, and their ACKs.

use std::time::Instant;

use smallvec::SmallVec;

use super::{Calling, Early, Leg, MAX_TRIES, Phase, Reaction, ack, put_sdp, refresh};
use crate::{
    HeaderName, Method, Request, StatusCode,
    auth::ClientAuth,
    dialog::Dialog,
    endpoint::{Invite, LegEvent, LegId},
    header::{MinSe, SessionExpires},
    session_timer,
    text::hex,
    transaction::layer::{Layer, Owner, Purpose},
};

/// How many forks of one INVITE are followed.
const MAX_FORKS: usize = 16;

impl Leg {
    /// Calls.
    pub(crate) fn call(now: Instant, layer: &mut Layer, id: LegId, tag: u64, spec: Invite) -> Self {
        let flow = spec.flow.clone();
        let user = spec.from.uri.raw_user().map(str::to_owned);
        let credentials = spec.credentials.as_ref();
        let auth = credentials.map(|c| Box::new(ClientAuth::new(c.user.as_str(), c.password.as_str())));
        let body = spec.body.clone();
        let late_offer = body.is_none();
        let mut request = invite_of(layer, spec, tag);
        let secure = request.uri.is_secure();
        request.headers.push(HeaderName::Contact, layer.contact(&flow, user.as_deref(), secure));
        put_sdp(&mut request.headers, &mut request.body, body.clone());
        let key = layer.send(now, &flow, request, Owner::Leg(id, Purpose::Invite), true);
        let calling = Calling { key, early: SmallVec::new(), late_offer, tries: 0 };
        let mut leg = Self::new(id, tag, Phase::Calling(Box::new(calling)), true);
        leg.user = user;
        leg.secure = secure;
        leg.auth = auth;
        leg.local_body = body;
        leg
    }

    /// A response to the first INVITE.
    pub(super) fn invite_answered(&mut self, now: Instant, layer: &mut Layer, reaction: Reaction) {
        let status = reaction.response.status;
        let Phase::Calling(calling) = &self.phase else {
            if status.is_success() && !self.is_known_fork(&reaction) {
                hang_up_stray(now, layer, &reaction);
            }
            return;
        };
        if status.code() == 100 {
            self.emit(layer, LegEvent::Trying);
        } else if status.is_provisional() {
            self.ring(now, layer, reaction);
        } else if status.is_success() {
            let late_offer = calling.late_offer;
            self.connected(now, layer, reaction, late_offer);
        } else if let Err(reaction) = self.call_again(now, layer, reaction) {
            self.emit(layer, LegEvent::Failed { response: Some(reaction.response) });
            self.close();
        }
    }

    /// The 2xx is of the fork that we talk to, and only waits for the application's ACK.
    fn is_known_fork(&self, reaction: &Reaction) -> bool {
        let tag = Self::fork_of(reaction);
        self.dialog.as_ref().is_some_and(|dialog| dialog.remote_tag == tag) && self.late.is_some()
    }

    fn ring(&mut self, now: Instant, layer: &mut Layer, reaction: Reaction) {
        let response = &reaction.response;
        self.note_peer(&response.headers);
        let to = response.headers.to().ok();
        if let Some(tag) = to.as_ref().and_then(|to| to.tag())
            && let Phase::Calling(calling) = &mut self.phase
        {
            if let Some(early) = calling.early.iter_mut().find(|early| &*early.dialog.remote_tag == tag) {
                early.dialog.refresh_target(&response.headers);
            } else if calling.early.len() < MAX_FORKS
                && let Some(dialog) = Dialog::as_client(&response.headers, &reaction.flow)
            {
                calling.early.push(Early { dialog, rseq: None });
            }
            if !self.prove(now, layer, tag, response) {
                return;
            }
        }
        self.emit(layer, LegEvent::Provisional { response: reaction.response });
    }

    fn connected(&mut self, now: Instant, layer: &mut Layer, reaction: Reaction, late_offer: bool) {
        let response = &reaction.response;
        let Some(mut dialog) = Dialog::as_client(&response.headers, &reaction.flow) else { return };
        if let Phase::Calling(calling) = &self.phase
            && let Some(early) = calling.early.iter().find(|e| e.dialog.remote_tag == dialog.remote_tag)
        {
            // RFC 3261 13.2.2.4: the route set is that of the 2xx, the numbers go on.
            dialog.local_seq = early.dialog.local_seq;
            dialog.remote_seq = early.dialog.remote_seq;
        }
        self.dialog = Some(dialog);
        self.note_peer(&response.headers);
        self.phase = Phase::Confirmed;
        self.set_session(now, session_timer::granted(&response.headers));
        if late_offer {
            self.late = reaction.response.headers.cseq().ok().map(|cseq| (reaction.key, cseq.number));
        } else {
            self.acknowledge(layer, reaction.key, &reaction, None);
        }
        self.emit(layer, LegEvent::Answered { response: reaction.response });
        self.pursue_wish(now, layer);
    }

    /// Sends a refused INVITE again where the refusal says how; else gives the refusal back.
    fn call_again(
        &mut self,
        now: Instant,
        layer: &mut Layer,
        mut reaction: Reaction,
    ) -> Result<(), Box<Reaction>> {
        let id = self.id;
        let tries = match &self.phase {
            Phase::Calling(calling) => calling.tries,
            _ => MAX_TRIES,
        };
        let Some(mut request) = reaction.request.take().filter(|_| tries < MAX_TRIES) else {
            return Err(Box::new(reaction));
        };
        if !self.mend(layer, &mut request, &reaction) {
            return Err(Box::new(reaction));
        }
        let seq = request.headers.cseq().map_or(1, |cseq| cseq.number + 1);
        request.headers.set(HeaderName::CSeq, format!("{seq} INVITE"));
        let key = layer.send(now, &reaction.flow, *request, Owner::Leg(id, Purpose::Invite), true);
        if let Phase::Calling(calling) = &mut self.phase {
            calling.key = key;
            calling.tries += 1;
            calling.early.clear();
        }
        Ok(())
    }

    /// Changes a refused request so that it may succeed: credentials after 401 and 407, a longer session interval
    /// after 422. Whether there is something to try.
    pub(super) fn mend(&mut self, layer: &mut Layer, request: &mut Request, reaction: &Reaction) -> bool {
        match reaction.response.status {
            StatusCode::UNAUTHORIZED | StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                let Some(auth) = &mut self.auth else { return false };
                if auth.challenged(request, &reaction.response).is_err() {
                    return false;
                }
                auth.authorize(request, &hex(layer.random()));
                true
            }
            StatusCode::SESSION_INTERVAL_TOO_SMALL => {
                let Ok(floor) = reaction.response.headers.typed::<MinSe>() else { return false };
                let Ok(mut asked) = request.headers.typed::<SessionExpires>() else { return false };
                if floor.0 <= asked.secs {
                    return false;
                }
                asked.secs = floor.0;
                request.headers.set_typed(&asked);
                request.headers.set_typed(&floor);
                true
            }
            _ => false,
        }
    }
}

/// The INVITE without Via, Contact and body.
fn invite_of(layer: &mut Layer, spec: Invite, tag: u64) -> Request {
    let mut request = Request::new(Method::Invite, spec.target);
    let headers = &mut request.headers;
    for hop in &spec.route {
        headers.push(HeaderName::Route, hop.to_string());
    }
    headers.push(HeaderName::MaxForwards, spec.max_forwards.min(255).to_string());
    let mut from = spec.from;
    from.params.set("tag", Some(&hex(tag)));
    headers.push(HeaderName::From, from.to_string());
    headers.push(HeaderName::To, spec.to.to_string());
    let call_id = spec.call_id.unwrap_or_else(|| layer.call_id());
    headers.push(HeaderName::CallId, call_id);
    headers.push(HeaderName::CSeq, "1 INVITE");
    headers.push(HeaderName::Allow, layer.allow.clone());
    // Without an offer of ours a reliable provisional response would bring theirs, and its PRACK had to answer.
    let supported = match spec.body {
        Some(_) => layer.supported.clone(),
        None => layer.supported_without("100rel"),
    };
    headers.push(HeaderName::Supported, supported);
    refresh::ask_for_session(layer, headers, None);
    layer.name(headers, true);
    for (name, value) in spec.headers {
        headers.push(name, value);
    }
    request
}

/// Acknowledges a 2xx that nobody wants, in the dialog that it makes.
pub(crate) fn acknowledge_stray(layer: &mut Layer, reaction: &Reaction) -> Option<Dialog> {
    let response = &reaction.response;
    let dialog = Dialog::as_client(&response.headers, &reaction.flow)?;
    let bytes = ack::ack_of(layer, &dialog, dialog.local_seq, None);
    layer.send_ack(reaction.key, dialog.remote_tag.clone(), &dialog.flow, bytes);
    Some(dialog)
}

/// Acknowledges and hangs up what nobody wants: a fork that answered late, or a call that was cancelled.
pub(crate) fn hang_up_stray(now: Instant, layer: &mut Layer, reaction: &Reaction) {
    if let Some(mut dialog) = acknowledge_stray(layer, reaction) {
        let seq = dialog.next_seq();
        let mut bye = dialog.request(Method::Bye, seq);
        layer.name(&mut bye.headers, true);
        layer.send(now, &dialog.flow, bye, Owner::Nobody, false);
    }
}
