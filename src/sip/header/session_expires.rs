//! Session-Expires and Min-SE, the timer of a session.

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::grammar;
use crate::params::Params;
use crate::text::Part;

/// Which side refreshes the session.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Refresher {
    /// The one that sent the request.
    Uac,
    /// The one that answers it.
    Uas,
}

/// How long a session lasts without a refresh (RFC 4028 §4).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct SessionExpires {
    /// Seconds.
    pub secs: u32,
    /// Who refreshes; `None` leaves it to the answerer.
    pub refresher: Option<Refresher>,
}

/// The shortest session timer accepted, in seconds (RFC 4028 §5).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MinSe(pub u32);

/// Reads `delta-seconds *(;param)`.
fn seconds(value: Part<'_>, name: &HeaderName) -> Result<(u32, Params), HeaderError> {
    let malformed = |what| HeaderError::malformed(name.clone(), what);
    let (digits, params) = value.split_once(';').unwrap_or((&value, ""));
    let secs = grammar::number(digits.trim()).ok_or_else(|| malformed("is not a number in range"))?;
    if params.is_empty() {
        return Ok((secs, Params::new()));
    }
    grammar::check_params(params).map_err(malformed)?;
    Ok((secs, Params::from_checked(value.slice(params))))
}

impl Header for SessionExpires {
    const NAME: HeaderName = HeaderName::SessionExpires;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        let (secs, params) = seconds(value, &Self::NAME)?;
        let refresher = match params.get("refresher") {
            Some(side) if side.eq_ignore_ascii_case("uac") => Some(Refresher::Uac),
            Some(side) if side.eq_ignore_ascii_case("uas") => Some(Refresher::Uas),
            _ => None,
        };
        Ok(Self { secs, refresher })
    }
}

impl fmt::Display for SessionExpires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.refresher {
            Some(Refresher::Uac) => write!(f, "{};refresher=uac", self.secs),
            Some(Refresher::Uas) => write!(f, "{};refresher=uas", self.secs),
            None => self.secs.fmt(f),
        }
    }
}

impl Header for MinSe {
    const NAME: HeaderName = HeaderName::MinSe;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        seconds(value, &Self::NAME).map(|(secs, _)| Self(secs))
    }
}

impl fmt::Display for MinSe {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
