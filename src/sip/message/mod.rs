//! Requests and responses.

mod headers;
mod method;
mod print;
mod status;
#[cfg(test)]
mod tests;

use bytes::Bytes;

pub use headers::{Field, Fields, Headers};
pub(crate) use headers::{Kept, Span};
pub use method::Method;
pub use status::StatusCode;

use crate::parse::{self, Malformed};
use crate::text::Text;
use crate::uri::Uri;

/// A SIP message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Message {
    /// A request.
    Request(Request),
    /// A response.
    Response(Response),
}

/// A request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// What is asked.
    pub method: Method,
    /// Of whom.
    pub uri: Uri,
    /// The header fields; Content-Length is written when printed.
    pub headers: Headers,
    /// The body, empty if there is none.
    pub body: Bytes,
}

/// A response.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The answer.
    pub status: StatusCode,
    /// Its words for humans.
    pub reason: Text,
    /// The header fields; Content-Length is written when printed.
    pub headers: Headers,
    /// The body, empty if there is none.
    pub body: Bytes,
}

impl Message {
    /// Reads one message that fills a datagram, or that a [`Framer`](crate::Framer) cut from a stream. Bytes behind
    /// the Content-Length are cut off; a shorter body is malformed (RFC 3261 §18.3).
    pub fn parse(datagram: Bytes) -> Result<Self, Malformed> {
        parse::message(datagram)
    }

    /// The bytes to send.
    pub fn to_bytes(&self) -> Bytes {
        match self {
            Self::Request(request) => request.to_bytes(),
            Self::Response(response) => response.to_bytes(),
        }
    }

    /// The header fields of either.
    pub const fn headers(&self) -> &Headers {
        match self {
            Self::Request(request) => &request.headers,
            Self::Response(response) => &response.headers,
        }
    }

    /// The header fields of either, to change.
    pub const fn headers_mut(&mut self) -> &mut Headers {
        match self {
            Self::Request(request) => &mut request.headers,
            Self::Response(response) => &mut response.headers,
        }
    }

    /// The body of either.
    pub const fn body(&self) -> &Bytes {
        match self {
            Self::Request(request) => &request.body,
            Self::Response(response) => &response.body,
        }
    }
}

impl std::convert::From<Request> for Message {
    fn from(request: Request) -> Self {
        Self::Request(request)
    }
}

impl std::convert::From<Response> for Message {
    fn from(response: Response) -> Self {
        Self::Response(response)
    }
}

impl Request {
    /// A request without headers and body.
    pub const fn new(method: Method, uri: Uri) -> Self {
        Self { method, uri, headers: Headers::new(), body: Bytes::new() }
    }

    /// The bytes to send.
    pub fn to_bytes(&self) -> Bytes {
        print::request(self)
    }

    /// A response to this request: all Via, From, To, Call-ID and CSeq are copied, and for responses that may make a
    /// dialog (101 to 299) Record-Route too (RFC 3261 §8.2.6.2, §12.1.1). A To without tag is given `to_tag`,
    /// except in a 100.
    pub fn response(&self, status: StatusCode, to_tag: Option<&str>) -> Response {
        let tagged = self.headers.to().is_ok_and(|to| to.tag().is_some());
        self.headers.response(status, to_tag.filter(|_| !tagged))
    }
}

impl Response {
    /// A response with the default reason, without headers and body.
    pub const fn new(status: StatusCode) -> Self {
        let reason = Text::from_static(status.default_reason());
        Self { status, reason, headers: Headers::new(), body: Bytes::new() }
    }

    /// The bytes to send.
    pub fn to_bytes(&self) -> Bytes {
        print::response(self)
    }
}
