//! The actor of a call that an application serves: carries out its verbs, one at a time.

use std::{panic::AssertUnwindSafe, pin::pin, sync::Arc, time::Duration};

use futures_util::FutureExt;
use sems_app::{
    BoxFuture, CallError, CallId,
    command::{ByeHold, Command, EndedBy, Played, Recorded},
};
use sems_sip::{
    Method,
    endpoint::{LegEvent, Reply, RequestId},
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::{Instant, sleep_until},
};

use super::{
    digits::{self, TypedAhead},
    party::Party,
    registry::Entry,
    verb::{BYE_HOLD, Taken, Verb},
};
use crate::{
    media::{MediaEvent, PlayId, RecordEnd},
    shared::Shared,
    signalling::Ask,
};

/// How far the call has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Stage {
    /// Not answered; nothing plays.
    Ringing,
    /// Not answered; early media flows.
    Early,
    /// 200 is out; its ACK is awaited.
    Accepted,
    /// Answered.
    Up,
    /// Over: verbs get [`CallError::HungUp`].
    Over,
}

/// A BYE whose answer waits for a commit.
#[derive(Debug)]
struct HeldBye {
    id: RequestId,
    released: Option<oneshot::Receiver<()>>,
    until: Instant,
}

/// How a call ended, for its CDR.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ending {
    /// Who ended it.
    pub(crate) by: EndedSide,
    /// The final status that the caller got; 200 for an answered call.
    pub(crate) status: u16,
}

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EndedSide {
    /// The other side.
    Peer,
    /// The application, or we.
    Us,
    /// The network: no ACK, no RTP, an expired session.
    Network,
}

impl EndedSide {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer",
            Self::Us => "us",
            Self::Network => "network",
        }
    }
}

/// One call and what it is doing.
pub(crate) struct Actor<'e> {
    pub(super) shared: Arc<Shared>,
    pub(super) party: Party,
    pub(super) stage: Stage,
    pub(super) verb: Verb,
    pub(super) ahead: TypedAhead,
    pub(super) entry: &'e mut Entry,
    commands: mpsc::Receiver<Command>,
    held: Option<HeldBye>,
    /// Resolves when what was recorded last is committed; a BYE that comes before waits for it.
    commit: Option<oneshot::Receiver<()>>,
    /// Recordings whose verb was dropped, and whose end has not been reported.
    abandoned: u32,
    plays: u64,
    ending: Option<Ending>,
    /// Its end tells what the call has begun elsewhere that the call is over.
    alive: Option<watch::Sender<()>>,
}

impl<'e> Actor<'e> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        party: Party,
        stage: Stage,
        commands: mpsc::Receiver<Command>,
        entry: &'e mut Entry,
    ) -> Self {
        Self {
            shared,
            party,
            stage,
            verb: Verb::Idle,
            ahead: TypedAhead::default(),
            entry,
            commands,
            held: None,
            commit: None,
            abandoned: 0,
            plays: 0,
            ending: None,
            alive: Some(watch::Sender::new(())),
        }
    }

    /// Runs the call beside its application (none for a leg that another application dialled), until both are
    /// done. Returns how it ended.
    pub(crate) async fn run(mut self, application: Option<BoxFuture<'_, Result<(), CallError>>>) -> Ending {
        let mut serving = application.is_some();
        let application = application.unwrap_or_else(|| Box::pin(std::future::pending()));
        let mut application = pin!(AssertUnwindSafe(application).catch_unwind());
        let mut outcome = Ok(());
        let mut listening = true;
        let mut stopping = self.shared.calls.stopping();
        let mut stopped = false;
        while serving || listening {
            if self.stage == Stage::Over && matches!(self.verb, Verb::Idle) {
                // Whoever holds the call learns of its end at once, without asking for anything.
                self.commands.close();
            }
            let deadline = self.deadline();
            tokio::select! {
                biased;
                event = self.party.events.recv(), if self.stage != Stage::Over => match event {
                    Some(event) => self.take_event(event).await,
                    None => self.over(EndedSide::Network),
                },
                Some(sound) = self.party.sounds.recv() => self.take_sound(sound).await,
                command = self.commands.recv(), if listening => match command {
                    Some(command) => self.carry_out(command).await,
                    None => listening = false,
                },
                () = self.verb.dropped() => self.stop().await,
                () = released(&mut self.held) => self.answer_bye().await,
                () = sleep_until(deadline.unwrap_or_else(Instant::now)), if deadline.is_some() => {
                    self.take_deadline().await;
                }
                () = stopping.asked(), if !stopped => {
                    stopped = true;
                    self.hang_up(Some("Q.850;cause=41;text=\"shutdown\"")).await;
                }
                result = &mut application, if serving => {
                    serving = false;
                    outcome = result.unwrap_or_else(|_| Err(CallError::application("the application panicked")));
                }
            }
        }
        self.finish(outcome).await
    }

    fn deadline(&self) -> Option<Instant> {
        let held = self.held.as_ref().map(|held| held.until);
        [self.verb.deadline(), held].into_iter().flatten().min()
    }

    async fn take_deadline(&mut self) {
        if self.held.as_ref().is_some_and(|held| held.until <= Instant::now()) {
            tracing::warn!(call = %self.entry.id(), "a message was not committed within 5 s of the BYE");
            self.answer_bye().await;
        }
        if self.verb.deadline().is_some_and(|at| at <= Instant::now())
            && let Verb::Digits { got, reply, .. } = self.take_verb()
        {
            let _ = reply.send(Ok(got));
        }
    }

    async fn take_event(&mut self, event: LegEvent) {
        match event {
            LegEvent::Acked { body } => self.acked(body).await,
            LegEvent::Offer { body, .. } => {
                self.party.take_offer(body).await;
                self.entry.codec(self.party.negotiated());
            }
            LegEvent::Request { id, request } if request.method == Method::Info => {
                let digit = digits::of_info(&request);
                let status = if digit.is_some() || request.body.is_empty() { 200 } else { 415 };
                self.shared.signalling.ask(Ask::Respond { id, reply: Reply::new(status) }).await;
                if let (Some(digit), Some(media)) = (digit, self.party.media()) {
                    // By way of the media leg, which knows whether it heard the same digit in the RTP.
                    media.info_digit(digit);
                }
            }
            LegEvent::Request { id, request } => {
                // NOTIFYs tell how our REFER goes (RFC 3515 section 2.4.4).
                let status = if request.method == Method::Notify { 200 } else { 405 };
                self.shared.signalling.ask(Ask::Respond { id, reply: Reply::new(status) }).await;
            }
            LegEvent::Bye { id, .. } => self.bye(id).await,
            LegEvent::Cancelled { .. } => {
                // Whatever we had on our lips: 487 was sent.
                self.ending.get_or_insert(Ending { by: EndedSide::Peer, status: 487 });
                self.over(EndedSide::Peer);
            }
            LegEvent::Failed { .. } | LegEvent::Ended { .. } => self.over(EndedSide::Network),
            LegEvent::Refreshed { body: Some(body) } => {
                // What a refresh brings is what was agreed, as a rule; where not, it is a new agreement.
                if let Err(error) = self.party.take_answer(&body) {
                    tracing::info!(call = %self.entry.id(), %error, "a refreshed description cannot be served");
                }
            }
            // The answer to the offer in our reliable 183 comes in its PRACK (RFC 3262 section 5).
            LegEvent::Answer { body: Some(body) } if self.party.awaits_answer() => {
                if let Err(error) = self.party.take_answer(&body) {
                    tracing::info!(call = %self.entry.id(), %error, "the answer in the PRACK cannot be served");
                    self.hang_up(Some("SIP;cause=488")).await;
                }
            }
            LegEvent::Refreshed { body: None }
            | LegEvent::Trying
            | LegEvent::Provisional { .. }
            | LegEvent::Answered { .. }
            | LegEvent::Answer { .. }
            | LegEvent::ModifyFailed { .. } => {}
        }
    }

    async fn acked(&mut self, body: Option<bytes::Bytes>) {
        if let Err(error) = self.party.take_acked(body.as_ref()) {
            tracing::info!(call = %self.entry.id(), %error, "the answer in the ACK cannot be served");
            self.hang_up(Some("SIP;cause=488")).await;
            return;
        }
        self.entry.codec(self.party.negotiated());
        if self.stage == Stage::Accepted {
            self.stage = Stage::Up;
            self.entry.answered(self.party.media());
        }
        if matches!(self.verb, Verb::Answer { .. })
            && let Verb::Answer { reply } = self.take_verb()
        {
            let _ = reply.send(Ok(()));
        }
    }

    /// A hang-up. A recording that asked for it, under way or just over, holds back our 200 until its message
    /// is committed.
    async fn bye(&mut self, id: RequestId) {
        let recording = matches!(self.verb, Verb::Record { hold_bye: true, .. });
        let released = self.commit.take();
        if recording || released.is_some() {
            self.held = Some(HeldBye { id, released, until: Instant::now() + BYE_HOLD });
        } else {
            self.shared.signalling.ask(Ask::Respond { id, reply: Reply::new(200) }).await;
        }
        self.over(EndedSide::Peer);
    }

    async fn answer_bye(&mut self) {
        if let Some(held) = self.held.take() {
            self.shared.signalling.ask(Ask::Respond { id: held.id, reply: Reply::new(200) }).await;
        }
    }

    /// The call is over. The verb under way ends with it; a recording first completes its file.
    fn over(&mut self, by: EndedSide) {
        if self.stage == Stage::Over {
            return;
        }
        let status = if matches!(self.stage, Stage::Accepted | Stage::Up) { 200 } else { 487 };
        self.ending.get_or_insert(Ending { by, status });
        self.stage = Stage::Over;
        self.alive = None;
        self.entry.ended();
        if let Verb::Record { ended_by, .. } = &mut self.verb
            && let Some(media) = self.party.media()
        {
            ended_by.get_or_insert(EndedBy::HangUp);
            media.stop_record();
            return;
        }
        self.party.close();
        self.fail_verb(&CallError::HungUp);
    }

    fn fail_verb(&mut self, error: &CallError) {
        let error = error.clone();
        match self.take_verb() {
            Verb::Idle => {}
            Verb::Answer { reply } | Verb::SendDigits { reply } => drop(reply.send(Err(error))),
            Verb::Bridge { reply, .. } => drop(reply.send(Err(error))),
            Verb::Play { reply, .. } => drop(reply.send(Err(error))),
            Verb::Record { reply, .. } => drop(reply.send(Err(error))),
            Verb::Digits { reply, .. } => drop(reply.send(Err(error))),
            Verb::Echo { reply, .. } | Verb::Join { reply, .. } => drop(reply.send(Err(error))),
        }
    }

    pub(super) fn take_verb(&mut self) -> Verb {
        std::mem::replace(&mut self.verb, Verb::Idle)
    }

    async fn take_sound(&mut self, sound: MediaEvent) {
        match sound {
            MediaEvent::Digit(digit) => self.take_digit(digit).await,
            MediaEvent::PlayEnded { id: ended } => {
                if matches!(&self.verb, Verb::Play { id, .. } if *id == ended)
                    && let Verb::Play { reply, .. } = self.take_verb()
                {
                    let _ = reply.send(Ok(Played { digit: None }));
                }
            }
            MediaEvent::RecordEnded { duration, ended } => self.recorded(duration, ended),
            MediaEvent::DigitsSent => {
                if matches!(self.verb, Verb::SendDigits { .. })
                    && let Verb::SendDigits { reply } = self.take_verb()
                {
                    let _ = reply.send(Ok(()));
                }
            }
            MediaEvent::Silent if self.stage != Stage::Over => {
                tracing::info!(call = %self.entry.id(), "no RTP from the other side; hanging up");
                self.over(EndedSide::Network);
                self.party.bye(Some("Q.850;cause=41;text=\"no media\"")).await;
            }
            MediaEvent::Failed => {
                self.over(EndedSide::Us);
                self.party.bye(Some("Q.850;cause=41;text=\"media failed\"")).await;
            }
            _ => {}
        }
    }

    fn recorded(&mut self, duration: Duration, ended: RecordEnd) {
        if self.abandoned > 0 {
            // That of a verb that was dropped; another recording may be under way.
            self.abandoned -= 1;
            return;
        }
        if !matches!(self.verb, Verb::Record { .. }) {
            return;
        }
        let Verb::Record { hold_bye, ended_by, reply, .. } = self.take_verb() else { return };
        let ended_by = match (ended_by, ended) {
            (Some(ended_by), _) => ended_by,
            (None, RecordEnd::Silence) => EndedBy::Silence,
            (None, RecordEnd::Disk(reason)) => {
                tracing::error!(call = %self.entry.id(), %reason, "a recording was cut short by the disk");
                EndedBy::Disk
            }
            (None, _) => EndedBy::Limit,
        };
        let hold = hold_bye.then(|| {
            let (hold, released) = ByeHold::new();
            match &mut self.held {
                Some(held) => held.released = Some(released),
                None => self.commit = Some(released),
            }
            hold
        });
        let _ = reply.send(Ok(Recorded { duration, ended_by, hold }));
        if self.stage == Stage::Over {
            self.party.close();
        }
    }

    pub(super) async fn take_digit(&mut self, digit: char) {
        match self.verb.take_digit(digit) {
            Taken::Kept => {}
            Taken::Unwanted => self.ahead.push(digit),
            Taken::Ends => self.end_by(digit).await,
        }
    }

    async fn end_by(&mut self, digit: char) {
        if let Verb::Record { .. } = self.verb {
            // The file is completed first; `recorded` answers.
            if let Some(media) = self.party.media() {
                media.stop_record();
            }
            return;
        }
        self.quiet().await;
        match self.take_verb() {
            Verb::Play { reply, .. } => drop(reply.send(Ok(Played { digit: Some(digit) }))),
            Verb::Digits { got, reply, .. } => drop(reply.send(Ok(got))),
            Verb::Echo { reply, .. } | Verb::Join { reply, .. } => drop(reply.send(Ok(Some(digit)))),
            other => self.verb = other,
        }
    }

    /// The application dropped its verb, or the bridged side left.
    pub(super) async fn stop(&mut self) {
        self.quiet().await;
        match self.take_verb() {
            Verb::Bridge { reply, .. } => drop(reply.send(Ok(()))),
            Verb::Record { .. } => self.abandoned += 1,
            _ => {}
        }
    }

    /// Stops what the media leg does for the verb under way.
    async fn quiet(&mut self) {
        let Some(media) = self.party.media() else { return };
        match &self.verb {
            Verb::Play { id, .. } => media.stop_play(*id),
            Verb::Record { .. } => media.stop_record(),
            Verb::Echo { .. } => media.echo(false),
            Verb::Join { .. } => media.leave(),
            Verb::Bridge { .. } => media.unbridge(),
            Verb::Idle | Verb::Answer { .. } | Verb::Digits { .. } | Verb::SendDigits { .. } => {}
        }
    }

    /// Ends when the call does.
    pub(super) fn alive(&self) -> Option<watch::Receiver<()>> {
        self.alive.as_ref().map(watch::Sender::subscribe)
    }

    pub(super) fn next_play(&mut self) -> PlayId {
        self.plays += 1;
        PlayId(self.plays)
    }

    /// Refuses the call before it is answered.
    pub(super) async fn reject(&mut self, reply: Reply) {
        let status = reply.status;
        self.shared.signalling.ask(Ask::Reject { leg: self.party.leg, reply }).await;
        self.ending.get_or_insert(Ending { by: EndedSide::Us, status });
        self.over(EndedSide::Us);
    }

    /// Ends an answered call with BYE (one that is not, with what its state demands).
    pub(super) async fn hang_up(&mut self, reason: Option<&str>) {
        if self.stage != Stage::Over {
            if matches!(self.stage, Stage::Ringing | Stage::Early) {
                // What the endpoint says for it.
                self.ending.get_or_insert(Ending { by: EndedSide::Us, status: 480 });
            }
            self.over(EndedSide::Us);
            self.party.bye(reason).await;
        }
    }

    async fn finish(mut self, outcome: Result<(), CallError>) -> Ending {
        self.answer_bye().await;
        if let Err(error) = &outcome {
            log_outcome(self.entry.id(), error);
        }
        match (self.stage, outcome) {
            (Stage::Over, _) => {}
            (Stage::Accepted | Stage::Up, _) => self.hang_up(None).await,
            (Stage::Ringing | Stage::Early, outcome) => {
                let reply = outcome.err().map_or_else(|| Reply::new(480), |error| refusal(&error));
                self.reject(reply).await;
            }
        }
        self.ending.unwrap_or(Ending { by: EndedSide::Us, status: 200 })
    }
}

/// The answer to a caller whose application ended with `error` before it answered.
fn refusal(error: &CallError) -> Reply {
    let reply = Reply::new(error.status());
    match error {
        CallError::Refused { reason, .. } => reply.reason(reason.as_ref()),
        CallError::NoCapacity(_) => reply.header(sems_sip::HeaderName::RetryAfter, "10"),
        _ => reply,
    }
}

fn log_outcome(id: &CallId, error: &CallError) {
    if error.is_normal_end() {
        tracing::debug!(call = %id, %error, "the application ended");
    } else {
        tracing::error!(call = %id, %error, "the application failed");
    }
}

/// Resolves when the message that a BYE waits for is committed.
async fn released(held: &mut Option<HeldBye>) {
    match held {
        Some(HeldBye { released: Some(released), .. }) => {
            // An error is the signal: the hold was dropped.
            let _ = released.await;
        }
        _ => std::future::pending().await,
    }
}
