//! Headers whose value is plain text: Call-ID, Subject, User-Agent, Server.

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::text::Text;

macro_rules! text_header {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub Text);

        impl Header for $name {
            const NAME: HeaderName = HeaderName::$name;

            fn parse(value: &Text) -> Result<Self, HeaderError> {
                Ok(Self(value.clone()))
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

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        if value.is_empty() || value.bytes().any(|b| b.is_ascii_whitespace() || b.is_ascii_control()) {
            return Err(HeaderError::malformed(Self::NAME, "is empty or has spaces"));
        }
        Ok(Self(value.clone()))
    }
}

impl fmt::Display for CallId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}
