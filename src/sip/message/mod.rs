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

use crate::header::HeaderName;
use crate::parse::{self, Malformed};
use crate::text::Text;
use crate::uri::Uri;

/// Room for the header fields of most messages of ours, and for the bytes of their values, so that both are allocated
/// once.
const USUAL_FIELDS: usize = 16;
const USUAL_BYTES: usize = 640;

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
        let mut response = Response::new(status);
        response.headers = Headers::with_capacity(USUAL_FIELDS, USUAL_BYTES);
        let makes_dialog = status.code() > 100 && status.code() < 300;
        for field in &self.headers {
            match field.name {
                HeaderName::Via | HeaderName::From | HeaderName::CallId | HeaderName::CSeq => {
                    response.headers.push_field(field);
                }
                HeaderName::RecordRoute if makes_dialog => response.headers.push_field(field),
                HeaderName::Timestamp if status == StatusCode::TRYING => response.headers.push_field(field),
                HeaderName::To => match to_tag {
                    Some(tag) if status != StatusCode::TRYING => self.push_tagged(&mut response, field, tag),
                    _ => response.headers.push_field(field),
                },
                _ => {}
            }
        }
        response
    }

    /// Copies To, with our tag where it has none yet.
    fn push_tagged(&self, response: &mut Response, field: Field<'_>, tag: &str) {
        match self.headers.to() {
            Ok(to) if !to.params.has("tag") => {
                let parts = [field.value, b";tag=", tag.as_bytes()];
                response.headers.push_parts(HeaderName::To, &parts);
            }
            Ok(to) if to.tag().is_none() => {
                let mut to = to.into_owned();
                to.params.set("tag", Some(tag));
                response.headers.push_typed(&to);
            }
            _ => response.headers.push_field(field),
        }
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
