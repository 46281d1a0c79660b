//! The server transaction of every request but INVITE and ACK: RFC 3261 section 17.2.2.

use super::{ServerAction as Action, ServerInput as Input, Step};
use crate::timer::Timer;

/// The states. There is no Proceeding: we answer such requests finally or not at all (RFC 4320).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// Not answered.
    Trying,
    /// Answered; the answer is sent again for every retransmission.
    Completed,
    /// Over.
    Terminated,
}

impl Server {
    /// Whether it is over.
    pub(crate) fn is_terminated(self) -> bool {
        self == Self::Terminated
    }

    /// One step.
    pub(crate) fn step(&mut self, step: &mut Step<'_>, input: Input) -> Action {
        let (next, action) = match (*self, input) {
            (Self::Trying, Input::Response(status)) if status.is_final() => {
                step.timers.clear_all();
                let linger = step.timing.linger(step.timing.patience());
                if linger.is_zero() {
                    (Self::Terminated, Action::Send)
                } else {
                    step.set(Timer::J, linger);
                    (Self::Completed, Action::Send)
                }
            }
            // RFC 4320 section 4.2: a request that nobody answered ends in silence.
            (Self::Trying, Input::Timer(Timer::Unanswered)) => (Self::Terminated, Action::Nothing),
            (Self::Completed, Input::Request) => (Self::Completed, Action::Resend),
            (Self::Completed, Input::Timer(Timer::J)) => (Self::Terminated, Action::Nothing),
            (state, _) => (state, Action::Nothing),
        };
        *self = next;
        action
    }
}
