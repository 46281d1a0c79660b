//! The outbox: mail is tried until the server takes it, and every attempt is written down.

use std::time::SystemTime;

use sems_app::MessageId;
use tokio::sync::watch;

use crate::{Store, StoreError};

/// How far a mail is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobState {
    /// Waits for its next attempt.
    Pending,
    /// The server took it.
    Sent,
    /// Given up; the message is in the box.
    Failed,
}

/// A mail of the outbox.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxEntry {
    /// Its key.
    pub id: String,
    /// The message that it carries.
    pub message: MessageId,
    /// To whom.
    pub recipient: String,
    /// How far it is.
    pub state: JobState,
    /// How often it was tried.
    pub attempts: u32,
    /// When it is tried again; none when it is not.
    pub next_attempt: Option<SystemTime>,
    /// What the server said last.
    pub last_answer: Option<String>,
    /// The Message-ID, the same in every attempt.
    pub message_id_header: String,
    /// When it was put here.
    pub created: SystemTime,
}

/// One attempt to send a mail.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// When.
    pub at: SystemTime,
    /// Whether the server took it.
    pub accepted: bool,
    /// The answer of the SMTP server, or why there was none.
    pub answer: String,
}

impl Store {
    /// Sends what is due until `shutdown` becomes true (or its sender is gone). Run one of these per process.
    pub async fn run_outbox(&self, _shutdown: watch::Receiver<bool>) {
        todo!()
    }

    /// The latest 1,000 mails, latest first.
    pub async fn outbox(&self) -> Result<Vec<OutboxEntry>, StoreError> {
        todo!()
    }

    /// The attempts of a mail, oldest first.
    pub async fn attempts(&self, _id: &str) -> Result<Vec<Attempt>, StoreError> {
        todo!()
    }

    /// Tries a mail again at once, a failed one too.
    pub async fn retry(&self, _id: &str) -> Result<(), StoreError> {
        todo!()
    }
}
