//! Messages as bytes.

use std::io::Write;

use bytes::Bytes;

use super::{Headers, Request, Response};
use crate::header::HeaderName;

/// Room for the start line and Content-Length when the size of the buffer is guessed: of a request, whose URI is printed
/// into it, and of a response beside its reason phrase. Responses are remembered, so that theirs is no larger than needed.
const REQUEST: usize = 160;
const RESPONSE: usize = 48;

pub(super) fn request(request: &Request) -> Bytes {
    let mut out = buffer(REQUEST, &request.headers, &request.body);
    // Writing into memory does not fail.
    let _ = write!(out, "{} {} SIP/2.0\r\n", request.method, request.uri);
    finish(out, &request.headers, &request.body)
}

pub(super) fn response(response: &Response) -> Bytes {
    let mut out = buffer(RESPONSE + response.reason.len(), &response.headers, &response.body);
    let _ = write!(out, "SIP/2.0 {} ", response.status.code());
    out.extend(response.reason.bytes().map(|b| if matches!(b, b'\r' | b'\n') { b' ' } else { b }));
    out.extend_from_slice(b"\r\n");
    finish(out, &response.headers, &response.body)
}

fn buffer(start: usize, headers: &Headers, body: &Bytes) -> Vec<u8> {
    let fields: usize = headers.iter().map(|f| f.name.as_str().len() + f.value.len() + 4).sum();
    Vec::with_capacity(start + fields + body.len())
}

/// The headers, with a Content-Length that is true, and the body.
fn finish(mut out: Vec<u8>, headers: &Headers, body: &Bytes) -> Bytes {
    for field in headers.iter().filter(|field| *field.name != HeaderName::ContentLength) {
        out.extend_from_slice(field.name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(field.value);
        out.extend_from_slice(b"\r\n");
    }
    let _ = write!(out, "Content-Length: {}\r\n\r\n", body.len());
    out.extend_from_slice(body);
    Bytes::from(out)
}
