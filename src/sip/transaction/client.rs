//! The client transaction of every request but INVITE: RFC 3261 section 17.1.2.

use std::time::Duration;

use super::{ClientAction as Action, ClientInput as Input, Step};
use crate::timer::Timer;

/// The states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Client {
    /// Sent, nothing heard yet.
    Trying {
        /// Timer E's present interval.
        interval: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// Answered; retransmitted responses are absorbed.
    Completed,
    /// Over.
    Terminated,
}

impl Client {
    /// The request has just been sent.
    pub(crate) fn new(step: &mut Step<'_>) -> Self {
        let interval = step.timing.t1;
        if !step.timing.reliable {
            step.set(Timer::E, interval);
        }
        step.set(Timer::F, step.timing.patience());
        Self::Trying { interval }
    }

    /// Whether it is over.
    pub(crate) fn is_terminated(self) -> bool {
        self == Self::Terminated
    }

    /// One step.
    pub(crate) fn step(&mut self, step: &mut Step<'_>, input: Input) -> Action {
        use Input::{Response, Timer as Fired, TransportError};
        let (next, action) = match (*self, input) {
            (Self::Trying { interval }, Fired(Timer::E)) => {
                let interval = (interval * 2).min(step.timing.t2);
                step.set(Timer::E, interval);
                (Self::Trying { interval }, Action::Resend)
            }
            // RFC 3261 17.1.2.2: once the peer is known to be there, at the pace of T2.
            (Self::Proceeding, Fired(Timer::E)) => {
                step.set(Timer::E, step.timing.t2);
                (Self::Proceeding, Action::Resend)
            }
            (Self::Trying { .. } | Self::Proceeding, Fired(Timer::F) | TransportError) => {
                (Self::Terminated, Action::Fail)
            }
            (Self::Trying { .. } | Self::Proceeding, Response(status)) if status.is_provisional() => {
                (Self::Proceeding, Action::Nothing)
            }
            (Self::Trying { .. } | Self::Proceeding, Response(_)) => {
                step.timers.clear_all();
                let linger = step.timing.linger(step.timing.t4);
                if linger.is_zero() {
                    (Self::Terminated, Action::Deliver)
                } else {
                    step.set(Timer::K, linger);
                    (Self::Completed, Action::Deliver)
                }
            }
            (Self::Completed, Fired(Timer::K)) => (Self::Terminated, Action::Nothing),
            (state, _) => (state, Action::Nothing),
        };
        *self = next;
        action
    }
}
