//! Typed header fields, read on demand from [`Headers`](crate::Headers). A file a header, or a family of alike ones.

mod address;
mod authentication;
mod content;
mod cseq;
mod date;
mod event;
mod name;
mod number;
mod reason;
mod replaces;
mod rseq;
mod session_expires;
mod simple;
mod via;

use std::fmt;

pub use address::{
    Contact, Diversion, From, HistoryInfo, NameAddr, PAssertedIdentity, Path, RecordRoute, ReferTo,
    ReferredBy, Route, ServiceRoute, To,
};
pub use authentication::{Authorization, ProxyAuthenticate, ProxyAuthorization, WwwAuthenticate};
pub use content::{ContentDisposition, ContentType};
pub use cseq::CSeq;
pub use date::Date;
pub use event::{Event, SubscriptionState};
pub use name::HeaderName;
pub use number::{ContentLength, Expires, MaxForwards, MinExpires, RetryAfter};
pub use reason::Reason;
pub use replaces::Replaces;
pub use rseq::{RAck, RSeq};
pub use session_expires::{MinSe, Refresher, SessionExpires};
pub use simple::{CallId, Server, Subject, UserAgent};
pub use via::{MAGIC_COOKIE, Transport, Via};

use crate::message::Kept;
use crate::text::{Part, Text};

/// How often a header field may stand in a message, and what a comma in its value means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Arity {
    /// Once.
    Single,
    /// On several lines, each of which may hold several values separated by commas.
    List,
    /// On several lines of one value each (challenges and credentials, whose commas separate parameters).
    Repeated,
}

/// A header field with a type of its own. `Display` prints its value.
pub trait Header: Sized + fmt::Display {
    /// Its name.
    const NAME: HeaderName;
    /// How often it may occur.
    const ARITY: Arity = Arity::Single;

    /// Reads one value (one element, for lists). What it keeps shares the buffer of the text.
    fn read(value: Part<'_>) -> Result<Self, HeaderError>;

    /// [`Header::read`] of a whole text.
    fn parse(value: &Text) -> Result<Self, HeaderError> {
        Self::read(Part::whole(value))
    }

    /// What was read of it before.
    #[doc(hidden)]
    fn kept(_: &Kept) -> Option<Self> {
        None
    }
}

/// Why a typed header could not be had.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{name}: {fault}")]
pub struct HeaderError {
    /// The header asked for.
    pub name: HeaderName,
    /// What is wrong.
    pub fault: Fault,
}

/// What is wrong with a header field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The message has none.
    #[error("missing")]
    Missing,
    /// The message has more than one where one is allowed.
    #[error("stands more than once")]
    Repeated,
    /// It breaks the grammar, in the way told.
    #[error("{0}")]
    Malformed(&'static str),
}

impl HeaderError {
    /// The header is not there.
    pub const fn missing(name: HeaderName) -> Self {
        Self { name, fault: Fault::Missing }
    }

    /// The header breaks the grammar.
    pub const fn malformed(name: HeaderName, what: &'static str) -> Self {
        Self { name, fault: Fault::Malformed(what) }
    }

    /// Whether the header is merely absent.
    pub fn is_missing(&self) -> bool {
        self.fault == Fault::Missing
    }
}
