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

use self::{client::Client, client_invite::ClientInvite, server::Server, server_invite::ServerInvite};
use crate::{
    StatusCode,
    timer::{Timer, Timers},
};

/// What happens to a client transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ClientInput {
    /// A response.
    Response(StatusCode),
    /// A timer fired.
    Timer(Timer),
    /// The transport is broken.
    TransportError,
    /// A CANCEL has been sent for this INVITE.
    Cancelled,
}

/// What a client transaction says is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ClientAction {
    /// Nothing.
    Nothing,
    /// Send the request again.
    Resend,
    /// Pass the response on.
    Deliver,
    /// Acknowledge the refusal of this INVITE and pass it on.
    AckAndDeliver,
    /// Acknowledge the refusal of this INVITE again.
    Ack,
    /// Tell that there will be no response.
    Fail,
}

/// The client transaction of either kind of request.
#[derive(Debug)]
pub(crate) enum ClientMachine {
    /// Of an INVITE.
    Invite(ClientInvite),
    /// Of any other.
    Other(Client),
}

impl ClientMachine {
    /// For a request that is being sent.
    pub(crate) fn begin(is_invite: bool, now: Instant, timing: Timing, timers: &mut Timers) -> Self {
        let mut step = Step { now, timing, timers };
        if is_invite {
            Self::Invite(ClientInvite::new(&mut step))
        } else {
            Self::Other(Client::new(&mut step))
        }
    }

    /// One step.
    pub(crate) fn step(&mut self, step: &mut Step<'_>, input: ClientInput) -> ClientAction {
        match self {
            Self::Invite(machine) => machine.step(step, input),
            Self::Other(machine) => machine.step(step, input),
        }
    }

    /// Whether it is over.
    pub(crate) fn is_terminated(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_terminated(),
            Self::Other(machine) => machine.is_terminated(),
        }
    }
}

/// What happens to a server transaction.
#[derive(Debug, Clone, Copy)]
pub(crate) enum ServerInput {
    /// The request came again.
    Request,
    /// An ACK of this INVITE.
    Ack,
    /// We answer.
    Response(StatusCode),
    /// A timer fired.
    Timer(Timer),
}

/// What a server transaction says is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ServerAction {
    /// Nothing.
    Nothing,
    /// Send the response.
    Send,
    /// Send the last response again.
    Resend,
}

/// The server transaction of either kind of request.
#[derive(Debug)]
pub(crate) enum ServerMachine {
    /// Of an INVITE.
    Invite(ServerInvite),
    /// Of any other.
    Other(Server),
}

impl ServerMachine {
    /// One step.
    pub(crate) fn step(&mut self, step: &mut Step<'_>, input: ServerInput) -> ServerAction {
        match self {
            Self::Invite(machine) => machine.step(step, input),
            Self::Other(machine) => machine.step(step, input),
        }
    }

    /// Whether it is over.
    pub(crate) fn is_terminated(&self) -> bool {
        match self {
            Self::Invite(machine) => machine.is_terminated(),
            Self::Other(machine) => machine.is_terminated(),
        }
    }
}

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
