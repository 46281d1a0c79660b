//! Mailboxes: what an application does with one, and what a store provides.

use std::{
    future::IntoFuture,
    path::PathBuf,
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{
    BoxFuture, Call, CallError, CallInfo, MailboxError, Uri,
    command::{ByeHold, EndedBy, RecordOptions, Recorded},
};

/// The key of a mailbox in its store.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MailboxId(pub Arc<str>);

/// The key of a message; never reused, no position in a list.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MessageId(pub Arc<str>);

/// What becomes of a message (SEMS-X3).
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Deserialize, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Mailed to the owner, not kept in the box once mailed.
    Mail,
    /// Kept in the box, not mailed.
    Box,
    /// Kept and mailed.
    Both,
    /// Only the greeting is played; nothing is recorded.
    Announce,
}

/// One message of a mailbox.
#[derive(Debug, Clone)]
pub struct MessageInfo {
    /// Its key.
    pub id: MessageId,
    /// Who left it: a URI as text.
    pub caller: String,
    /// The caller's display name.
    pub caller_name: Option<String>,
    /// When the recording began.
    pub received: SystemTime,
    /// Its length.
    pub duration: Duration,
    /// Whether the owner has heard it.
    pub heard: bool,
}

/// What a deposit is about: written down before the first frame, so that an orphaned take knows whose it is.
#[derive(Debug, Clone)]
pub struct Deposit {
    /// Who called: a URI as text.
    pub caller: String,
    /// The caller's display name.
    pub caller_name: Option<String>,
    /// When the recording began.
    pub received: SystemTime,
    /// What is to become of it.
    pub mode: Mode,
}

/// A place to record to, made by [`MailboxBackend::begin`].
#[derive(Debug, Clone)]
pub struct Spool {
    /// The WAV file to write.
    pub path: PathBuf,
    /// The deposit's key in the store.
    pub id: MessageId,
}

/// What the store provides. Every method may be called from many calls at once.
pub trait MailboxBackend: Send + Sync + 'static {
    /// The mailbox of an address (user and domain of a URI; unknown: [`MailboxError::NotFound`]).
    fn owner_of<'a>(&'a self, uri: &'a Uri) -> BoxFuture<'a, Result<MailboxId, MailboxError>>;
    /// The owner's own greeting, where he has recorded one.
    fn greeting<'a>(&'a self, mailbox: &'a MailboxId)
    -> BoxFuture<'a, Result<Option<PathBuf>, MailboxError>>;
    /// Whether the box holds all it may, so that [`begin`](Self::begin) would refuse.
    fn is_full<'a>(&'a self, mailbox: &'a MailboxId) -> BoxFuture<'a, Result<bool, MailboxError>>;
    /// Writes down a deposit beside a new spool file, durably, before the first frame.
    fn begin<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        deposit: &'a Deposit,
    ) -> BoxFuture<'a, Result<Spool, MailboxError>>;
    /// Commits a recorded deposit: message, counters and mail in one transaction. Durable when it returns.
    fn commit<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        spool: &'a Spool,
        duration: Duration,
    ) -> BoxFuture<'a, Result<MessageId, MailboxError>>;
    /// Forgets a deposit that is none, and notes a missed call instead.
    fn discard<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        spool: &'a Spool,
    ) -> BoxFuture<'a, Result<(), MailboxError>>;
    /// Notes a call that left no message.
    fn missed<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        deposit: &'a Deposit,
    ) -> BoxFuture<'a, Result<(), MailboxError>>;
    /// The messages in the order they are told: unheard before heard, oldest first in each.
    fn messages<'a>(
        &'a self,
        mailbox: &'a MailboxId,
    ) -> BoxFuture<'a, Result<Vec<MessageInfo>, MailboxError>>;
    /// The sound of a message, as a local file.
    fn audio<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        message: &'a MessageId,
    ) -> BoxFuture<'a, Result<PathBuf, MailboxError>>;
    /// Marks a message as heard.
    fn mark_heard<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        message: &'a MessageId,
    ) -> BoxFuture<'a, Result<(), MailboxError>>;
    /// Takes a message out of the box (kept 7 days for undelete).
    fn delete<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        message: &'a MessageId,
    ) -> BoxFuture<'a, Result<(), MailboxError>>;
    /// Whether this is the owner's PIN. Three wrong ones lock the box for a while ([`MailboxError::Locked`]).
    fn verify_pin<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        pin: &'a str,
    ) -> BoxFuture<'a, Result<bool, MailboxError>>;
}

/// All mailboxes; given out by [`Host::mailboxes`](crate::Host::mailboxes).
#[derive(Clone)]
pub struct Mailboxes(Arc<dyn MailboxBackend>);

impl std::fmt::Debug for Mailboxes {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Mailboxes")
    }
}

impl Mailboxes {
    /// Mailboxes kept by `backend`.
    pub fn new(backend: Arc<dyn MailboxBackend>) -> Self {
        Self(backend)
    }

    /// The mailbox of an address.
    pub async fn owner_of(&self, uri: &Uri) -> Result<Mailbox, MailboxError> {
        let id = self.0.owner_of(uri).await?;
        Ok(Mailbox { id, backend: self.0.clone() })
    }
}

/// One mailbox.
#[derive(Clone)]
pub struct Mailbox {
    id: MailboxId,
    backend: Arc<dyn MailboxBackend>,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Mailbox").field(&self.id).finish()
    }
}

impl Mailbox {
    /// Its key.
    pub fn id(&self) -> &MailboxId {
        &self.id
    }

    /// The owner's own greeting.
    pub async fn greeting(&self) -> Result<Option<PathBuf>, MailboxError> {
        self.backend.greeting(&self.id).await
    }

    /// Whether the box holds all it may; to be asked before the caller is asked to speak.
    pub async fn is_full(&self) -> Result<bool, MailboxError> {
        self.backend.is_full(&self.id).await
    }

    /// Records a message for the owner. Owner, caller and time are on disk before the first frame; the answer
    /// to the caller's BYE waits for [`deliver`](Self::deliver).
    pub fn record<'a>(&'a self, call: &'a mut Call, mode: Mode) -> Deposition<'a> {
        let options = RecordOptions { hold_bye: true, ..RecordOptions::default() };
        Deposition { mailbox: self, call, mode, options }
    }

    /// Commits a take. One shorter than `least` of sound becomes a missed call instead, and `None` is returned.
    pub async fn deliver(&self, take: Take, least: Duration) -> Result<Option<MessageId>, MailboxError> {
        let delivered = if take.duration < least {
            self.backend.discard(&self.id, &take.spool).await.map(|()| None)
        } else {
            self.backend.commit(&self.id, &take.spool, take.duration).await.map(Some)
        };
        drop(take.hold);
        delivered
    }

    /// Notes a call that left no message.
    pub async fn missed(&self, info: &CallInfo) -> Result<(), MailboxError> {
        self.backend.missed(&self.id, &deposit(info, Mode::Box)).await
    }

    /// The messages: unheard before heard, oldest first in each.
    pub async fn messages(&self) -> Result<Vec<MessageInfo>, MailboxError> {
        self.backend.messages(&self.id).await
    }

    /// The sound of a message, as a local file.
    pub async fn audio(&self, message: &MessageId) -> Result<PathBuf, MailboxError> {
        self.backend.audio(&self.id, message).await
    }

    /// Marks a message as heard.
    pub async fn mark_heard(&self, message: &MessageId) -> Result<(), MailboxError> {
        self.backend.mark_heard(&self.id, message).await
    }

    /// Takes a message out of the box.
    pub async fn delete(&self, message: &MessageId) -> Result<(), MailboxError> {
        self.backend.delete(&self.id, message).await
    }

    /// Whether this is the owner's PIN.
    pub async fn verify_pin(&self, pin: &str) -> Result<bool, MailboxError> {
        self.backend.verify_pin(&self.id, pin).await
    }
}

/// Whether a WAV file holds more than its header.
fn has_sound(path: &std::path::Path) -> bool {
    const HEADER: u64 = 44;
    std::fs::metadata(path).is_ok_and(|file| file.len() > HEADER)
}

fn deposit(info: &CallInfo, mode: Mode) -> Deposit {
    Deposit {
        caller: info.caller().to_string(),
        caller_name: info.from_name.clone(),
        received: SystemTime::now(),
        mode,
    }
}

/// A recorded, not yet committed message. The store repairs and delivers it at the next start if the process
/// dies before [`Mailbox::deliver`].
#[derive(Debug)]
pub struct Take {
    /// Where it lies.
    pub spool: Spool,
    /// Its length.
    pub duration: Duration,
    /// Why it ended.
    pub ended_by: EndedBy,
    hold: Option<ByeHold>,
}

/// A builder like [`Call::record`]'s; see [`Mailbox::record`].
#[derive(Debug)]
#[must_use = "a verb does nothing until it is awaited"]
pub struct Deposition<'a> {
    mailbox: &'a Mailbox,
    call: &'a mut Call,
    mode: Mode,
    options: RecordOptions,
}

impl Deposition<'_> {
    /// Digits that end the recording (default `#`).
    pub fn stop_on(mut self, digits: &str) -> Self {
        digits.clone_into(&mut self.options.stop_on);
        self
    }

    /// The longest take.
    pub fn max(mut self, max: Duration) -> Self {
        self.options.max = max;
        self
    }

    /// A warning beep this long before the end.
    pub fn warn(mut self, before: Duration) -> Self {
        self.options.warn = before;
        self
    }

    /// Ends after this much silence.
    pub fn silence(mut self, silence: Duration) -> Self {
        self.options.silence = silence;
        self
    }
}

impl<'a> IntoFuture for Deposition<'a> {
    type Output = Result<Take, CallError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let Self { mailbox, call, mode, options } = self;
            let about = deposit(call.info(), mode);
            let spool = mailbox.backend.begin(&mailbox.id, &about).await?;
            let path = spool.path.clone();
            let recorded =
                call.line.ask(|reply| crate::command::Command::Record { path, options, reply }).await;
            match recorded {
                Ok(Recorded { duration, ended_by, hold }) => Ok(Take { spool, duration, ended_by, hold }),
                Err(error) => {
                    // Where the core failed in the middle, what was said stays for the recovery at the next start.
                    if has_sound(&spool.path) {
                        tracing::error!(spool = %spool.path.display(), %error, "recording is left to recovery");
                    } else {
                        mailbox.backend.discard(&mailbox.id, &spool).await?;
                    }
                    Err(error)
                }
            }
        })
    }
}
