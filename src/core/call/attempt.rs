//! One target of a call: its addresses are found and tried one after the other (RFC 3263 section 4.3).

use std::{
    collections::VecDeque,
    fmt,
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use bytes::Bytes;
use sems_app::CallError;
use sems_media::CodecKind;
use sems_sip::{
    Flow,
    endpoint::{Invite, LegEvent},
};
use tokio::time::{Sleep, sleep};

use super::party::Party;
use crate::{locate, location::Target, shared::Shared};

/// Makes the INVITE for a target that goes by a flow, around our offer.
pub(crate) type Inviting = Arc<dyn Fn(&Target, Flow, Bytes) -> Invite + Send + Sync>;

type Future_<T> = Pin<Box<dyn Future<Output = T> + Send>>;

enum State {
    /// The ways to it are being found.
    Finding(Future_<Vec<Flow>>),
    /// The INVITE is on its way to the endpoint.
    Starting(Future_<Result<Party, CallError>>),
    /// The INVITE is sent.
    Calling {
        party: Box<Party>,
        /// Until something is heard, where there is another way.
        patience: Option<Pin<Box<Sleep>>>,
    },
    /// Nothing is left.
    Over,
}

/// See the module.
pub(crate) struct Attempt {
    shared: Arc<Shared>,
    target: Target,
    prefer: Option<Arc<[CodecKind]>>,
    inviting: Inviting,
    /// Not tried yet.
    ways: VecDeque<Flow>,
    /// Being tried.
    way: Option<Flow>,
    state: State,
}

impl fmt::Debug for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Attempt")
            .field("target", &self.target)
            .field("way", &self.way)
            .finish_non_exhaustive()
    }
}

impl Attempt {
    pub(super) fn new(
        shared: Arc<Shared>,
        target: Target,
        prefer: Option<Arc<[CodecKind]>>,
        inviting: Inviting,
    ) -> Self {
        let finding = {
            let (shared, target) = (shared.clone(), target.clone());
            Box::pin(async move { locate::ways(&shared, &target).await })
        };
        let state = State::Finding(finding);
        Self { shared, target, prefer, inviting, ways: VecDeque::new(), way: None, state }
    }

    /// The leg, once the INVITE is sent.
    pub(super) fn party(&mut self) -> Option<&mut Party> {
        match &mut self.state {
            State::Calling { party, .. } => Some(party),
            _ => None,
        }
    }

    /// The leg. An INVITE that was on its way to the endpoint is cancelled by it.
    pub(super) fn into_party(self) -> Option<Party> {
        match self.state {
            State::Calling { party, .. } => Some(*party),
            _ => None,
        }
    }

    /// The next event of the leg, failures only when no way is left. None when there never was one.
    pub(super) fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<Option<LegEvent>> {
        loop {
            match &mut self.state {
                State::Finding(found) => {
                    self.ways = ready!(found.as_mut().poll(cx)).into();
                    if !self.try_next(None) {
                        self.state = State::Over;
                    }
                }
                State::Starting(started) => match ready!(started.as_mut().poll(cx)) {
                    Ok(party) => {
                        let more = !self.ways.is_empty();
                        let patience = more.then(|| Box::pin(sleep(self.shared.failover_after)));
                        self.state = State::Calling { party: Box::new(party), patience };
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a contact could not be called");
                        self.state = State::Over;
                        return Poll::Ready(Some(LegEvent::Failed { response: None }));
                    }
                },
                State::Calling { party, patience } => {
                    if let Poll::Ready(event) = party.events.poll_recv(cx) {
                        *patience = None;
                        match event {
                            Some(event) if self.is_lost(&event) && self.try_next(None) => {}
                            event => return Poll::Ready(event),
                        }
                    } else {
                        let Some(patience) = patience else { return Poll::Pending };
                        ready!(patience.as_mut().poll(cx));
                        self.give_up();
                    }
                }
                State::Over => return Poll::Ready(None),
            }
        }
    }

    /// Whether an event means that this server cannot, and another one may.
    fn is_lost(&self, event: &LegEvent) -> bool {
        let LegEvent::Failed { response } = event else {
            if let (LegEvent::Trying, Some(way)) = (event, &self.way) {
                self.shared.locator.praise(way);
            }
            return false;
        };
        let lost = response.as_ref().is_none_or(|response| response.status.code() == 503);
        if let Some(way) = self.way.as_ref().filter(|_| lost) {
            self.shared.locator.avoid(way);
        }
        lost
    }

    /// Nothing was heard of this way: its INVITE ends, and the next way is tried.
    fn give_up(&mut self) {
        if let Some(way) = &self.way {
            self.shared.locator.avoid(way);
        }
        if let State::Calling { party, .. } = std::mem::replace(&mut self.state, State::Over) {
            self.try_next(Some(party));
        }
    }

    /// Calls by the next way, after ending the call by the last one. False where none is left.
    fn try_next(&mut self, last: Option<Box<Party>>) -> bool {
        let Some(way) = self.ways.pop_front() else { return false };
        if let Some(failed) = self.way.replace(way.clone()) {
            tracing::info!(target = %self.target.uri, %failed, next = %way, "trying the next address");
        }
        let (shared, prefer) = (self.shared.clone(), self.prefer.clone());
        let (target, inviting) = (self.target.clone(), Arc::clone(&self.inviting));
        self.state = State::Starting(Box::pin(async move {
            if let Some(mut last) = last {
                last.end(None).await;
            }
            let flow = way.clone();
            Party::call(shared, &way, prefer.as_deref(), |body| inviting(&target, flow, body)).await
        }));
        true
    }
}
