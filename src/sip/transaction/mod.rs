//! The four transaction machines of RFC 3261 section 17, as RFC 6026 mended them, and the layer that keeps them.
//!
//! A machine is an enum of states and one `match`; it owns neither bytes nor addresses. It is told what happened
//! and says what is to be done.

pub(crate) mod client;
pub(crate) mod client_invite;
pub(crate) mod layer;
pub(crate) mod server;
pub(crate) mod server_invite;

use std::time::{Duration, Instant};

use crate::timer::{Timer, Timers};

/// What the machines measure time with.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Timing {
    /// The round-trip estimate.
    pub(crate) t1: Duration,
    /// The longest interval between retransmissions.
    pub(crate) t2: Duration,
    /// How long a message stays in the network.
    pub(crate) t4: Duration,
    /// Whether the transport is reliable.
    pub(crate) reliable: bool,
}

impl Timing {
    /// 64*T1: how long anybody waits.
    pub(crate) fn patience(&self) -> Duration {
        self.t1 * 64
    }

    /// How long a state that only absorbs retransmissions lasts: not at all on a reliable transport.
    fn linger(&self, unreliable: Duration) -> Duration {
        if self.reliable { Duration::ZERO } else { unreliable }
    }
}

/// The surroundings of one step: the time, the settings, and the timers of this transaction.
#[derive(Debug)]
pub(crate) struct Step<'a> {
    /// The time.
    pub(crate) now: Instant,
    /// The settings.
    pub(crate) timing: Timing,
    /// The timers of this transaction.
    pub(crate) timers: &'a mut Timers,
}

impl Step<'_> {
    fn set(&mut self, timer: Timer, after: Duration) {
        self.timers.set(timer, self.now + after);
    }

    fn clear(&mut self, timer: Timer) {
        self.timers.clear(timer);
    }
}

#[cfg(test)]
mod tests;
