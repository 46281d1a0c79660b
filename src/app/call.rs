//! The two faces of a call: before and after it is answered.

use std::{fmt, path::PathBuf, sync::Arc, time::SystemTime};

use tokio::sync::{mpsc, oneshot};

use crate::{
    CallError, Params, Prompt, Room, Uri,
    command::{Command, Reply},
    verb::{Dial, Digits, Echo, Join, Play, Record},
};

/// A call's name in logs, in the API and in CDRs; unique in this process's life and beyond.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct CallId(pub Arc<str>);

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Who is calling, and how we know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Identity {
    /// One of our accounts, proved by digest; or named by a trusted peer's P-Asserted-Identity.
    Account(Uri),
    /// A trusted peer that asserts nobody of ours.
    Trusted,
    /// Anybody.
    Stranger,
}

impl Identity {
    /// The account's address of record.
    pub fn account(&self) -> Option<&Uri> {
        match self {
            Self::Account(uri) => Some(uri),
            Self::Trusted | Self::Stranger => None,
        }
    }
}

/// Why the callee did not take the call himself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unavailable {
    /// Not registered (or unreachable).
    Offline,
    /// 486 or 600.
    Busy,
    /// Rang until the ring timeout.
    NoAnswer,
    /// 603, 403 or another refusal.
    Declined,
}

impl Unavailable {
    /// As it stands in `sems.toml`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Offline => "offline",
            Self::Busy => "busy",
            Self::NoAnswer => "no-answer",
            Self::Declined => "declined",
        }
    }
}

/// What is known of a call from its INVITE.
#[derive(Debug, Clone)]
pub struct CallInfo {
    /// Its name.
    pub id: CallId,
    /// The request URI as it arrived.
    pub request_uri: Uri,
    /// The To URI.
    pub to: Uri,
    /// The From URI: a claim; see `identity` for what is proved.
    pub from: Uri,
    /// The display name of From.
    pub from_name: Option<String>,
    /// Who is calling.
    pub identity: Identity,
    /// Whose mailbox is meant: what a trusted peer's Diversion or History-Info says, else the address of record
    /// that the request URI means, whose domain is one of ours even where the caller dialled an address.
    pub mailbox: Option<Uri>,
    /// Why the callee did not answer, when the call comes here after he was tried.
    pub unavailable: Option<Unavailable>,
    /// The parameters of the route that led here.
    pub params: Params,
    /// Headers of the INVITE as text, in order, long names.
    pub headers: Vec<(String, String)>,
    /// When the INVITE arrived.
    pub received: SystemTime,
}

impl CallInfo {
    /// The first header of that name.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(n, _)| n.eq_ignore_ascii_case(name)).map(|(_, v)| v.as_str())
    }

    /// The URI whose mailbox this call is about.
    pub fn mailbox_uri(&self) -> &Uri {
        self.mailbox.as_ref().unwrap_or(&self.request_uri)
    }

    /// The caller: the proved account, else the From URI.
    pub fn caller(&self) -> &Uri {
        self.identity.account().unwrap_or(&self.from)
    }
}

#[derive(Debug)]
pub(crate) struct Line {
    pub(crate) info: Arc<CallInfo>,
    commands: mpsc::Sender<Command>,
}

impl Line {
    /// Sends a command and awaits its answer. A core that is gone means that the call is.
    pub(crate) async fn ask<T>(&self, command: impl FnOnce(Reply<T>) -> Command) -> Result<T, CallError> {
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| CallError::HungUp)?;
        answer.await.unwrap_or(Err(CallError::HungUp))
    }
}

/// A call that is not answered yet. Dropping it refuses with 480.
#[derive(Debug)]
pub struct IncomingCall {
    line: Line,
}

impl IncomingCall {
    /// For a core: a call described by `info` whose verbs go to `commands`.
    pub fn new(info: Arc<CallInfo>, commands: mpsc::Sender<Command>) -> Self {
        Self { line: Line { info, commands } }
    }

    /// What is known of the call.
    pub fn info(&self) -> &Arc<CallInfo> {
        &self.line.info
    }

    /// The request URI.
    pub fn request_uri(&self) -> &Uri {
        &self.line.info.request_uri
    }

    /// Resolves when the caller has given up, or the server has ended the call.
    pub async fn hung_up(&self) {
        self.line.commands.closed().await;
    }

    /// Tells the caller that it rings (180).
    pub async fn ringing(&self) -> Result<(), CallError> {
        self.line.ask(|reply| Command::Ringing { reply }).await
    }

    /// Opens media before the answer (183), so that the caller hears and pays nothing. The returned call plays;
    /// [`Call::answer`] answers it.
    pub async fn early(self) -> Result<Call, CallError> {
        self.line.ask(|reply| Command::Early { reply }).await?;
        Ok(Call { line: self.line })
    }

    /// Answers (200) and waits for the ACK.
    pub async fn answer(self) -> Result<Call, CallError> {
        self.line.ask(|reply| Command::Answer { reply }).await?;
        Ok(Call { line: self.line })
    }

    /// Refuses with a status of 400 to 699.
    pub async fn reject(self, status: u16) -> Result<(), CallError> {
        self.line.ask(|reply| Command::Reject { status, reason: None, reply }).await
    }

    /// Sends the caller elsewhere (302).
    pub async fn redirect(self, to: Vec<Uri>) -> Result<(), CallError> {
        self.line.ask(|reply| Command::Redirect { to, reply }).await
    }
}

/// A call with media. Dropping it hangs up.
#[derive(Debug)]
pub struct Call {
    pub(crate) line: Line,
}

impl Call {
    /// For a core: a leg (one that was dialled) whose verbs go to `commands`.
    pub fn new(info: Arc<CallInfo>, commands: mpsc::Sender<Command>) -> Self {
        Self { line: Line { info, commands } }
    }

    /// What is known of the call.
    pub fn info(&self) -> &Arc<CallInfo> {
        &self.line.info
    }

    /// Answers a call that was only [early](IncomingCall::early); does nothing to one that is answered.
    pub async fn answer(&mut self) -> Result<(), CallError> {
        self.line.ask(|reply| Command::Answer { reply }).await
    }

    /// Plays a sound.
    pub fn play(&mut self, prompt: impl Into<Prompt>) -> Play<'_> {
        Play::new(&self.line, prompt.into())
    }

    /// Records what the other side says into a WAV file.
    pub fn record(&mut self, path: impl Into<PathBuf>) -> Record<'_> {
        Record::new(&self.line, path.into())
    }

    /// Collects up to `max` digits, those typed ahead first.
    pub fn digits(&mut self, max: usize) -> Digits<'_> {
        Digits::new(&self.line, max)
    }

    /// Sends what the other side says back to it, until it hangs up.
    pub fn echo(&mut self) -> Echo<'_> {
        Echo::new(&self.line)
    }

    /// Enters a room, until the other side hangs up.
    pub fn join(&mut self, room: Room) -> Join<'_> {
        Join::new(&self.line, room)
    }

    /// Calls somebody else; the result is another [`Call`] that can be [bridged](Self::bridge).
    pub fn dial(&mut self, to: Uri) -> Dial<'_> {
        Dial::new(&self.line, to)
    }

    /// Connects this call with another until one of the two hangs up.
    pub async fn bridge(&mut self, other: Self) -> Result<(), CallError> {
        self.line.ask(|reply| Command::Bridge { other: Box::new(other), reply }).await
    }

    /// Sends the other side elsewhere (REFER) and returns the final status of the attempt.
    pub async fn refer(&mut self, to: Uri) -> Result<u16, CallError> {
        self.line.ask(|reply| Command::Refer { to, reply }).await
    }

    /// Sends digits (RFC 4733); `,` is a pause of half a second.
    pub async fn send_digits(&mut self, digits: &str) -> Result<(), CallError> {
        let digits = digits.to_owned();
        self.line.ask(|reply| Command::SendDigits { digits, reply }).await
    }

    /// Resolves when the call is over.
    pub async fn hung_up(&self) {
        self.line.commands.closed().await;
    }

    /// Hangs up.
    pub async fn hang_up(self) -> Result<(), CallError> {
        self.line.ask(|reply| Command::HangUp { reply }).await
    }
}
