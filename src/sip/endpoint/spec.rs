//! What the application asks for: answers, requests and calls, before the endpoint adds what the protocol needs.

use bytes::Bytes;

use crate::{HeaderName, Method, Text, Uri, flow::Flow, header::NameAddr};

impl From<&str> for HeaderName {
    fn from(name: &str) -> Self {
        Self::new(name)
    }
}

/// The final response to a request; the endpoint adds what the protocol needs.
#[derive(Debug, Clone)]
pub struct Reply {
    /// 200..=699.
    pub status: u16,
    /// The reason phrase; the usual one when none is given.
    pub reason: Option<String>,
    /// Further headers.
    pub headers: Vec<(HeaderName, String)>,
    /// Content-Type and body.
    pub body: Option<(String, Bytes)>,
}

impl Reply {
    /// A response without further headers and without a body.
    pub fn new(status: u16) -> Self {
        Self { status, reason: None, headers: Vec::new(), body: None }
    }

    /// With another reason phrase than the usual.
    #[must_use]
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        self.reason = Some(reason.into());
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: impl Into<HeaderName>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// With a body.
    #[must_use]
    pub fn body(mut self, content_type: impl Into<String>, body: impl Into<Bytes>) -> Self {
        self.body = Some((content_type.into(), body.into()));
        self
    }
}

/// With what 401 and 407 are answered.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The user name.
    pub user: String,
    /// The password.
    pub password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("user", &self.user).finish_non_exhaustive()
    }
}

/// A request outside of any dialog, other than INVITE.
#[derive(Debug, Clone)]
pub struct OutOfDialog {
    /// OPTIONS, MESSAGE, REGISTER, NOTIFY, ...
    pub method: Method,
    /// Which way it goes.
    pub flow: Flow,
    /// The request URI.
    pub target: Uri,
    /// From, without tag.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Call-ID; a random one when none is given. Registrations keep theirs.
    pub call_id: Option<Text>,
    /// CSeq; 1 when none is given.
    pub cseq: Option<u32>,
    /// Further headers.
    pub headers: Vec<(HeaderName, String)>,
    /// Content-Type and body.
    pub body: Option<(String, Bytes)>,
    /// With what 401 and 407 are answered.
    pub credentials: Option<Credentials>,
    /// The preloaded route.
    pub route: Vec<NameAddr>,
}

impl OutOfDialog {
    /// A request with the least that it needs.
    pub fn new(method: Method, flow: Flow, target: Uri, from: NameAddr, to: NameAddr) -> Self {
        Self {
            method,
            flow,
            target,
            from,
            to,
            call_id: None,
            cseq: None,
            headers: Vec::new(),
            body: None,
            credentials: None,
            route: Vec::new(),
        }
    }
}

/// A call to be made.
#[derive(Debug, Clone)]
pub struct Invite {
    /// Which way it goes.
    pub flow: Flow,
    /// The request URI.
    pub target: Uri,
    /// From, without tag.
    pub from: NameAddr,
    /// To.
    pub to: NameAddr,
    /// Call-ID; a random one when none is given.
    pub call_id: Option<Text>,
    /// Further headers.
    pub headers: Vec<(HeaderName, String)>,
    /// The offer (SDP); none asks the other side for its own, and [`ack`](super::Endpoint::ack) carries the
    /// answer.
    pub body: Option<Bytes>,
    /// With what 401 and 407 are answered.
    pub credentials: Option<Credentials>,
    /// The preloaded route.
    pub route: Vec<NameAddr>,
    /// Max-Forwards; 70, or one less than that of the call this one carries on.
    pub max_forwards: u32,
}

impl Invite {
    /// A call with the least that it needs, without an offer.
    pub fn new(flow: Flow, target: Uri, from: NameAddr, to: NameAddr) -> Self {
        Self {
            flow,
            target,
            from,
            to,
            call_id: None,
            headers: Vec::new(),
            body: None,
            credentials: None,
            route: Vec::new(),
            max_forwards: 70,
        }
    }
}
