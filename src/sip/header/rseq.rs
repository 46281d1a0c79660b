//! RSeq and RAck, the numbering of reliable provisional responses.

use std::fmt;

use super::{CSeq, Header, HeaderError, HeaderName};
use crate::grammar;
use crate::text::Part;

/// The number of a reliable provisional response, 1 to 2^32 - 1 (RFC 3262 §7.1).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RSeq(pub u32);

impl Header for RSeq {
    const NAME: HeaderName = HeaderName::RSeq;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        grammar::number(&value)
            .map(Self)
            .ok_or(HeaderError::malformed(Self::NAME, "is not a number in range"))
    }
}

impl fmt::Display for RSeq {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The provisional response that a PRACK acknowledges (RFC 3262 §7.2).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct RAck {
    /// The RSeq of that response.
    pub rseq: u32,
    /// Its CSeq.
    pub cseq: CSeq,
}

impl Header for RAck {
    const NAME: HeaderName = HeaderName::RAck;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        let malformed = || HeaderError::malformed(Self::NAME, "is not two numbers and a method");
        let (rseq, rest) = value.split_once([' ', '\t']).ok_or_else(malformed)?;
        let rseq = grammar::number(rseq).ok_or_else(malformed)?;
        let cseq = CSeq::read(value.part(rest)).map_err(|_| malformed())?;
        Ok(Self { rseq, cseq })
    }
}

impl fmt::Display for RAck {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.rseq, self.cseq)
    }
}
