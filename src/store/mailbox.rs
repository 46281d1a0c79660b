//! Mailboxes as applications see them.

use sems_app::{MailboxBackend, MailboxError, MailboxId, Mailboxes, MessageId};
use tokio::sync::broadcast;

use crate::{Store, StoreError};

/// The mailboxes of a [`Store`].
#[derive(Debug, Clone)]
pub struct MailboxStore {
    #[allow(dead_code)]
    store: Store,
}

/// How many messages a mailbox has, as message waiting tells it (RFC 3842).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct MessageCounts {
    /// Not heard yet.
    pub new: u32,
    /// Heard.
    pub old: u32,
}

impl Store {
    /// The mailboxes, for applications.
    pub fn mailboxes(&self) -> Mailboxes {
        todo!()
    }

    /// How many messages are in an account's box.
    pub async fn message_counts(&self, _user: &str, _domain: &str) -> Result<MessageCounts, StoreError> {
        todo!()
    }

    /// Tells of every mailbox (`user@domain`) whose messages changed. Who lags behind asks for the counts of all.
    pub fn mailbox_changes(&self) -> broadcast::Receiver<MailboxId> {
        todo!()
    }

    /// Brings back a message deleted less than 7 days ago.
    pub async fn undelete(&self, _mailbox: &MailboxId, _message: &MessageId) -> Result<(), MailboxError> {
        todo!()
    }
}

#[allow(dead_code)]
fn is_backend<T: MailboxBackend>() {}
