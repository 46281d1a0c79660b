//! Errors, by who is to blame, each with the answer a caller gets.

use std::{path::PathBuf, sync::Arc};

/// Why a verb, or a whole application, did not go on.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum CallError {
    /// The other side hung up (or cancelled): the normal end of most calls.
    #[error("the other side hung up")]
    HungUp,
    /// The core ended the call: shutdown, silence on the wire, an expired session timer.
    #[error("the call was ended: {0}")]
    Ended(&'static str),
    /// The application refuses the call with this status (RFC 3261 section 21).
    #[error("refused with {status} {reason}")]
    Refused {
        /// 300..=699.
        status: u16,
        /// The reason phrase.
        reason: Arc<str>,
    },
    /// The dialled party did not answer; the status of its refusal (408 when it never did).
    #[error("not answered: {status}")]
    NotAnswered {
        /// The final status.
        status: u16,
    },
    /// The two sides have no codec in common (488).
    #[error("no common codec")]
    NoCommonCodec,
    /// A sound file that cannot be played: absent, or in no known format.
    #[error("cannot play {path}: {reason}")]
    Prompt {
        /// What was asked for.
        path: PathBuf,
        /// What is wrong with it.
        reason: Arc<str>,
    },
    /// A recording that could not be written.
    #[error("cannot record to {path}: {reason}")]
    Recording {
        /// Where it should have gone.
        path: PathBuf,
        /// What the disk said.
        reason: Arc<str>,
    },
    /// All media ports or all calls are taken (503).
    #[error("no capacity: {0}")]
    NoCapacity(&'static str),
    /// The mailbox said no.
    #[error(transparent)]
    Mailbox(#[from] MailboxError),
    /// A fault of the application itself (500).
    #[error("application: {0}")]
    Application(Arc<str>),
}

impl CallError {
    /// A refusal with a status and its reason phrase.
    pub fn refuse(status: u16, reason: &str) -> Self {
        Self::Refused { status, reason: reason.into() }
    }

    /// A fault of the application.
    pub fn application(what: impl std::fmt::Display) -> Self {
        Self::Application(what.to_string().into())
    }

    /// The SIP status that a caller gets when this ends an application before the call was answered.
    pub fn status(&self) -> u16 {
        match self {
            Self::HungUp => 487,
            Self::Ended(_) | Self::NoCapacity(_) => 503,
            Self::Refused { status, .. } | Self::NotAnswered { status } => *status,
            Self::NoCommonCodec => 488,
            Self::Mailbox(error) => error.status(),
            Self::Prompt { .. } | Self::Recording { .. } | Self::Application(_) => 500,
        }
    }

    /// Whether this is how calls end every day, and nothing to warn of.
    pub fn is_normal_end(&self) -> bool {
        match self {
            Self::HungUp | Self::Refused { .. } | Self::NotAnswered { .. } => true,
            // What callers ask for in vain must not fill the log.
            Self::Mailbox(error) => !matches!(error, MailboxError::Store(_)),
            _ => false,
        }
    }
}

/// Why a mailbox did not do what was asked.
#[derive(Debug, Clone, thiserror::Error)]
#[non_exhaustive]
pub enum MailboxError {
    /// Nobody of that name has a mailbox here (404).
    #[error("no such mailbox")]
    NotFound,
    /// The message is gone.
    #[error("no such message")]
    NoSuchMessage,
    /// The mailbox holds all it may (486).
    #[error("the mailbox is full")]
    Full,
    /// Too many wrong PINs.
    #[error("the mailbox is locked")]
    Locked,
    /// The database or the disk failed; the cause is in the log (503).
    #[error("the store failed: {0}")]
    Store(Arc<str>),
}

impl MailboxError {
    /// The SIP status of this error.
    pub fn status(&self) -> u16 {
        match self {
            Self::NotFound | Self::NoSuchMessage => 404,
            Self::Full => 486,
            Self::Locked => 403,
            Self::Store(_) => 503,
        }
    }
}
