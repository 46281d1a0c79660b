//! The INVITE server transaction: RFC 3261 section 17.2.1 with RFC 6026 section 7.1.

use std::time::Duration;

use super::{ServerAction as Action, ServerInput as Input, Step};
use crate::timer::Timer;

/// The states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerInvite {
    /// Not answered finally.
    Proceeding,
    /// Refused; the refusal is sent until its ACK comes.
    Completed {
        /// Timer G's present interval.
        interval: Duration,
    },
    /// The ACK came; retransmissions of it are absorbed.
    Confirmed,
    /// Accepted; retransmitted INVITEs are absorbed, the 2xx is repeated by the leg.
    Accepted,
    /// Over.
    Terminated,
}

impl ServerInvite {
    /// Whether it is over.
    pub(crate) fn is_terminated(self) -> bool {
        self == Self::Terminated
    }

    /// One step.
    pub(crate) fn step(&mut self, step: &mut Step<'_>, input: Input) -> Action {
        use Input::{Ack, Request, Response, Timer as Fired};
        if matches!(input, Response(_)) {
            step.timers.clear(Timer::Trying);
        }
        let (next, action) = match (*self, input) {
            (Self::Proceeding | Self::Completed { .. }, Request) => (*self, Action::Resend),
            (Self::Proceeding, Response(status)) if status.is_provisional() => (*self, Action::Send),
            (Self::Proceeding, Response(status)) if status.is_success() => {
                step.set(Timer::L, step.timing.patience());
                (Self::Accepted, Action::Send)
            }
            (Self::Proceeding, Response(_)) => {
                let interval = step.timing.t1;
                if !step.timing.reliable {
                    step.set(Timer::G, interval);
                }
                step.set(Timer::H, step.timing.patience());
                (Self::Completed { interval }, Action::Send)
            }
            (Self::Completed { interval }, Fired(Timer::G)) => {
                let interval = (interval * 2).min(step.timing.t2);
                step.set(Timer::G, interval);
                (Self::Completed { interval }, Action::Resend)
            }
            (Self::Completed { .. }, Fired(Timer::H)) => (Self::Terminated, Action::Nothing),
            (Self::Completed { .. }, Ack) => {
                step.timers.clear_all();
                let linger = step.timing.linger(step.timing.t4);
                if linger.is_zero() {
                    (Self::Terminated, Action::Nothing)
                } else {
                    step.set(Timer::I, linger);
                    (Self::Confirmed, Action::Nothing)
                }
            }
            (Self::Confirmed, Fired(Timer::I)) | (Self::Accepted, Fired(Timer::L)) => {
                (Self::Terminated, Action::Nothing)
            }
            (state, _) => (state, Action::Nothing),
        };
        *self = next;
        action
    }
}
