//! Mailboxes in memory.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};

use super::{outcome::order, sound::write_wav};
use crate::{
    BoxFuture, Deposit, MailboxBackend, MailboxError, MailboxId, MessageId, MessageInfo, Mode, Spool, Uri,
};

/// Wrong PINs until a box is locked.
const TRIES: u32 = 3;

/// A message in [`MemoryMailboxes`].
#[derive(Debug, Clone)]
pub struct StoredMessage {
    /// As applications see it.
    pub info: MessageInfo,
    /// What was to become of it.
    pub mode: Mode,
    /// Its sound.
    pub path: PathBuf,
    /// Whether it was deleted.
    pub deleted: bool,
    /// Its place in the order of all things; compare with [`Outcome::bye_order`](super::Outcome::bye_order).
    pub order: u64,
}

#[derive(Debug, Default)]
struct Contents {
    greeting: Option<PathBuf>,
    pin: Option<String>,
    wrong: u32,
    full: bool,
    messages: Vec<StoredMessage>,
    spooled: HashMap<MessageId, Deposit>,
    missed: Vec<String>,
}

#[derive(Debug, Default)]
struct State {
    boxes: HashMap<String, Contents>,
    failure: Option<MailboxError>,
    commit_failure: Option<MailboxError>,
}

/// Mailboxes in memory, their sounds in a temporary folder. Methods that name a mailbox panic if it is not there.
#[derive(Debug)]
pub struct MemoryMailboxes {
    folder: Arc<tempfile::TempDir>,
    state: Mutex<State>,
}

fn key(uri: &Uri) -> String {
    format!("{}@{}", uri.user().unwrap_or_default().to_lowercase(), uri.host())
}

impl MemoryMailboxes {
    pub(super) fn new(folder: Arc<tempfile::TempDir>) -> Self {
        Self { folder, state: Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn contents<T>(&self, mailbox: &str, act: impl FnOnce(&mut Contents) -> T) -> T {
        match self.state().boxes.get_mut(mailbox) {
            Some(contents) => act(contents),
            None => panic!("the test has no mailbox {mailbox:?}"),
        }
    }

    /// Makes an empty mailbox, named `user@domain`.
    pub fn add(&self, mailbox: &str) {
        self.state().boxes.insert(mailbox.to_owned(), Contents::default());
    }

    /// Sets the owner's PIN.
    pub fn set_pin(&self, mailbox: &str, pin: &str) {
        self.contents(mailbox, |contents| contents.pin = Some(pin.to_owned()));
    }

    /// Sets the owner's own greeting.
    pub fn set_greeting(&self, mailbox: &str, greeting: impl Into<PathBuf>) {
        let greeting = greeting.into();
        self.contents(mailbox, |contents| contents.greeting = Some(greeting));
    }

    /// Says that the mailbox is full.
    pub fn fill(&self, mailbox: &str) {
        self.contents(mailbox, |contents| contents.full = true);
    }

    /// Everything fails with this error from now on; none ends it.
    pub fn fail(&self, error: Option<MailboxError>) {
        self.state().failure = error;
    }

    /// Only commits fail with this error from now on; none ends it.
    pub fn fail_commits(&self, error: Option<MailboxError>) {
        self.state().commit_failure = error;
    }

    /// Leaves a message with a sound of this length, received one after the other; its key is returned.
    ///
    /// # Panics
    /// If the sound cannot be written.
    pub fn leave(&self, mailbox: &str, caller: &str, duration: Duration) -> MessageId {
        let order = order();
        let path = self.folder.path().join(format!("message-{order}.wav"));
        if let Err(error) = write_wav(&path, duration, &[(Duration::ZERO, duration)]) {
            panic!("{}: {error}", path.display());
        }
        let id = MessageId(format!("m{order}").into());
        let info = MessageInfo {
            id: id.clone(),
            caller: caller.to_owned(),
            caller_name: None,
            received: SystemTime::now(),
            duration,
            heard: false,
        };
        let message = StoredMessage { info, mode: Mode::Both, path, deleted: false, order };
        self.contents(mailbox, |contents| contents.messages.push(message));
        id
    }

    /// All messages as they came, the deleted ones too.
    pub fn messages_of(&self, mailbox: &str) -> Vec<StoredMessage> {
        self.contents(mailbox, |contents| contents.messages.clone())
    }

    /// The callers of the calls that left no message.
    pub fn missed_by(&self, mailbox: &str) -> Vec<String> {
        self.contents(mailbox, |contents| contents.missed.clone())
    }

    /// How many recordings were begun and neither committed nor discarded.
    pub fn unfinished(&self, mailbox: &str) -> usize {
        self.contents(mailbox, |contents| contents.spooled.len())
    }

    fn with<T>(
        &self,
        mailbox: &MailboxId,
        act: impl FnOnce(&mut Contents) -> Result<T, MailboxError>,
    ) -> Result<T, MailboxError> {
        let mut state = self.state();
        if let Some(failure) = &state.failure {
            return Err(failure.clone());
        }
        act(state.boxes.get_mut(&*mailbox.0).ok_or(MailboxError::NotFound)?)
    }

    fn message<T>(
        &self,
        mailbox: &MailboxId,
        id: &MessageId,
        act: impl FnOnce(&mut StoredMessage) -> T,
    ) -> Result<T, MailboxError> {
        self.with(mailbox, |contents| {
            let mut messages = contents.messages.iter_mut();
            let message = messages.find(|message| message.info.id == *id && !message.deleted);
            message.map(act).ok_or(MailboxError::NoSuchMessage)
        })
    }
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, T> {
    Box::pin(std::future::ready(value))
}

impl MailboxBackend for MemoryMailboxes {
    fn owner_of<'a>(&'a self, uri: &'a Uri) -> BoxFuture<'a, Result<MailboxId, MailboxError>> {
        let id = MailboxId(key(uri).into());
        ready(self.with(&id.clone(), |_| Ok(id)))
    }

    fn greeting<'a>(
        &'a self,
        mailbox: &'a MailboxId,
    ) -> BoxFuture<'a, Result<Option<PathBuf>, MailboxError>> {
        ready(self.with(mailbox, |contents| Ok(contents.greeting.clone())))
    }

    fn is_full<'a>(&'a self, mailbox: &'a MailboxId) -> BoxFuture<'a, Result<bool, MailboxError>> {
        ready(self.with(mailbox, |contents| Ok(contents.full)))
    }

    fn begin<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        deposit: &'a Deposit,
    ) -> BoxFuture<'a, Result<Spool, MailboxError>> {
        ready(self.with(mailbox, |contents| {
            if contents.full {
                return Err(MailboxError::Full);
            }
            let id = MessageId(format!("m{}", order()).into());
            contents.spooled.insert(id.clone(), deposit.clone());
            Ok(Spool { path: self.folder.path().join(format!("{}.wav", id.0)), id })
        }))
    }

    fn commit<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        spool: &'a Spool,
        duration: Duration,
    ) -> BoxFuture<'a, Result<MessageId, MailboxError>> {
        if let Some(failure) = self.state().commit_failure.clone() {
            return ready(Err(failure));
        }
        ready(self.with(mailbox, |contents| {
            let deposit = contents.spooled.remove(&spool.id).ok_or(MailboxError::NoSuchMessage)?;
            let info = MessageInfo {
                id: spool.id.clone(),
                caller: deposit.caller,
                caller_name: deposit.caller_name,
                received: deposit.received,
                duration,
                heard: false,
            };
            let (mode, path, order) = (deposit.mode, spool.path.clone(), order());
            contents.messages.push(StoredMessage { info, mode, path, deleted: false, order });
            Ok(spool.id.clone())
        }))
    }

    fn discard<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        spool: &'a Spool,
    ) -> BoxFuture<'a, Result<(), MailboxError>> {
        ready(self.with(mailbox, |contents| {
            let deposit = contents.spooled.remove(&spool.id).ok_or(MailboxError::NoSuchMessage)?;
            contents.missed.push(deposit.caller);
            Ok(())
        }))
    }

    fn missed<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        deposit: &'a Deposit,
    ) -> BoxFuture<'a, Result<(), MailboxError>> {
        ready(self.with(mailbox, |contents| {
            contents.missed.push(deposit.caller.clone());
            Ok(())
        }))
    }

    fn messages<'a>(
        &'a self,
        mailbox: &'a MailboxId,
    ) -> BoxFuture<'a, Result<Vec<MessageInfo>, MailboxError>> {
        ready(self.with(mailbox, |contents| {
            let kept = contents.messages.iter().filter(|message| !message.deleted);
            let mut infos: Vec<_> = kept.map(|message| message.info.clone()).collect();
            infos.sort_by_key(|info| info.heard);
            Ok(infos)
        }))
    }

    fn audio<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        message: &'a MessageId,
    ) -> BoxFuture<'a, Result<PathBuf, MailboxError>> {
        ready(self.message(mailbox, message, |message| message.path.clone()))
    }

    fn mark_heard<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        message: &'a MessageId,
    ) -> BoxFuture<'a, Result<(), MailboxError>> {
        ready(self.message(mailbox, message, |message| message.info.heard = true))
    }

    fn delete<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        message: &'a MessageId,
    ) -> BoxFuture<'a, Result<(), MailboxError>> {
        ready(self.message(mailbox, message, |message| message.deleted = true))
    }

    fn verify_pin<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        pin: &'a str,
    ) -> BoxFuture<'a, Result<bool, MailboxError>> {
        ready(self.with(mailbox, |contents| {
            if contents.wrong >= TRIES {
                return Err(MailboxError::Locked);
            }
            let right = contents.pin.as_deref() == Some(pin);
            contents.wrong = if right { 0 } else { contents.wrong + 1 };
            Ok(right)
        }))
    }
}
