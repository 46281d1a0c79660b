//! What outlives a call: accounts, bindings, mailboxes with their messages, the outbox, call records.
//!
//! Rows live in SQLite (WAL, synced at every commit), sounds in files beside it. The law of this crate: a
//! promise that was given survives `kill -9` and a power cut. A message's sound is on disk before its row,
//! its row and its mail job are one transaction, and nothing is deleted because a mail failed.
//!
//! ```text
//! begin    spool/<id>.json synced, then spool/<id>.wav grows
//! commit   sound synced -> recordings/<id>.wav -> one transaction: message + mail job -> sidecar removed
//! recover  every sidecar left behind: repair the sound, commit it, or note a missed call, or quarantine
//! outbox   mail until the server says 250, with back-off, for five days
//! ```
//!
//! ```no_run
//! # async fn start() -> Result<(), sems_store::StoreError> {
//! use std::time::Duration;
//! let store = sems_store::Store::open(sems_store::StoreConfig::new("var")).await?;
//! store.recover(Duration::from_secs(2)).await?;
//! let (_stop, shutdown) = tokio::sync::watch::channel(false);
//! tokio::spawn(async move { store.run_outbox(shutdown).await });
//! # Ok(())
//! # }
//! ```

mod account;
mod binding;
mod cdr;
mod clock;
mod config;
mod date;
mod error;
mod mail;
mod mailbox;
mod message;
mod outbox;
mod pin;
mod recover;
mod spool;
mod store;
mod value;
mod wav;

pub use account::{Account, AccountSeed};
pub use binding::Binding;
pub use cdr::{Cdr, MissedCall};
pub use clock::Clock;
pub use config::{Credentials, MailConfig, StoreConfig, Tls, Transport, TransportError};
pub use error::StoreError;
pub use mail::{is_mail_address, is_mail_sender};
pub use mailbox::{MailboxStore, MessageCounts};
pub use outbox::{Attempt, JobState, OutboxEntry};
pub use recover::Recovered;
pub use store::Store;
