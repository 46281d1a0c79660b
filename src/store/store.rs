//! The store: what all its parts share.

use std::time::SystemTime;

use crate::{Clock, StoreConfig, StoreError};

/// Accounts, bindings, mailboxes, outbox and call records; cheap to clone.
#[derive(Debug, Clone)]
pub struct Store {}

impl Store {
    /// Opens the store, and makes or migrates its database. One process at a time may have a data folder open.
    pub async fn open(config: StoreConfig) -> Result<Self, StoreError> {
        Self::open_with(config, Clock::default()).await
    }

    /// As [`open`](Self::open), with a clock of one's own.
    pub async fn open_with(_config: StoreConfig, _clock: Clock) -> Result<Self, StoreError> {
        todo!()
    }

    /// Forgets what need not be kept any longer: messages deleted 7 days ago, expired bindings, old records.
    pub async fn purge(&self, _now: SystemTime) -> Result<(), StoreError> {
        todo!()
    }
}
