//! CANCEL: theirs before our final answer. Ours is sent by the transaction layer, which knows when it may go.

use std::time::Instant;

use super::{Leg, Phase};
use crate::{HeaderName, Request, endpoint::LegEvent, transaction::layer::Layer};

impl Leg {
    /// Their CANCEL; its own answer is not sent here. After a final answer it comes too late and does nothing.
    pub(crate) fn receive_cancel(&mut self, now: Instant, layer: &mut Layer, cancel: &Request) {
        let Phase::Incoming(incoming) = &self.phase else { return };
        self.refuse(now, layer, incoming.server, 487);
        if let Some(pending) = self.pending.take() {
            self.refuse(now, layer, pending.server, 487);
        }
        let reason = reason_of(cancel);
        self.emit(layer, LegEvent::Cancelled { reason });
        self.close();
    }
}

/// The Reason header as text.
pub(super) fn reason_of(request: &Request) -> Option<String> {
    request.headers.text(&HeaderName::Reason).map(str::to_owned)
}
