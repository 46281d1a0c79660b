//! ACK: ours to their 2xx, and theirs to ours.

use std::time::Instant;

use bytes::Bytes;

use super::{Leg, Phase, Reaction, put_sdp};
use crate::{
    Method, Request, Text,
    dialog::Dialog,
    endpoint::LegEvent,
    timer::Timer,
    transaction::layer::{ClientKey, Layer},
};

/// The ACK to a 2xx, whole but for transactions: it is one by itself (RFC 3261 section 13.2.2.4).
pub(super) fn ack_of(layer: &mut Layer, dialog: &Dialog, seq: u32, body: Option<Bytes>) -> Bytes {
    let mut request = dialog.request(Method::Ack, seq);
    layer.name(&mut request.headers, true);
    put_sdp(&mut request.headers, &mut request.body, body);
    layer.put_via(&dialog.flow, &mut request);
    request.to_bytes()
}

impl Leg {
    /// Acknowledges a 2xx to our INVITE or re-INVITE, and does it again whenever the 2xx comes again.
    pub(super) fn acknowledge(
        &mut self,
        layer: &mut Layer,
        key: ClientKey,
        reaction: &Reaction,
        body: Option<Bytes>,
    ) {
        let Ok(cseq) = reaction.response.headers.cseq() else { return };
        self.send_ack(layer, key, cseq.number, body);
    }

    fn send_ack(&mut self, layer: &mut Layer, key: ClientKey, seq: u32, body: Option<Bytes>) {
        let Some(dialog) = &self.dialog else { return };
        let bytes = ack_of(layer, dialog, seq, body);
        let (tag, flow) = (dialog.remote_tag.clone(), dialog.flow.clone());
        layer.send_ack(key, tag, &flow, bytes);
    }

    /// The application's answer to the offer in their 2xx.
    pub(crate) fn ack(&mut self, now: Instant, layer: &mut Layer, body: Option<Bytes>) {
        let Some((key, seq)) = self.late.take() else { return };
        if body.is_some() {
            self.local_body.clone_from(&body);
        }
        self.send_ack(layer, key, seq, body);
        self.pursue_wish(now, layer);
    }

    /// Their ACK to our 2xx.
    pub(crate) fn receive_ack(&mut self, now: Instant, layer: &mut Layer, request: &Request) {
        let Ok(cseq) = request.headers.cseq() else { return };
        if self.answer.as_ref().is_none_or(|answer| answer.seq != cseq.number) {
            return;
        }
        self.answer = None;
        self.timers.clear(Timer::Answer);
        self.timers.clear(Timer::Ack);
        match &mut self.phase {
            Phase::Leaving(reason) => {
                let reason = reason.take();
                self.send_bye(now, layer, reason);
            }
            Phase::Confirmed => {
                let body = super::body_of(&request.body);
                self.emit(layer, LegEvent::Acked { body });
                self.pursue_wish(now, layer);
            }
            _ => {}
        }
    }

    /// The tag of the fork that a 2xx came from.
    pub(super) fn fork_of(reaction: &Reaction) -> Text {
        let to = reaction.response.headers.to().ok();
        Text::from(to.as_ref().and_then(|to| to.tag()).unwrap_or_default())
    }
}
