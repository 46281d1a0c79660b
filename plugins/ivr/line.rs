//! The task that attends a call: it owns the call, and does what the script asks, one verb at a time.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use sems_app::{
    Call, CallError, CallInfo, IncomingCall, Mailbox, MailboxError, Mode, Prompt, Uri, command::DigitsOptions,
};
use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
    time::{Instant, sleep_until},
};

use crate::{
    application::Ground,
    lane::Ended,
    request::{Ask, REQUESTS, Recording, Request, Waiter},
    run::Run,
    value::{Outcome, Value},
};

/// Any of them cuts a question short.
const ALL_DIGITS: &str = "0123456789*#ABCD";

/// A script that was told so often that the caller has hung up, and still asks for more, ignores it.
const HANG_UPS: u32 = 100;

/// How often a script that goes on after its call is stopped, and how long it has to end each time.
pub(crate) const STOPS: u32 = 5;
const STOP: Duration = Duration::from_secs(1);

/// The folder, below the scripts' data, of recordings that end with their call.
pub(crate) const TEMPORARY: &str = "takes";

/// A call as its script reaches it.
#[derive(Clone)]
pub(crate) struct LegParts {
    pub(crate) info: Arc<CallInfo>,
    pub(crate) requests: mpsc::Sender<Request>,
}

enum State {
    Incoming(IncomingCall),
    Open {
        call: Call,
        answered: bool,
    },
    /// Given to another call of the script, which is bridged with it.
    Given,
    Gone,
}

impl State {
    /// Resolves when there is no call any more.
    async fn over(&self) {
        match self {
            Self::Incoming(call) => call.hung_up().await,
            Self::Open { call, .. } => call.hung_up().await,
            Self::Given => std::future::pending().await,
            Self::Gone => {}
        }
    }
}

/// A script that goes on when its call is over: how often it may still be stopped, and when next.
struct Farewell {
    stops: u32,
    next: Instant,
}

/// Attends one call.
pub(crate) struct Attendant {
    ground: Arc<Ground>,
    info: Arc<CallInfo>,
    state: State,
    requests: mpsc::Receiver<Request>,
    /// Attendants of the legs that this call dialled; they end with it.
    legs: JoinSet<()>,
    /// Recordings without a path of their own; they end with the call.
    temporary: Vec<PathBuf>,
    /// How often the script was told that the call is over.
    hang_ups: u32,
}

impl Attendant {
    /// For a call that comes in.
    pub(crate) fn of_incoming(ground: Arc<Ground>, call: IncomingCall) -> (Self, LegParts) {
        let info = call.info().clone();
        Self::new(ground, info, State::Incoming(call))
    }

    fn new(ground: Arc<Ground>, info: Arc<CallInfo>, state: State) -> (Self, LegParts) {
        let (sender, requests) = mpsc::channel(REQUESTS);
        let parts = LegParts { info: info.clone(), requests: sender };
        (
            Self { ground, info, state, requests, legs: JoinSet::new(), temporary: Vec::new(), hang_ups: 0 },
            parts,
        )
    }

    /// Does what is asked until the script ends; None when it never will.
    pub(crate) async fn attend(&mut self, run: Run) -> Option<Ended> {
        let Run { mut end, stop, patience } = run;
        let mut farewell: Option<Farewell> = None;
        loop {
            let stop_at = farewell.as_ref().map(|farewell| farewell.next);
            let request = tokio::select! {
                // A script that ended asks nothing more; what its tasks left behind is not done.
                biased;
                ended = &mut end => return ended.ok(),
                Some(request) = self.requests.recv() => request,
                () = self.state.over(), if farewell.is_none() => {
                    farewell = Some(Farewell { stops: STOPS, next: Instant::now() + patience });
                    continue;
                }
                () = sleep_until(stop_at.unwrap_or_else(Instant::now)), if stop_at.is_some() => {
                    match farewell.take().and_then(Farewell::stop) {
                        Some(next) => {
                            if next.stops + 1 == STOPS {
                                let call = &self.info.id;
                                tracing::warn!(%call, "a script goes on {patience:?} after its call: it is stopped");
                            }
                            farewell = Some(next);
                        }
                        None => return Some(ignores("it cannot be stopped")),
                    }
                    stop.stop();
                    continue;
                }
            };
            match request {
                Request::Surrender(to) => self.surrender(to),
                Request::Verb(ask, mut waiter) => {
                    let outcome = tokio::select! {
                        biased;
                        ended = &mut end => return ended.ok(),
                        () = waiter.gone() => continue,
                        outcome = self.perform(ask) => outcome,
                    };
                    let over = matches!(outcome, Err(CallError::HungUp | CallError::Ended(_)));
                    waiter.answer(outcome);
                    if over && self.is_ignored() {
                        return Some(ignores("it goes on"));
                    }
                }
            }
        }
    }

    fn is_ignored(&mut self) -> bool {
        self.hang_ups += 1;
        self.hang_ups >= HANG_UPS
    }

    /// Attends a dialled leg until no script holds it any more.
    async fn attend_leg(mut self) {
        while let Some(request) = self.requests.recv().await {
            match request {
                Request::Surrender(to) => return self.surrender(to),
                Request::Verb(ask, waiter) => self.serve_leg(ask, waiter).await,
            }
        }
    }

    async fn serve_leg(&mut self, ask: Ask, mut waiter: Waiter) {
        let outcome = tokio::select! {
            biased;
            () = waiter.gone() => return,
            outcome = self.perform(ask) => outcome,
        };
        waiter.answer(outcome);
    }

    /// Says that something went wrong, to a caller who was answered; whether he was.
    pub(crate) async fn apologise(&mut self) -> bool {
        match &mut self.state {
            State::Open { call, answered: true } => {
                // He may hang up on it.
                drop(call.play(Prompt::named("apology")).await);
                true
            }
            State::Open { .. } | State::Incoming(_) | State::Given | State::Gone => false,
        }
    }

    fn surrender(&mut self, to: oneshot::Sender<Call>) {
        if let State::Open { call, .. } = std::mem::replace(&mut self.state, State::Given) {
            drop(to.send(call));
        }
    }

    fn call(&mut self) -> Result<&mut Call, CallError> {
        match &mut self.state {
            State::Open { call, .. } => Ok(call),
            State::Incoming(_) => Err(CallError::application("the call is not answered yet")),
            State::Given | State::Gone => Err(CallError::HungUp),
        }
    }

    async fn perform(&mut self, ask: Ask) -> Outcome {
        match ask {
            Ask::Ringing | Ask::Early | Ask::Answer | Ask::Reject(_) | Ask::Redirect(_) => {
                self.open(ask).await?;
            }
            Ask::Play { prompt, stop_on, repeat } => {
                let prompt = self.ground.resolve(prompt);
                let play = self.call()?.play(prompt).stop_on(&stop_on);
                let play = if repeat { play.repeat() } else { play };
                return Ok(Value::Digit(play.await?.digit));
            }
            Ask::Record(recording) => return self.record(recording).await,
            Ask::Digits(options) => return Ok(Value::Text(collect(self.call()?, &options).await?)),
            Ask::Question { prompt, options } => {
                let prompt = self.ground.resolve(prompt);
                return Ok(Value::Text(question(self.call()?, prompt, options).await?));
            }
            Ask::Echo { stop_on } => return Ok(Value::Digit(self.call()?.echo().stop_on(&stop_on).await?)),
            Ask::Join { room, stop_on } => {
                return Ok(Value::Digit(self.call()?.join(room).stop_on(&stop_on).await?));
            }
            Ask::Dial { to, timeout, from } => {
                let dial = self.call()?.dial(to).timeout(timeout);
                let call = match from {
                    Some(from) => dial.from(from).await?,
                    None => dial.await?,
                };
                return Ok(Value::Leg(self.attend_new(call)));
            }
            Ask::Bridge(other) => {
                let (to, call) = oneshot::channel();
                other.send(Request::Surrender(to)).await.map_err(|_| CallError::HungUp)?;
                let other = call.await.map_err(|_| CallError::HungUp)?;
                self.call()?.bridge(other).await?;
            }
            Ask::Refer(to) => return Ok(Value::Status(self.call()?.refer(to).await?)),
            Ask::SendDigits(digits) => self.call()?.send_digits(&digits).await?,
            Ask::HangUp => {
                if let State::Open { call, .. } = std::mem::replace(&mut self.state, State::Gone) {
                    call.hang_up().await?;
                }
            }
            Ask::Mailbox(owner) => return self.mailbox(owner).await,
            Ask::Leave { mailbox, mode, recording, least } => {
                let take = leave(self.call()?, &mailbox, mode, &recording).await?;
                let id = mailbox.deliver(take, least).await?;
                return Ok(Value::Id(id.map(|id| id.0)));
            }
            ask => return look(ask).await,
        }
        Ok(Value::Nothing)
    }

    /// The verbs that come before the answer, and the answer.
    async fn open(&mut self, ask: Ask) -> Result<(), CallError> {
        if let (State::Incoming(call), Ask::Ringing) = (&self.state, &ask) {
            return call.ringing().await;
        }
        let (state, done) = match (std::mem::replace(&mut self.state, State::Gone), ask) {
            (State::Incoming(call), Ask::Early) => {
                (State::Open { call: call.early().await?, answered: false }, Ok(()))
            }
            (State::Incoming(call), Ask::Answer) => {
                (State::Open { call: call.answer().await?, answered: true }, Ok(()))
            }
            (State::Incoming(call), Ask::Reject(status)) => (State::Gone, call.reject(status).await),
            (State::Incoming(call), Ask::Redirect(to)) => (State::Gone, call.redirect(to).await),
            (State::Open { mut call, answered: false }, Ask::Answer) => {
                call.answer().await?;
                (State::Open { call, answered: true }, Ok(()))
            }
            (state @ State::Open { .. }, Ask::Answer | Ask::Early) => (state, Ok(())),
            (state @ State::Open { .. }, _) => {
                (state, Err(CallError::application("the call has media already: hang up instead")))
            }
            (state, _) => (state, Err(CallError::HungUp)),
        };
        self.state = state;
        done
    }

    async fn record(&mut self, recording: Recording) -> Outcome {
        let path = match recording.path {
            Some(path) => self.ground.data.join(path),
            None => {
                let path = self.ground.data.join(TEMPORARY).join(unique());
                self.temporary.push(path.clone());
                path
            }
        };
        let failed = |error: std::io::Error| CallError::Recording {
            path: path.clone(),
            reason: error.to_string().into(),
        };
        tokio::fs::create_dir_all(path.parent().unwrap_or(Path::new("/"))).await.map_err(failed)?;
        let record = self.call()?.record(&path).stop_on(&recording.stop_on);
        let took = record.max(recording.max).warn(recording.warn).silence(recording.silence).await?;
        Ok(Value::Take { path, duration: took.duration, ended_by: took.ended_by })
    }

    async fn mailbox(&self, owner: Option<Uri>) -> Outcome {
        let own = || self.info.identity.account().cloned();
        let owner = owner.or_else(own).ok_or(MailboxError::NotFound)?;
        Ok(Value::Mailbox(self.ground.host.mailboxes().owner_of(&owner).await?))
    }

    fn attend_new(&mut self, call: Call) -> LegParts {
        while self.legs.try_join_next().is_some() {}
        let info = call.info().clone();
        let (leg, parts) = Self::new(self.ground.clone(), info, State::Open { call, answered: true });
        self.legs.spawn(leg.attend_leg());
        parts
    }
}

impl Farewell {
    /// One stop less; none when all were in vain.
    fn stop(self) -> Option<Self> {
        let stops = self.stops.checked_sub(1)?;
        Some(Self { stops, next: self.next + STOP })
    }
}

/// How a script is said to have ended that does not end.
fn ignores(what: &str) -> Ended {
    Ended::Raised { traceback: format!("{what} although its call is over"), status: 500 }
}

impl Drop for Attendant {
    fn drop(&mut self) {
        for path in &self.temporary {
            // The script may have moved it to where it keeps it.
            drop(std::fs::remove_file(path));
        }
    }
}

async fn collect(call: &mut Call, options: &DigitsOptions) -> Result<String, CallError> {
    let digits = call.digits(options.max).finish_on(&options.finish_on);
    digits.timeout(options.first).between(options.between).await
}

/// Plays until a digit, and collects the rest.
async fn question(call: &mut Call, prompt: Prompt, options: DigitsOptions) -> Result<String, CallError> {
    let played = call.play(prompt).stop_on(ALL_DIGITS).await?;
    let Some(first) = played.digit else { return collect(call, &options).await };
    if options.finish_on.contains(first) {
        return Ok(String::new());
    }
    let mut digits = first.to_string();
    if options.max > 1 {
        let rest = DigitsOptions { max: options.max - 1, first: options.between, ..options };
        digits.push_str(&collect(call, &rest).await?);
    }
    Ok(digits)
}

async fn leave(
    call: &mut Call,
    mailbox: &Mailbox,
    mode: Mode,
    recording: &Recording,
) -> Result<sems_app::Take, CallError> {
    let deposition = mailbox.record(call, mode).stop_on(&recording.stop_on).max(recording.max);
    deposition.warn(recording.warn).silence(recording.silence).await
}

/// What needs only a mailbox.
async fn look(ask: Ask) -> Outcome {
    Ok(match ask {
        Ask::Messages(mailbox) => Value::Messages(mailbox.messages().await?),
        Ask::Audio(mailbox, id) => Value::Path(Some(mailbox.audio(&id).await?)),
        Ask::Greeting(mailbox) => Value::Path(mailbox.greeting().await?),
        Ask::VerifyPin(mailbox, pin) => Value::Flag(mailbox.verify_pin(&pin).await?),
        Ask::MarkHeard(mailbox, id) => {
            mailbox.mark_heard(&id).await?;
            Value::Nothing
        }
        Ask::Delete(mailbox, id) => {
            mailbox.delete(&id).await?;
            Value::Nothing
        }
        _ => return Err(CallError::application("not a verb of a mailbox")),
    })
}

/// A file name that no other recording of any process has.
fn unique() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    format!("{now}-{}-{}.wav", std::process::id(), COUNT.fetch_add(1, Relaxed))
}
