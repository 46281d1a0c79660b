//! Content-Type and Content-Disposition.

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::grammar;
use crate::params::Params;
use crate::text::Text;

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

fn params(value: &Text, text: Option<&str>, name: &HeaderName) -> Result<Params, HeaderError> {
    let Some(text) = text else { return Ok(Params::new()) };
    grammar::check_params(text).map_err(|what| HeaderError::malformed(name.clone(), what))?;
    Ok(Params::from_checked(value.slice(text.trim())))
}

impl Header for ContentType {
    const NAME: HeaderName = HeaderName::ContentType;

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let (media, rest) = value.split_once(';').map_or((&**value, None), |(a, b)| (a, Some(b)));
        let (kind, subtype) = media
            .split_once('/')
            .map(|(kind, subtype)| (kind.trim(), subtype.trim()))
            .filter(|(kind, subtype)| grammar::is_token(kind) && grammar::is_token(subtype))
            .ok_or(HeaderError::malformed(Self::NAME, "is not type/subtype"))?;
        let params = params(value, rest, &Self::NAME)?;
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

    fn parse(value: &Text) -> Result<Self, HeaderError> {
        let (kind, rest) = value.split_once(';').map_or((&**value, None), |(a, b)| (a, Some(b)));
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
