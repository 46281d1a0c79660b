//! What every message has, read once.

use std::borrow::Cow;

use super::Headers;
use crate::header::{CSeq, CallId, Contact, From, Header, HeaderError, HeaderName, To, Via};

/// Typed headers as they were read when the message was accepted. Of lists, the first element.
#[derive(Clone, Debug, Default)]
pub struct Kept {
    pub(crate) via: Option<Via>,
    pub(crate) from: Option<From>,
    pub(crate) to: Option<To>,
    pub(crate) call_id: Option<CallId>,
    pub(crate) cseq: Option<CSeq>,
    pub(crate) contact: Option<Contact>,
}

impl Headers {
    /// A header as it was read; in a message of our own it is read anew.
    pub(super) fn kept_or_read<T: Header + Clone>(
        &self,
        slot: fn(&Kept) -> &Option<T>,
    ) -> Result<Cow<'_, T>, HeaderError> {
        match self.kept.as_deref().map(slot) {
            Some(Some(header)) => Ok(Cow::Borrowed(header)),
            _ => self.read()?.map(Cow::Owned).ok_or(HeaderError::missing(T::NAME)),
        }
    }

    /// Keeps what the parser has read.
    pub(crate) fn set_kept(&mut self, kept: Box<Kept>) {
        self.kept = Some(kept);
    }

    /// Drops what was read of a header that changes.
    pub(super) fn forget(&mut self, name: &HeaderName) {
        let Some(kept) = self.kept.as_deref_mut() else { return };
        match name {
            HeaderName::Via => kept.via = None,
            HeaderName::From => kept.from = None,
            HeaderName::To => kept.to = None,
            HeaderName::CallId => kept.call_id = None,
            HeaderName::CSeq => kept.cseq = None,
            HeaderName::Contact => kept.contact = None,
            _ => {}
        }
    }
}
