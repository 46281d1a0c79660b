//! Keeping the session timer (RFC 4028): refreshes, by UPDATE where they take it, else by re-INVITE.

use std::time::{Duration, Instant};

use super::{Leg, MAX_TRIES, Phase, Reaction};
use crate::{
    HeaderName, Headers, Method, StatusCode,
    endpoint::EndReason,
    header::{MinSe, Refresher, SessionExpires},
    session_timer::{self, Grant, SessionTimer},
    timer::Timer,
    transaction::layer::{Layer, Owner, Purpose},
};

/// How long a refresh waits when something else is under way.
const POSTPONED: Duration = Duration::from_secs(5);

/// Asks for a session timer in a request. A running one keeps its interval and its refresher.
pub(super) fn ask_for_session(layer: &Layer, headers: &mut Headers, running: Option<SessionTimer>) {
    let Some(wanted) = session_timer::wanted(&layer.config) else { return };
    let secs = running.map_or(wanted, |timer| u32::try_from(timer.interval.as_secs()).unwrap_or(u32::MAX));
    let refresher = running.map(|timer| if timer.ours { Refresher::Uac } else { Refresher::Uas });
    headers.push_typed(&SessionExpires { secs, refresher });
    headers.push_typed(&MinSe(session_timer::min_se(&layer.config)));
}

/// Says in a 2xx what was granted.
pub(super) fn put_session(headers: &mut Headers, grant: Grant) {
    if let Grant::On { timer, header } = grant {
        headers.push_typed(&header);
        if !timer.ours {
            headers.push(HeaderName::Require, "timer");
        }
    }
}

impl Leg {
    /// Starts the timer that a request was granted, or none.
    pub(super) fn start_session(&mut self, now: Instant, grant: Grant) {
        let timer = match grant {
            Grant::On { timer, .. } => Some(timer),
            Grant::Off | Grant::TooSmall(_) => None,
        };
        self.set_session(now, timer);
    }

    /// Starts the session timer anew.
    pub(super) fn set_session(&mut self, now: Instant, session: Option<SessionTimer>) {
        self.session = session;
        self.timers.clear(Timer::Refresh);
        self.timers.clear(Timer::Expiry);
        if let Some(session) = session {
            self.set(Timer::Expiry, now + session.expires_after());
            if let Some(after) = session.refresh_after() {
                self.set(Timer::Refresh, now + after);
            }
        }
        self.tries = 0;
    }

    /// The session is to be refreshed.
    pub(super) fn refresh(&mut self, now: Instant, layer: &mut Layer) {
        if !matches!(self.phase, Phase::Confirmed) {
            return;
        }
        if self.update_allowed {
            let session = self.session;
            let Some((mut request, flow)) = self.request(layer, Method::Update) else { return };
            self.push_contact(layer, &flow, &mut request.headers);
            request.headers.push(HeaderName::Supported, layer.supported.clone());
            ask_for_session(layer, &mut request.headers, session);
            layer.send(now, &flow, request, Owner::Leg(self.id, Purpose::Refresh), true);
        } else if !self.reinvite_as_it_is(now, layer) {
            self.set(Timer::Refresh, now + POSTPONED);
        }
    }

    /// A response to our refreshing UPDATE.
    pub(super) fn refresh_answered(&mut self, now: Instant, layer: &mut Layer, mut reaction: Reaction) {
        if !matches!(self.phase, Phase::Confirmed) {
            return;
        }
        let status = reaction.response.status;
        match status {
            _ if status.is_success() => {
                if let Some(dialog) = &mut self.dialog {
                    dialog.refresh_target(&reaction.response.headers);
                }
                self.set_session(now, session_timer::granted(&reaction.response.headers));
            }
            StatusCode::REQUEST_TIMEOUT | StatusCode::CALL_OR_TRANSACTION_DOES_NOT_EXIST => {
                self.fail(now, layer, EndReason::Unreachable);
            }
            StatusCode::METHOD_NOT_ALLOWED | StatusCode::NOT_IMPLEMENTED => {
                self.update_allowed = false;
                self.refresh(now, layer);
            }
            _ => {
                let Some(mut request) = reaction.request.take() else { return };
                if self.tries < MAX_TRIES
                    && self.mend(layer, &mut request, &reaction)
                    && let Some(dialog) = &mut self.dialog
                {
                    self.tries += 1;
                    let seq = dialog.next_seq();
                    request.headers.set(HeaderName::CSeq, format!("{seq} UPDATE"));
                    let owner = Owner::Leg(self.id, Purpose::Refresh);
                    layer.send(now, &reaction.flow, *request, owner, true);
                } else {
                    // Refused for a reason that may pass; the session itself runs out if it does not.
                    self.set(Timer::Refresh, now + POSTPONED);
                }
            }
        }
    }
}
