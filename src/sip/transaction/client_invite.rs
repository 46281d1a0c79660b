//! The INVITE client transaction: RFC 3261 section 17.1.1 with RFC 6026 section 7.2.

use std::time::Duration;

use super::{ClientAction as Action, ClientInput as Input, Step};
use crate::{StatusCode, timer::Timer};

/// The states.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientInvite {
    /// Sent, nothing heard yet.
    Calling {
        /// Timer A's present interval.
        interval: Duration,
    },
    /// A provisional response came.
    Proceeding,
    /// Refused; retransmitted refusals are acknowledged again.
    Completed,
    /// A 2xx came; further ones, of this fork or others, are passed on.
    Accepted,
    /// Over.
    Terminated,
}

impl ClientInvite {
    /// The INVITE has just been sent.
    pub(crate) fn new(step: &mut Step<'_>) -> Self {
        let interval = step.timing.t1;
        if !step.timing.reliable {
            step.set(Timer::A, interval);
        }
        step.set(Timer::B, step.timing.patience());
        Self::Calling { interval }
    }

    /// Whether it is over.
    pub(crate) fn is_terminated(self) -> bool {
        self == Self::Terminated
    }

    /// One step.
    pub(crate) fn step(&mut self, step: &mut Step<'_>, input: Input) -> Action {
        use Input::{Cancelled, Response, Timer as Fired, TransportError};
        let (next, action) = match (*self, input) {
            // RFC 3261 17.1.1.2: Timer A doubles without limit, B ends it.
            (Self::Calling { interval }, Fired(Timer::A)) => {
                let interval = interval * 2;
                step.set(Timer::A, interval);
                (Self::Calling { interval }, Action::Resend)
            }
            (Self::Calling { .. }, Fired(Timer::B) | TransportError) => (Self::Terminated, Action::Fail),
            (Self::Calling { .. } | Self::Proceeding, Response(status)) => {
                step.clear(Timer::A);
                step.clear(Timer::B);
                Self::answered(step, status)
            }
            // RFC 3261 9.1: a cancelled INVITE without final response is given up after 64*T1.
            (Self::Calling { .. } | Self::Proceeding, Cancelled) => {
                step.set(Timer::Cancel, step.timing.patience());
                (*self, Action::Nothing)
            }
            (Self::Proceeding, TransportError) => (Self::Terminated, Action::Fail),
            (Self::Calling { .. } | Self::Proceeding, Fired(Timer::Cancel)) => {
                (Self::Terminated, Action::Fail)
            }
            (Self::Completed, Response(status)) if !status.is_provisional() && !status.is_success() => {
                (Self::Completed, Action::Ack)
            }
            (Self::Completed, Fired(Timer::D) | TransportError) => (Self::Terminated, Action::Nothing),
            // RFC 6026 7.2: every 2xx goes to the core until M fires.
            (Self::Accepted, Response(status)) if status.is_success() => (Self::Accepted, Action::Deliver),
            (Self::Accepted, Fired(Timer::M)) => (Self::Terminated, Action::Nothing),
            (state, _) => (state, Action::Nothing),
        };
        *self = next;
        action
    }

    fn answered(step: &mut Step<'_>, status: StatusCode) -> (Self, Action) {
        if status.is_provisional() {
            return (Self::Proceeding, Action::Deliver);
        }
        step.clear(Timer::Cancel);
        if status.is_success() {
            step.set(Timer::M, step.timing.patience());
            return (Self::Accepted, Action::Deliver);
        }
        let linger = step.timing.linger(step.timing.patience());
        if linger.is_zero() {
            return (Self::Terminated, Action::AckAndDeliver);
        }
        step.set(Timer::D, linger);
        (Self::Completed, Action::AckAndDeliver)
    }
}
