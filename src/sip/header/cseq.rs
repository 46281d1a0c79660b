//! CSeq.

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::grammar;
use crate::message::Method;
use crate::text::Text;

/// Sequence number and method of a request (RFC 3261 §20.16).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct CSeq {
    /// Below 2^31.
    pub number: u32,
    /// Equal to the request's method.
    pub method: Method,
}

impl Header for CSeq {
    const NAME: HeaderName = HeaderName::CSeq;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let mut words = value.split_ascii_whitespace();
        let number = words
            .next()
            .and_then(grammar::number)
            .filter(|n| *n < 1 << 31)
            .ok_or(HeaderError::malformed(Self::NAME, "has no number below 2^31"))?;
        let method = words.next().and_then(|word| Method::parse(&value.slice(word)));
        match (method, words.next()) {
            (Some(method), None) => Ok(Self { number, method }),
            _ => Err(HeaderError::malformed(Self::NAME, "has no method behind its number")),
        }
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}
