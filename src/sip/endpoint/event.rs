//! What an endpoint says.

use bytes::Bytes;

use crate::{
    flow::Flow,
    message::{Request, Response},
};

/// One INVITE and the session it makes, from either side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LegId(pub(crate) u64);

/// A server transaction that waits for our answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub(crate) u64);

/// A request of ours that waits for its final response.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClientId(pub(crate) u64);

/// What comes out of an endpoint.
#[derive(Debug)]
pub enum Output {
    /// Bytes for the network.
    Transmit {
        /// Which way. On UDP the remote address may be one nothing came from yet.
        flow: Flow,
        /// One whole message.
        bytes: Bytes,
    },
    /// News for the application.
    Event(Event),
}

/// News.
#[derive(Debug)]
pub enum Event {
    /// A request outside of any dialog, other than INVITE, ACK and CANCEL; answer with
    /// [`respond`](super::Endpoint::respond).
    Request {
        /// What to answer to.
        id: RequestId,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Box<Request>,
    },
    /// The end of a request of ours. Provisional responses are not reported.
    Response {
        /// Which request.
        id: ClientId,
        /// The final response; none after a timeout or a transport error.
        response: Option<Box<Response>>,
    },
    /// A new INVITE; 100 has been sent. The leg lives until it reports its end.
    Incoming {
        /// The leg it opened.
        leg: LegId,
        /// Where it came from.
        flow: Flow,
        /// The request.
        request: Box<Request>,
    },
    /// News of a leg.
    Leg {
        /// Which.
        leg: LegId,
        /// What.
        event: LegEvent,
    },
}

/// News of a leg.
#[derive(Debug)]
pub enum LegEvent {
    /// To our INVITE: 100, by which the next hop shows that it is there.
    Trying,
    /// To our INVITE: a provisional response above 100. Its PRACK goes by itself.
    Provisional {
        /// The response.
        response: Box<Response>,
    },
    /// To our INVITE: the first 2xx. Its ACK goes by itself, unless the INVITE carried no offer: then
    /// [`ack`](super::Endpoint::ack) must follow. Later 2xx of other forks are acknowledged and hung up.
    Answered {
        /// The response.
        response: Box<Response>,
    },
    /// To our INVITE: refused. The leg is gone.
    Failed {
        /// The final response; none after a timeout or a transport error.
        response: Option<Box<Response>>,
    },
    /// The ACK to our 2xx, of the INVITE or of a re-INVITE.
    Acked {
        /// Its body: the answer, when our 2xx carried the offer.
        body: Option<Bytes>,
    },
    /// The caller gave up before our final answer; 487 has been sent. The leg is gone.
    Cancelled {
        /// The Reason header of the CANCEL (RFC 3326).
        reason: Option<String>,
    },
    /// A re-INVITE, or an UPDATE with an offer: answer with [`accept`](super::Endpoint::accept) or
    /// [`reject`](super::Endpoint::reject). Refreshes of the session arrive so as well.
    Offer {
        /// The offer; none when the re-INVITE asks for ours, whose answer then comes by `Acked`.
        body: Option<Bytes>,
        /// It was an UPDATE.
        update: bool,
    },
    /// Our [`modify`](super::Endpoint::modify) was accepted; or the PRACK brought the answer to the offer in our
    /// reliable provisional response.
    Answer {
        /// The answer.
        body: Option<Bytes>,
    },
    /// Our [`modify`](super::Endpoint::modify) was refused; the session goes on as it was.
    ModifyFailed {
        /// The status; 408 when there was no response.
        status: u16,
    },
    /// A re-INVITE that refreshed the session by itself was answered: the peer's description as it is now.
    Refreshed {
        /// The description.
        body: Option<Bytes>,
    },
    /// INFO, MESSAGE, REFER, NOTIFY, SUBSCRIBE or OPTIONS in the dialog; answer with
    /// [`respond`](super::Endpoint::respond).
    Request {
        /// What to answer to.
        id: RequestId,
        /// The request.
        request: Box<Request>,
    },
    /// The other side hangs up. Answer with [`respond`](super::Endpoint::respond), at the latest after
    /// [`Config::bye_timeout`](super::Config::bye_timeout); then the leg is gone.
    Bye {
        /// What to answer to.
        id: RequestId,
        /// The request.
        request: Box<Request>,
    },
    /// It is over. What is left to be sent goes by itself.
    Ended {
        /// Why.
        why: EndReason,
    },
}

/// Why a leg ended without the other side's BYE.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EndReason {
    /// Our 2xx, or our reliable provisional response, was not acknowledged in 64*T1.
    NoAck,
    /// The session timer ran out (RFC 4028).
    SessionExpired,
    /// A request in the dialog met 408, 481, a timeout or a transport error (RFC 5057).
    Unreachable,
    /// [`end`](super::Endpoint::end).
    Local,
}

/// How much an endpoint remembers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Counts {
    /// Server transactions.
    pub server_transactions: usize,
    /// Client transactions.
    pub client_transactions: usize,
    /// Legs, those included that only wait for the answer to their BYE.
    pub legs: usize,
}
