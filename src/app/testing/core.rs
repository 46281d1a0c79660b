//! The scripted core: one call's end of the [command](crate::command) wire.

use std::{
    collections::{HashMap, VecDeque},
    path::PathBuf,
    sync::{Arc, Mutex},
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinHandle,
    time::{Instant, sleep, timeout},
};

use super::{
    Caller,
    outcome::{Event, Log, Side},
    script::{Act, Script, Step},
};
use crate::{
    CallError, CallInfo, RoomName, Uri,
    command::{Command, Reply},
};

/// How long a core waits for a [`ByeHold`](crate::command::ByeHold).
const HOLD: Duration = Duration::from_secs(5);

/// Who is in which room, by the order number of their joining.
pub(super) type Rooms = Arc<Mutex<HashMap<RoomName, Vec<(u64, Log)>>>>;

/// What all calls of a host share.
#[derive(Debug, Clone, Default)]
pub(super) struct Surroundings {
    pub(super) sounds: Option<PathBuf>,
    pub(super) instant: bool,
    pub(super) rooms: Rooms,
}

/// What comes next within a verb.
pub(super) enum Next {
    /// The time that the verb waits for.
    Deadline,
    /// A digit.
    Digit(char),
    /// The caller began to speak, or a pause of his is over.
    Spoke,
    HungUp,
    /// The application dropped the verb.
    Dropped,
}

pub(super) struct Core {
    pub(super) surroundings: Surroundings,
    pub(super) info: Arc<CallInfo>,
    pub(super) log: Log,
    pub(super) script: Script,
    pub(super) now: Duration,
    /// Digits typed ahead.
    pub(super) typed: VecDeque<char>,
    /// When the caller spoke, from and to.
    pub(super) speech: Vec<(Duration, Duration)>,
    pub(super) dialled: Vec<(Uri, Result<Vec<Step>, u16>)>,
    pub(super) hold: Option<JoinHandle<()>>,
    refer_status: u16,
    answered: bool,
    gone: bool,
}

/// What is left when a call is over.
pub(super) struct Ended {
    pub(super) rest: Vec<Step>,
    pub(super) lasted: Duration,
}

impl Core {
    pub(super) fn new(surroundings: Surroundings, caller: Caller) -> Self {
        Self {
            surroundings,
            info: Arc::new(caller.info),
            log: Log::default(),
            script: Script::new(caller.steps),
            now: Duration::ZERO,
            typed: VecDeque::new(),
            speech: Vec::new(),
            dialled: caller.dialled,
            hold: None,
            refer_status: caller.refer_status,
            answered: false,
            gone: false,
        }
    }

    /// Serves commands until the application is over (`done`, or nobody holds the call any more).
    pub(super) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        mut done: oneshot::Receiver<()>,
    ) -> Ended {
        loop {
            let command = tokio::select! {
                biased;
                command = commands.recv() => command,
                _ = &mut done => None,
            };
            let Some(command) = command else { break };
            if self.gone {
                refuse(command);
            } else {
                self.carry_out(command).await;
            }
            if self.gone {
                // As the real core does: what is on its way is refused, and `hung_up` resolves.
                commands.close();
            }
        }
        if self.answered && !self.gone {
            self.log.push(Event::HungUp(Side::Application));
        }
        if let Some(hold) = self.hold.take() {
            let _ = hold.await;
        }
        Ended { rest: self.script.into_rest(), lasted: self.now }
    }

    async fn carry_out(&mut self, command: Command) {
        match command {
            Command::Ringing { reply } => self.at_once(reply, Event::Rang),
            Command::Early { reply } => self.at_once(reply, Event::Early),
            Command::Answer { reply } => self.answer(reply),
            Command::Reject { status, reply, .. } => self.at_once(reply, Event::Rejected(status)),
            Command::Redirect { to, reply } => self.at_once(reply, Event::Redirected(to)),
            Command::Play { prompt, options, reply } => self.play(&prompt, &options, reply).await,
            Command::Record { path, options, reply } => self.record(path, &options, reply).await,
            Command::Digits { options, reply } => self.digits(&options, reply).await,
            Command::Echo { stop_on, reply } => self.echo(&stop_on, reply).await,
            Command::Join { room, stop_on, reply } => self.join(room, &stop_on, reply).await,
            Command::Dial { to, reply, .. } => self.dial(to, reply),
            Command::Bridge { other, reply } => self.bridge(*other, reply).await,
            Command::Refer { to, reply } => {
                self.log.push(Event::Referred(to));
                let _ = reply.send(Ok(self.refer_status));
            }
            Command::SendDigits { digits, reply } => self.at_once(reply, Event::SentDigits(digits)),
            Command::HangUp { reply } => {
                self.gone = true;
                self.at_once(reply, Event::HungUp(Side::Application));
            }
        }
    }

    fn at_once(&self, reply: Reply<()>, event: Event) {
        self.log.push(event);
        let _ = reply.send(Ok(()));
    }

    /// Answers, unless the caller's script has him cancel first.
    fn answer(&mut self, reply: Reply<()>) {
        let (at, act) = self.script.next();
        if act == Act::HangUp && at <= self.now {
            self.script.take();
            self.hang_up();
            let _ = reply.send(Err(CallError::HungUp));
            return;
        }
        if self.answered {
            let _ = reply.send(Ok(()));
        } else {
            self.answered = true;
            self.at_once(reply, Event::Answered);
        }
    }

    fn hang_up(&mut self) {
        self.gone = true;
        self.log.push(Event::HungUp(Side::Caller));
    }

    /// Lets time pass until `deadline`, or until the caller does something, or the verb is dropped.
    pub(super) async fn until<T>(&mut self, deadline: Option<Duration>, reply: &mut Reply<T>) -> Next {
        loop {
            let (at, act) = self.script.next();
            let at = at.max(self.now);
            if let Some(deadline) = deadline.filter(|deadline| *deadline <= at) {
                return if self.pass(deadline, reply).await { Next::Deadline } else { Next::Dropped };
            }
            if !self.pass(at, reply).await {
                return Next::Dropped;
            }
            self.script.take();
            match act {
                Act::Nothing => {}
                Act::Press(digit) => return Next::Digit(digit),
                Act::Speak(time) => {
                    self.speech.push((at, at + time));
                    return Next::Spoke;
                }
                Act::HangUp => {
                    self.hang_up();
                    return Next::HungUp;
                }
            }
        }
    }

    /// Whether the verb still stands when that time has come.
    async fn pass<T>(&mut self, to: Duration, reply: &mut Reply<T>) -> bool {
        let span = to.saturating_sub(self.now);
        if self.surroundings.instant {
            tokio::task::yield_now().await;
            self.now = self.now.max(to);
            return !reply.is_closed();
        }
        let begun = Instant::now();
        tokio::select! {
            biased;
            () = reply.closed() => {
                self.now += begun.elapsed().min(span);
                false
            }
            () = sleep(span) => {
                self.now += span;
                true
            }
        }
    }

    /// Watches over a BYE that a recording holds back.
    pub(super) fn watch_hold(&mut self, released: oneshot::Receiver<()>) {
        let log = self.log.clone();
        self.hold = Some(tokio::spawn(async move {
            let in_time = timeout(HOLD, released).await.is_ok();
            log.push(if in_time { Event::ByeAnswered } else { Event::ByeOverdue });
        }));
    }
}

/// Answers a command of a call that is gone.
fn refuse(command: Command) {
    fn hung_up<T>(reply: Reply<T>) {
        let _ = reply.send(Err(CallError::HungUp));
    }
    match command {
        Command::Ringing { reply }
        | Command::Early { reply }
        | Command::Answer { reply }
        | Command::Reject { reply, .. }
        | Command::Redirect { reply, .. }
        | Command::Bridge { reply, .. }
        | Command::SendDigits { reply, .. }
        | Command::HangUp { reply } => hung_up(reply),
        Command::Play { reply, .. } => hung_up(reply),
        Command::Record { reply, .. } => hung_up(reply),
        Command::Digits { reply, .. } => hung_up(reply),
        Command::Echo { reply, .. } | Command::Join { reply, .. } => hung_up(reply),
        Command::Dial { reply, .. } => hung_up(reply),
        Command::Refer { reply, .. } => hung_up(reply),
    }
}
