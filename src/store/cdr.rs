//! Call records and missed calls.

use std::time::SystemTime;

use crate::{Store, StoreError};

/// What is kept of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cdr {
    /// The call's id.
    pub id: String,
    /// The Call-ID of SIP.
    pub sip_call_id: String,
    /// The From URI.
    pub from: String,
    /// The request URI.
    pub to: String,
    /// The application that served it; none where it was routed to a phone or refused.
    pub application: Option<String>,
    /// The address it came from.
    pub source: String,
    /// When the INVITE arrived.
    pub started: SystemTime,
    /// When it was answered.
    pub answered: Option<SystemTime>,
    /// When it ended.
    pub ended: SystemTime,
    /// The final status of the INVITE.
    pub status: u16,
    /// Who ended it, and why: `caller`, `callee`, `application`, `timeout`, ...
    pub ended_by: String,
    /// The codec.
    pub codec: Option<String>,
}

/// A call that left no message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MissedCall {
    /// Who called: a URI as text.
    pub caller: String,
    /// The display name.
    pub caller_name: Option<String>,
    /// When.
    pub received: SystemTime,
}

impl Store {
    /// Writes a call record; one of the same id is replaced.
    pub async fn write_cdr(&self, _cdr: &Cdr) -> Result<(), StoreError> {
        todo!()
    }

    /// The latest call records, latest first.
    pub async fn cdrs(&self, _limit: u32) -> Result<Vec<Cdr>, StoreError> {
        todo!()
    }

    /// The latest missed calls of an account, latest first.
    pub async fn missed_calls(
        &self,
        _user: &str,
        _domain: &str,
        _limit: u32,
    ) -> Result<Vec<MissedCall>, StoreError> {
        todo!()
    }
}
