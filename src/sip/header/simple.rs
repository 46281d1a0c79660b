//! Headers whose value is plain text: Call-ID, Subject, User-Agent, Server.

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::grammar;
use crate::message::Kept;
use crate::text::{Part, Text};

macro_rules! text_header {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub Text);

        impl Header for $name {
            const NAME: HeaderName = HeaderName::$name;

            fn read(value: Part<'_>) -> Result<Self, HeaderError> {
                Ok(Self(value.to_text()))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_header!(
    /// What the call is about (RFC 3261 §20.36).
    Subject
);
text_header!(
    /// The software that sent the request (RFC 3261 §20.41).
    UserAgent
);
text_header!(
    /// The software that answers (RFC 3261 §20.35).
    Server
);

/// The identifier of a call (RFC 3261 §20.8); compared with case.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CallId(pub Text);

impl Header for CallId {
    const NAME: HeaderName = HeaderName::CallId;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        if value.is_empty() || !grammar::all(&value, grammar::VISIBLE) {
            return Err(HeaderError::malformed(Self::NAME, "is empty or has spaces"));
        }
        Ok(Self(value.to_text()))
    }

    fn kept(kept: &Kept) -> Option<Self> {
        kept.call_id.clone()
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
