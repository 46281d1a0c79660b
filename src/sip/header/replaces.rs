//! Replaces.

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::grammar;
use crate::params::Params;
use crate::text::{Part, Text};

/// The dialog that a new INVITE takes the place of (RFC 3891).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Replaces {
    /// Its Call-ID.
    pub call_id: Text,
    /// The tag of the side that receives this header.
    pub to_tag: Text,
    /// The tag of the other side.
    pub from_tag: Text,
    /// Whether only an unanswered dialog is meant.
    pub early_only: bool,
}

impl Header for Replaces {
    const NAME: HeaderName = HeaderName::Replaces;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        let malformed = |what| HeaderError::malformed(Self::NAME, what);
        let (call_id, text) = value.split_once(';').ok_or(malformed("has no tags"))?;
        grammar::check_params(text).map_err(malformed)?;
        let params = Params::from_checked(value.slice(text));
        let call_id = call_id.trim();
        match (params.get_text("to-tag"), params.get_text("from-tag")) {
            (Some(to_tag), Some(from_tag)) if !call_id.is_empty() => {
                let early_only = params.has("early-only");
                Ok(Self { call_id: value.slice(call_id), to_tag, from_tag, early_only })
            }
            _ => Err(malformed("has no to-tag or from-tag")),
        }
    }
}

impl fmt::Display for Replaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{};to-tag={};from-tag={}", self.call_id, self.to_tag, self.from_tag)?;
        if self.early_only { f.write_str(";early-only") } else { Ok(()) }
    }
}
