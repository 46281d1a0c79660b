//! Bridges: who is connected with whom on a worker.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::{
    command::{Action, LegShared},
    stream::Link,
    worker::Worker,
};

/// A leg that follows another gives up when that one has moved on so often.
const HOPS: u8 = 4;

impl Worker {
    /// Connects two legs; when the other one lives elsewhere, this one goes there first.
    pub(crate) fn bridge(
        &mut self,
        place: usize,
        other: Arc<LegShared>,
        hops: u8,
        reply: oneshot::Sender<()>,
    ) {
        match self.place_of(other.id) {
            Some(partner) if partner != place => {
                self.unlink(place);
                self.unlink(partner);
                self.link(place, partner);
                // Who asked may have gone.
                let _ = reply.send(());
            }
            Some(_) => {}
            None if hops < HOPS => {
                let target = self.home_of(&other);
                if target != self.index() {
                    self.move_leg(place, target, Action::Bridge { other, hops: hops + 1, reply });
                }
            }
            None => {}
        }
    }

    fn link(&mut self, place: usize, partner: usize) {
        let ids = [place, partner].map(|place| self.leg(place).map(|stream| stream.shared.id));
        if let [Some(id), Some(other)] = ids {
            if let Some(stream) = self.leg(place) {
                stream.link = Link::Bridged(other);
            }
            if let Some(stream) = self.leg(partner) {
                stream.link = Link::Bridged(id);
            }
        }
    }
}
