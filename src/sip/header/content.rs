//! Content-Type and Content-Disposition.

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::grammar::{self, Scan};
use crate::params::Params;
use crate::text::{Part, Text};

/// The type of the body (RFC 3261 §20.15).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContentType {
    /// For instance `application`.
    pub kind: Text,
    /// For instance `sdp`.
    pub subtype: Text,
    /// `boundary`, `charset` and others.
    pub params: Params,
}

impl ContentType {
    /// A type without parameters.
    pub const fn new(kind: &'static str, subtype: &'static str) -> Self {
        Self { kind: Text::from_static(kind), subtype: Text::from_static(subtype), params: Params::new() }
    }

    /// `application/sdp`.
    pub const fn sdp() -> Self {
        Self::new("application", "sdp")
    }

    /// Whether it is this type, without case and parameters.
    pub fn is(&self, kind: &str, subtype: &str) -> bool {
        self.kind.eq_ignore_ascii_case(kind) && self.subtype.eq_ignore_ascii_case(subtype)
    }
}

fn params(value: Part<'_>, text: Option<&str>, name: &HeaderName) -> Result<Params, HeaderError> {
    let Some(text) = text else { return Ok(Params::new()) };
    grammar::check_params(text).map_err(|what| HeaderError::malformed(name.clone(), what))?;
    Ok(Params::from_checked(value.slice(text.trim())))
}

impl Header for ContentType {
    const NAME: HeaderName = HeaderName::ContentType;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        let malformed = |what| HeaderError::malformed(Self::NAME, what);
        let mut scan = Scan::new(&value);
        let kind = scan.skip_space().take(grammar::TOKEN);
        let slash = scan.skip_space().eat(b'/');
        let subtype = scan.skip_space().take(grammar::TOKEN);
        if kind.is_empty() || !slash || subtype.is_empty() {
            return Err(malformed("is not type/subtype"));
        }
        let params = scan.params(value).map_err(malformed)?;
        Ok(Self { kind: value.slice(kind), subtype: value.slice(subtype), params })
    }
}

impl fmt::Display for ContentType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}{}", self.kind, self.subtype, self.params)
    }
}

/// What the body is for (RFC 3261 §20.11).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ContentDisposition {
    /// For instance `session` or `render`.
    pub kind: Text,
    /// `handling` and others.
    pub params: Params,
}

impl ContentDisposition {
    /// Whether a receiver that cannot process the body may pass over it (RFC 3261 §20.11).
    pub fn is_optional(&self) -> bool {
        self.params.get("handling").is_some_and(|h| h.eq_ignore_ascii_case("optional"))
    }
}

impl Header for ContentDisposition {
    const NAME: HeaderName = HeaderName::ContentDisposition;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        let (kind, rest) = value.split_once(';').map_or((&*value, None), |(a, b)| (a, Some(b)));
        if !grammar::is_token(kind.trim()) {
            return Err(HeaderError::malformed(Self::NAME, "is not a token"));
        }
        Ok(Self { kind: value.slice(kind.trim()), params: params(value, rest, &Self::NAME)? })
    }
}

impl fmt::Display for ContentDisposition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.kind, self.params)
    }
}
