//! Why the store could not.

use std::{io, path::PathBuf, sync::Arc};

use sems_app::MailboxError;

use crate::TransportError;

/// Why the store did not do what was asked.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StoreError {
    /// The configuration names something that this store is not.
    #[error("{key}: {reason}")]
    Config {
        /// The key of `sems.toml`.
        key: &'static str,
        /// What is wrong with its value.
        reason: Arc<str>,
    },
    /// The mail transport is malformed.
    #[error("mail.transport: {0}")]
    Transport(#[from] TransportError),
    /// Another process has this data folder open.
    #[error("{0} is in use by another process")]
    InUse(PathBuf),
    /// A newer version of this program has written the database.
    #[error("the database has schema {found}, this program knows {known}: run the newer version")]
    NewerSchema {
        /// What the database has.
        found: i64,
        /// The newest this program knows.
        known: i64,
    },
    /// The schema could not be brought up to date.
    #[error("migration failed: {0}")]
    Migration(#[source] sqlx::migrate::MigrateError),
    /// The database failed.
    #[error("the database failed: {0}")]
    Database(#[from] sqlx::Error),
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// Which.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// Nobody of that name has an account.
    #[error("no such account")]
    NoSuchAccount,
    /// The outbox has no such mail.
    #[error("no such mail")]
    NoSuchMail,
    /// A user or domain that cannot be an address of record.
    #[error("malformed user or domain")]
    Address,
    /// An e-mail address that is none.
    #[error("malformed e-mail address")]
    Email,
    /// A password that is empty.
    #[error("the password is empty")]
    EmptyPassword,
    /// A PIN that is too easily guessed: fewer than 6 digits, one digit again and again, a run, or the extension.
    #[error("a PIN needs 6 to 32 digits that are no run, no repetition and not the extension")]
    WeakPin,
    /// A PIN could not be hashed.
    #[error("the PIN could not be hashed")]
    Hash,
    /// The runtime is shutting down.
    #[error("the server is shutting down")]
    ShuttingDown,
}

impl StoreError {
    pub(crate) fn file(path: impl Into<PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self::File { path, source }
    }
}

impl From<StoreError> for MailboxError {
    /// What an application may know of it; the log has the cause.
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::NoSuchAccount => Self::NotFound,
            other => {
                tracing::error!(error = %other, "the store failed");
                Self::Store(other.to_string().into())
            }
        }
    }
}
