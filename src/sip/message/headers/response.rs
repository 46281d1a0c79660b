//! What a response repeats of its request (RFC 3261 §8.2.6.2, §12.1.1).

use super::{Field, Headers};
use crate::header::HeaderName;
use crate::message::{Response, StatusCode};

/// Room for the header fields of most messages of ours, and for the bytes of their values, so that both are allocated
/// once.
const USUAL_FIELDS: usize = 16;
const USUAL_BYTES: usize = 640;

/// Room for what responses repeat of most requests.
const HEAD_FIELDS: usize = 8;
const HEAD_BYTES: usize = 384;

impl Headers {
    /// The response to the request with these headers, or with this [`Headers::head`]. `to_tag` is only for a To
    /// without tag.
    pub(crate) fn response(&self, status: StatusCode, to_tag: Option<&str>) -> Response {
        let mut response = Response::new(status);
        response.headers = Self::with_capacity(USUAL_FIELDS, USUAL_BYTES);
        let makes_dialog = status.code() > 100 && status.code() < 300;
        for field in self {
            match field.name {
                HeaderName::Via | HeaderName::From | HeaderName::CallId | HeaderName::CSeq => {
                    response.headers.push_field(field);
                }
                HeaderName::RecordRoute if makes_dialog => response.headers.push_field(field),
                HeaderName::Timestamp if status == StatusCode::TRYING => response.headers.push_field(field),
                HeaderName::To => match to_tag {
                    Some(tag) if status != StatusCode::TRYING => response.headers.push_tagged(field, tag),
                    _ => response.headers.push_field(field),
                },
                _ => {}
            }
        }
        response
    }

    /// The part of a request's headers that responses repeat.
    pub(crate) fn head(&self) -> Self {
        let mut head = Self::with_capacity(HEAD_FIELDS, HEAD_BYTES);
        for field in self {
            if matches!(
                field.name,
                HeaderName::Via
                    | HeaderName::From
                    | HeaderName::To
                    | HeaderName::CallId
                    | HeaderName::CSeq
                    | HeaderName::RecordRoute
                    | HeaderName::Timestamp
            ) {
                head.push_field(field);
            }
        }
        head
    }

    /// Copies To with a tag. One that is there without a value, as no peer should send it, stays in front of ours.
    fn push_tagged(&mut self, to: Field<'_>, tag: &str) {
        self.push_parts(HeaderName::To, &[to.value, b";tag=", tag.as_bytes()]);
    }
}
