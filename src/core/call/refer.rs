//! Sending the other side elsewhere: REFER (RFC 3515).

use std::sync::Arc;

use sems_app::{CallError, Uri, command::Reply};
use sems_sip::{HeaderName, Method, endpoint::LegId};

use crate::shared::Shared;

/// Sends a REFER and answers with its status. What becomes of it afterwards is the other side's affair; its
/// NOTIFYs are accepted.
pub(super) fn start(shared: Arc<Shared>, leg: LegId, to: Uri, mut reply: Reply<u16>) {
    tokio::spawn(async move {
        let headers = vec![(HeaderName::ReferTo, format!("<{to}>"))];
        let response = tokio::select! {
            response = shared.signalling.request_in(leg, Method::Refer, headers, None) => response,
            () = reply.closed() => return,
        };
        let status = response.map_or(408, |response| response.status.0);
        let _ = reply.send(if status < 300 { Ok(status) } else { Err(CallError::NotAnswered { status }) });
    });
}
