//! Mailboxes as applications see them.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sems_app::{
    BoxFuture, Deposit, MailboxBackend, MailboxError, MailboxId, Mailboxes, MessageId, MessageInfo, Spool,
    Uri,
};
use sqlx::Row as _;
use tokio::sync::broadcast;

use crate::{
    Store, StoreError,
    spool::{Sidecar, remove, write_whole},
    store::blocking,
    value::{mailbox_key, new_id, split_mailbox},
};

/// The mailboxes of a [`Store`].
#[derive(Debug, Clone)]
pub struct MailboxStore {
    store: Store,
}

impl MailboxStore {
    /// The mailboxes of this store, as what a [`Mailboxes`] stands on.
    pub fn new(store: Store) -> Self {
        Self { store }
    }
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
        Mailboxes::new(Arc::new(MailboxStore::new(self.clone())))
    }

    /// Tells of every mailbox (`user@domain`) whose messages changed. Who lags behind asks for the counts of all.
    pub fn mailbox_changes(&self) -> broadcast::Receiver<MailboxId> {
        self.shared.changes.subscribe()
    }

    /// Brings back a message deleted less than 7 days ago.
    pub async fn undelete(&self, mailbox: &MailboxId, message: &MessageId) -> Result<(), MailboxError> {
        self.unset_deleted(&mailbox.0, &message.0).await
    }

    /// Sets the owner's own greeting to this WAV file, or takes it away.
    pub async fn set_greeting(
        &self,
        user: &str,
        domain: &str,
        wav: Option<Vec<u8>>,
    ) -> Result<(), StoreError> {
        let name = wav.as_ref().map(|_| format!("{}.wav", new_id(self.now())));
        if let (Some(wav), Some(name)) = (wav, &name) {
            let target = self.shared.folders.greetings.join(name);
            blocking(move || write_whole(&target, &wav)).await?;
        }
        let former = self.greeting_of(&mailbox_key(user, domain)).await?;
        let update = sqlx::query("UPDATE account SET greeting = $3 WHERE username = $1 AND domain = $2")
            .bind(user)
            .bind(domain.to_ascii_lowercase())
            .bind(name);
        self.update_account(update).await?;
        match former {
            Some(former) => blocking(move || remove(&former)).await,
            None => Ok(()),
        }
    }

    async fn greeting_of(&self, mailbox: &str) -> Result<Option<PathBuf>, StoreError> {
        let (user, domain) = split_mailbox(mailbox);
        let row = sqlx::query("SELECT greeting FROM account WHERE username = $1 AND domain = $2")
            .bind(user)
            .bind(domain)
            .fetch_optional(self.reader())
            .await?;
        let name: Option<String> = row.map(|row| row.try_get("greeting")).transpose()?.flatten();
        let path = name.map(|name| self.shared.folders.greetings.join(name));
        Ok(path.filter(|path| path.is_file()))
    }

    async fn owner_of(&self, uri: &Uri) -> Result<MailboxId, MailboxError> {
        let user = uri.user().ok_or(MailboxError::NotFound)?;
        let account = self.account(user, uri.host()).await?.ok_or(MailboxError::NotFound)?;
        if account.has_mailbox {
            Ok(MailboxId(mailbox_key(&account.user, &account.domain).into()))
        } else {
            Err(MailboxError::NotFound)
        }
    }
}

impl MailboxBackend for MailboxStore {
    fn owner_of<'a>(&'a self, uri: &'a Uri) -> BoxFuture<'a, Result<MailboxId, MailboxError>> {
        Box::pin(self.store.owner_of(uri))
    }

    fn greeting<'a>(
        &'a self,
        mailbox: &'a MailboxId,
    ) -> BoxFuture<'a, Result<Option<PathBuf>, MailboxError>> {
        Box::pin(async { Ok(self.store.greeting_of(&mailbox.0).await?) })
    }

    fn is_full<'a>(&'a self, mailbox: &'a MailboxId) -> BoxFuture<'a, Result<bool, MailboxError>> {
        Box::pin(async { Ok(self.store.is_full(&mailbox.0).await?) })
    }

    fn begin<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        deposit: &'a Deposit,
    ) -> BoxFuture<'a, Result<Spool, MailboxError>> {
        Box::pin(self.store.begin_take(mailbox, deposit))
    }

    fn commit<'a>(
        &'a self,
        _mailbox: &'a MailboxId,
        spool: &'a Spool,
        duration: Duration,
    ) -> BoxFuture<'a, Result<MessageId, MailboxError>> {
        // A promise once begun is kept even if the call that asked is gone: the task runs to its end.
        let (store, id) = (self.store.clone(), spool.id.clone());
        Box::pin(async move {
            let committed = tokio::spawn(async move {
                store.commit_take(&id.0, duration).await?;
                Ok(id)
            });
            committed.await.unwrap_or_else(|_| Err(StoreError::ShuttingDown.into()))
        })
    }

    fn discard<'a>(
        &'a self,
        _mailbox: &'a MailboxId,
        spool: &'a Spool,
    ) -> BoxFuture<'a, Result<(), MailboxError>> {
        Box::pin(self.store.discard_take(&spool.id.0))
    }

    fn missed<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        deposit: &'a Deposit,
    ) -> BoxFuture<'a, Result<(), MailboxError>> {
        Box::pin(async move {
            let id = new_id(self.store.now());
            Ok(self.store.insert_missed(&id, &Sidecar::new(mailbox, deposit)).await?)
        })
    }

    fn messages<'a>(
        &'a self,
        mailbox: &'a MailboxId,
    ) -> BoxFuture<'a, Result<Vec<MessageInfo>, MailboxError>> {
        Box::pin(async { Ok(self.store.list_messages(&mailbox.0).await?) })
    }

    fn audio<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        message: &'a MessageId,
    ) -> BoxFuture<'a, Result<PathBuf, MailboxError>> {
        Box::pin(async {
            let path = self.store.shared.folders.recording(&message.0);
            let there = self.store.has_message(&mailbox.0, &message.0).await?;
            if there && path.is_file() { Ok(path) } else { Err(MailboxError::NoSuchMessage) }
        })
    }

    fn mark_heard<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        message: &'a MessageId,
    ) -> BoxFuture<'a, Result<(), MailboxError>> {
        Box::pin(self.store.set_heard(&mailbox.0, &message.0))
    }

    fn delete<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        message: &'a MessageId,
    ) -> BoxFuture<'a, Result<(), MailboxError>> {
        Box::pin(self.store.set_deleted(&mailbox.0, &message.0))
    }

    fn verify_pin<'a>(
        &'a self,
        mailbox: &'a MailboxId,
        pin: &'a str,
    ) -> BoxFuture<'a, Result<bool, MailboxError>> {
        Box::pin(self.store.try_pin(mailbox, pin))
    }
}
