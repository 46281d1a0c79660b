//! The B2BUA: a caller and the contacts of an account, two dialogs with our media between them.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sems_app::{CallError, Unavailable};
use sems_media::CodecKind;
use sems_sip::{
    Method,
    endpoint::{LegEvent, Reply},
};
use tokio::time::{Instant, sleep_until};

use super::{
    actor::{EndedSide, Ending},
    attempt::Inviting,
    digits,
    fork::{Fork, Tried, onward, unavailable},
    party::Party,
    registry::Entry,
};
use crate::{location::Target, media::MediaEvent, shared::Shared, signalling::Ask};

/// How an attempt to reach the callee ended.
#[derive(Debug)]
pub(crate) enum Connected {
    /// They talked, or the caller gave up: the call is over.
    Over(Ending),
    /// The callee did not take it; the caller still waits.
    Unavailable { why: Unavailable, status: u16 },
}

/// Rings the targets and, when one answers, stays with the call to its end (SEMS-VM-6, SER-02, SER-13).
pub(crate) async fn connect(
    shared: &Arc<Shared>,
    caller: &mut Party,
    entry: &Entry,
    targets: &[Target],
    ring: Duration,
    inviting: Inviting,
) -> Connected {
    let prefer = caller.offered_codecs();
    let mut fork = Fork::start(shared, targets, prefer, &inviting);
    let deadline = Instant::now() + ring;
    let mut rang = false;
    let mut stopping = shared.calls.stopping();
    loop {
        tokio::select! {
            biased;
            event = caller.events.recv() => if let Some(over) = caller_left(caller, event).await {
                fork.cancel(None).await;
                return Connected::Over(over);
            },
            tried = fork.next() => match tried {
                Tried::Provisional { status, body } => {
                    ring_back(shared, caller, &mut fork, status, body, &mut rang).await;
                }
                Tried::Answered { party, body } => return answered(shared, caller, entry, *party, body).await,
                Tried::Failed { status } => {
                    return Connected::Unavailable { why: unavailable(status), status: onward(status) };
                }
            },
            () = stopping.asked() => {
                fork.cancel(None).await;
                shared.signalling.ask(Ask::Reject { leg: caller.leg, reply: Reply::new(503) }).await;
                return Connected::Over(Ending { by: EndedSide::Us, status: 503 });
            }
            () = sleep_until(deadline) => {
                fork.cancel(None).await;
                return Connected::Unavailable { why: Unavailable::NoAnswer, status: 480 };
            }
        }
    }
}

/// An event of the caller while it rings; how it ended if it did.
async fn caller_left(caller: &mut Party, event: Option<LegEvent>) -> Option<Ending> {
    match event {
        Some(LegEvent::Bye { id, .. }) => {
            caller.respond(id, 200).await;
            Some(Ending { by: EndedSide::Peer, status: 487 })
        }
        Some(LegEvent::Cancelled { .. }) => Some(Ending { by: EndedSide::Peer, status: 487 }),
        None | Some(LegEvent::Ended { .. } | LegEvent::Failed { .. }) => {
            Some(Ending { by: EndedSide::Network, status: 487 })
        }
        Some(LegEvent::Request { id, .. }) => {
            caller.respond(id, 405).await;
            None
        }
        Some(LegEvent::Offer { body, .. }) => {
            caller.take_offer(body).await;
            None
        }
        // In the PRACK to our early media, whose offer was ours. What it cannot agree on shows in the ACK again.
        Some(LegEvent::Answer { body: Some(body) }) if caller.awaits_answer() => {
            let _ = caller.take_answer(&body);
            None
        }
        Some(_) => None,
    }
}

/// Passes a provisional answer on: early media where there is one callee, else plain ringing, once.
async fn ring_back(
    shared: &Arc<Shared>,
    caller: &mut Party,
    fork: &mut Fork,
    status: u16,
    body: Option<Bytes>,
    rang: &mut bool,
) {
    if let (Some(body), Some(callee)) = (body, fork.only())
        && callee.take_answer(&body).is_ok()
        && let Ok(ours) = caller.describe(callee.negotiated().map(|agreed| agreed.codec))
        && let (Some(one), Some(other)) = (caller.media(), callee.media())
    {
        one.bridge(other).await;
        let ask = Ask::Provisional { leg: caller.leg, status: 183, body: Some(ours) };
        shared.signalling.ask(ask).await;
    } else if status >= 180 && !*rang {
        *rang = true;
        shared.signalling.ask(Ask::Provisional { leg: caller.leg, status: 180, body: None }).await;
    }
}

async fn answered(
    shared: &Arc<Shared>,
    caller: &mut Party,
    entry: &Entry,
    mut callee: Party,
    body: Option<Bytes>,
) -> Connected {
    let agreed = match body {
        Some(body) => callee.take_answer(&body),
        None => Err(CallError::NoCommonCodec),
    };
    let prefer: Option<CodecKind> = callee.negotiated().map(|agreed| agreed.codec);
    match agreed.and_then(|()| caller.describe(prefer)) {
        Ok(ours) => {
            shared.signalling.ask(Ask::Accept { leg: caller.leg, body: Some(ours) }).await;
            entry.answered(caller.media());
            entry.codec(caller.negotiated());
            if let (Some(one), Some(other)) = (caller.media(), callee.media()) {
                one.bridge(other).await;
            }
            Connected::Over(talk(shared, entry, caller, &mut callee).await)
        }
        Err(error) => {
            callee.end(Some("SIP;cause=488")).await;
            let reply = Reply::new(error.status());
            shared.signalling.ask(Ask::Reject { leg: caller.leg, reply }).await;
            Connected::Over(Ending { by: EndedSide::Us, status: error.status() })
        }
    }
}

/// Both sides talk, until one of them or the network ends it.
async fn talk(shared: &Arc<Shared>, entry: &Entry, caller: &mut Party, callee: &mut Party) -> Ending {
    let mut stopping = shared.calls.stopping();
    let by = loop {
        let left = tokio::select! {
            event = caller.events.recv() => take_event(caller, callee, event).await,
            event = callee.events.recv() => take_event(callee, caller, event).await,
            Some(sound) = caller.sounds.recv() => silent(&sound),
            Some(sound) = callee.sounds.recv() => silent(&sound),
            () = stopping.asked() => Some(EndedSide::Us),
        };
        if let Some(by) = left {
            break by;
        }
        entry.talks(caller.negotiated(), callee.negotiated());
    };
    // Ending a leg that is over already does nothing.
    caller.end(None).await;
    callee.end(None).await;
    Ending { by, status: 200 }
}

/// An event of `one` side; whether it ends the call.
async fn take_event(one: &mut Party, other: &mut Party, event: Option<LegEvent>) -> Option<EndedSide> {
    match event {
        Some(LegEvent::Bye { id, .. }) => {
            one.respond(id, 200).await;
            Some(EndedSide::Peer)
        }
        None | Some(LegEvent::Ended { .. } | LegEvent::Failed { .. }) => Some(EndedSide::Network),
        Some(LegEvent::Cancelled { .. }) => Some(EndedSide::Peer),
        Some(LegEvent::Offer { body, .. }) => {
            one.take_offer(body).await;
            None
        }
        Some(LegEvent::Acked { body }) => one.take_acked(body.as_ref()).is_err().then_some(EndedSide::Us),
        Some(LegEvent::Refreshed { body: Some(body) }) => {
            // What a refresh brings is what was agreed, as a rule; where not, it is a new agreement.
            if let Err(error) = one.take_answer(&body) {
                tracing::info!(%error, "a refreshed description cannot be served");
            }
            None
        }
        Some(LegEvent::Request { id, request }) => {
            let digit = (request.method == Method::Info).then(|| digits::of_info(&request)).flatten();
            if let (Some(digit), Some(media)) = (digit, other.media()) {
                media.send_digits(digit.encode_utf8(&mut [0; 4]));
            }
            let status = match (request.method == Method::Info, digit) {
                (true, Some(_)) => 200,
                (true, None) if request.body.is_empty() => 200,
                (true, None) => 415,
                (false, _) => 405,
            };
            one.respond(id, status).await;
            None
        }
        Some(_) => None,
    }
}

fn silent(sound: &MediaEvent) -> Option<EndedSide> {
    matches!(sound, MediaEvent::Silent | MediaEvent::Failed).then_some(EndedSide::Network)
}
