//! CSeq.

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::grammar::{self, Scan};
use crate::message::{Kept, Method};
use crate::text::Part;

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

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        let mut scan = Scan::new(&value);
        let number = grammar::number(scan.skip_space().take(grammar::DIGIT))
            .filter(|n| *n < 1 << 31)
            .ok_or(HeaderError::malformed(Self::NAME, "has no number below 2^31"))?;
        let behind = scan.rest().len();
        let method = scan.skip_space().take(grammar::TOKEN);
        let apart = scan.rest().len() + method.len() < behind;
        match Method::read(value.part(method)) {
            Some(method) if apart && scan.skip_space().is_done() => Ok(Self { number, method }),
            _ => Err(HeaderError::malformed(Self::NAME, "has no method behind its number")),
        }
    }

    fn kept(kept: &Kept) -> Option<Self> {
        kept.cseq.clone()
    }
}

impl fmt::Display for CSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.number, self.method)
    }
}
