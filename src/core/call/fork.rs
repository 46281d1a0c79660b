//! Ringing several contacts at once: the first answer wins, the others are cancelled.

use std::{
    future::poll_fn,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use sems_app::Unavailable;
use sems_media::CodecKind;
use sems_sip::{Response, endpoint::LegEvent};

use super::{
    attempt::{Attempt, Inviting},
    party::Party,
};
use crate::{location::Target, shared::Shared};

/// What the attempts report.
#[derive(Debug)]
pub(crate) enum Tried {
    /// One rings, or sends early media (`body`).
    Provisional { status: u16, body: Option<Bytes> },
    /// One answered; the others are being cancelled.
    Answered { party: Box<Party>, body: Option<Bytes> },
    /// Nobody is left to answer.
    Failed { status: u16 },
}

/// The attempts under way.
#[derive(Debug)]
pub(crate) struct Fork {
    attempts: Vec<Attempt>,
    best: u16,
}

impl Fork {
    /// Begins to call all targets, with an offer of ours each, `prefer` first.
    pub(crate) fn start(
        shared: &Arc<Shared>,
        targets: &[Target],
        prefer: Option<Vec<CodecKind>>,
        inviting: &Inviting,
    ) -> Self {
        let prefer: Option<Arc<[CodecKind]>> = prefer.map(Arc::from);
        let attempt = |target: &Target| {
            Attempt::new(shared.clone(), target.clone(), prefer.clone(), Arc::clone(inviting))
        };
        Self { attempts: targets.iter().map(attempt).collect(), best: 0 }
    }

    /// The next thing that happens. Cancel-safe.
    pub(crate) async fn next(&mut self) -> Tried {
        loop {
            if self.attempts.is_empty() {
                return Tried::Failed { status: if self.best == 0 { 480 } else { self.best } };
            }
            let (at, event) = poll_fn(|cx| self.poll_event(cx)).await;
            match event {
                Some(LegEvent::Provisional { response }) => {
                    return Tried::Provisional { status: response.status.0, body: body_of(*response) };
                }
                Some(LegEvent::Answered { response }) => {
                    let Some(party) = self.attempts.swap_remove(at).into_party() else { continue };
                    let party = Box::new(party);
                    self.cancel(Some("SIP;cause=200;text=\"Call completed elsewhere\"")).await;
                    return Tried::Answered { party, body: body_of(*response) };
                }
                Some(LegEvent::Failed { response }) => {
                    // 408 of our own: nobody there (RFC 3261 section 8.1.3.1).
                    let status = response.map_or(408, |response| response.status.0);
                    self.attempts.swap_remove(at);
                    self.best = better(self.best, status);
                    if status >= 600 {
                        self.cancel(None).await;
                    }
                }
                Some(event) => self.in_between(at, event).await,
                None => drop(self.attempts.swap_remove(at)),
            }
        }
    }

    /// What a callee wants before it answers.
    async fn in_between(&mut self, at: usize, event: LegEvent) {
        let Some(party) = self.attempts.get_mut(at).and_then(Attempt::party) else { return };
        match event {
            LegEvent::Offer { body, .. } if party.is_agreed() => party.take_offer(body).await,
            // Our own offer is not answered yet (RFC 3311 section 5.2).
            LegEvent::Offer { .. } => party.refuse(491).await,
            LegEvent::Request { id, .. } => party.respond(id, 405).await,
            _ => {}
        }
    }

    /// The one attempt that is left, for early media; none while several ring.
    pub(crate) fn only(&mut self) -> Option<&mut Party> {
        match self.attempts.as_mut_slice() {
            [attempt] => attempt.party(),
            _ => None,
        }
    }

    /// Cancels all attempts. One that answers all the same is acknowledged and ended by the endpoint.
    pub(crate) async fn cancel(&mut self, reason: Option<&str>) {
        for mut party in self.attempts.drain(..).filter_map(Attempt::into_party) {
            party.end(reason).await;
        }
    }

    fn poll_event(&mut self, cx: &mut Context<'_>) -> Poll<(usize, Option<LegEvent>)> {
        for (at, attempt) in self.attempts.iter_mut().enumerate() {
            if let Poll::Ready(event) = attempt.poll_event(cx) {
                return Poll::Ready((at, event));
            }
        }
        Poll::Pending
    }
}

fn body_of(response: Response) -> Option<Bytes> {
    (!response.body.is_empty()).then_some(response.body)
}

/// The better of two final statuses for the caller (RFC 3261 section 16.7): any 6xx, else the lowest class,
/// and within 4xx what tells most.
fn better(one: u16, other: u16) -> u16 {
    let rank = |status: u16| match status {
        0 => 9,
        600.. => 0,
        486 => 1,
        480 | 404 | 408 | 487 => 3,
        400..=499 => 2,
        300..=399 => 4,
        _ => 5,
    };
    if rank(other) < rank(one) { other } else { one }
}

/// What the caller is told of a final status: challenges and redirections are ours to deal with, and that a callee
/// or his network cannot does not mean that we cannot (RFC 3261 section 16.7).
pub(crate) fn onward(status: u16) -> u16 {
    match status {
        300..=399 | 401 | 407 | 422 | 487 | 503 => 480,
        _ => status,
    }
}

/// What a final status says of the callee (SEMS-VM-4).
pub(crate) fn unavailable(status: u16) -> Unavailable {
    match status {
        486 | 600 => Unavailable::Busy,
        487 => Unavailable::NoAnswer,
        404 | 408 | 410 | 430 | 480 | 500..=599 => Unavailable::Offline,
        _ => Unavailable::Declined,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_caller_gets_the_status_that_tells_most() {
        for (statuses, best) in [
            (&[480, 486][..], 486),
            (&[486, 603], 603),
            (&[503, 480], 480),
            (&[408], 408),
            (&[404, 403], 403),
        ] {
            assert_eq!(statuses.iter().fold(0, |best, status| better(best, *status)), best, "{statuses:?}");
        }
    }

    #[test]
    fn each_refusal_has_its_reason() {
        assert_eq!(unavailable(486), Unavailable::Busy);
        assert_eq!(unavailable(603), Unavailable::Declined);
        assert_eq!(unavailable(408), Unavailable::Offline);
        assert_eq!(unavailable(480), Unavailable::Offline);
    }
}
