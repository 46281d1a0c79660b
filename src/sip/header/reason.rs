//! Reason.

use std::fmt;

use super::{Arity, Header, HeaderError, HeaderName};
use crate::grammar;
use crate::params::Params;
use crate::text::{Part, Text};

/// Why a request was sent, usually a BYE or CANCEL (RFC 3326).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Reason {
    /// `SIP`, `Q.850` or another.
    pub protocol: Text,
    /// `cause` and `text`.
    pub params: Params,
}

impl Reason {
    /// A reason with its cause and words.
    pub fn new(protocol: impl Into<Text>, cause: u16, text: &str) -> Self {
        let mut params = Params::new().with("cause", &cause.to_string());
        params.set_quoted("text", text);
        Self { protocol: protocol.into(), params }
    }

    /// The cause: a status code for `SIP`, an ITU cause for `Q.850`.
    pub fn cause(&self) -> Option<u16> {
        self.params.get("cause").and_then(grammar::port)
    }

    /// The words for humans, escapes left as written.
    pub fn text(&self) -> Option<&str> {
        self.params.get("text")
    }
}

impl Header for Reason {
    const NAME: HeaderName = HeaderName::Reason;
    const ARITY: Arity = Arity::List;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        let malformed = |what| HeaderError::malformed(Self::NAME, what);
        let (protocol, params) = value.split_once(';').map_or((&*value, None), |(a, b)| (a, Some(b)));
        if !grammar::is_token(protocol.trim()) {
            return Err(malformed("protocol is not a token"));
        }
        let params = match params {
            Some(text) => {
                grammar::check_params(text).map_err(malformed)?;
                Params::from_checked(value.slice(text.trim()))
            }
            None => Params::new(),
        };
        Ok(Self { protocol: value.slice(protocol.trim()), params })
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.protocol, self.params)
    }
}
