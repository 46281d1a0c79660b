//! One pass over a datagram, to a message or to what must be answered to a malformed one.

use bytes::Bytes;

use crate::grammar::{self, Scan};
use crate::header::{self, Header, HeaderName};
use crate::message::{Headers, Message, Method, Request, Response, Span, StatusCode};
use crate::text::{Part, Text};
use crate::uri::Uri;

mod accept;

/// Room for the header fields of most messages, so that the list is allocated once.
const USUAL_FIELDS: usize = 24;

/// More header fields than any peer needs; what costs time and memory per field is bounded by it.
const MAX_FIELDS: usize = 1024;

/// A message that breaks the grammar.
#[derive(Clone, Debug, thiserror::Error)]
#[error("malformed message: {what}")]
pub struct Malformed {
    /// The status that answers it.
    pub status: StatusCode,
    /// What is wrong.
    pub what: &'static str,
    reply: Option<Box<Response>>,
}

impl Malformed {
    /// The response to send to where the message came from; `None` asks for silence: a response, an ACK, or a request
    /// without a Via that could be read.
    pub fn reply(&self) -> Option<Response> {
        self.reply.as_deref().cloned()
    }
}

/// A status, and what made it.
type Fault = (StatusCode, &'static str);

const fn bad(what: &'static str) -> Fault {
    (StatusCode::BAD_REQUEST, what)
}

/// The first line, as far as it could be read.
enum Start {
    Request { method: Option<Method>, uri: Result<Uri, Fault> },
    Response { status: StatusCode, reason: Text },
    Unreadable(&'static str),
}

/// Reads one message.
pub(crate) fn message(datagram: Bytes) -> Result<Message, Malformed> {
    // Keepalives before the start line belong to no message (RFC 3261 §7.5).
    let leading = datagram.iter().take_while(|b| matches!(b, b'\r' | b'\n')).count();
    let datagram = datagram.slice(leading..);
    let mut lines = Lines { datagram: &datagram, at: 0, returns: 0 };
    let Some(first) = lines.next_line() else { return Err(silent("no start line")) };
    let (mut headers, fault) = fields(&mut lines);
    headers.note_head(lines.at);
    let start = start_line(&headers.text_at(Span::received(first.start, first.end)));
    let body = datagram.slice(lines.at..);
    match start {
        Start::Unreadable(what) => Err(silent(what)),
        Start::Response { status, reason } => {
            let checked = fault.map_or(Ok(()), Err).and_then(|()| accept::response(&mut headers));
            match checked.and_then(|length| cut_body(length, body)) {
                Ok(body) => Ok(Message::Response(Response { status, reason, headers, body })),
                Err((_, what)) => Err(silent(what)),
            }
        }
        Start::Request { method, uri } => {
            let answered = method != Some(Method::Ack);
            let read = uri.and_then(|uri| {
                let method = method.ok_or(bad("method is not a token"))?;
                fault.map_or(Ok(()), Err)?;
                let length = accept::request(&method, &mut headers)?;
                Ok((method, uri, cut_body(length, body)?))
            });
            match read {
                Ok((method, uri, body)) => Ok(Message::Request(Request { method, uri, headers, body })),
                Err((status, what)) => {
                    let reply = if answered { reply(status, what, &headers) } else { None };
                    Err(Malformed { status, what, reply: reply.map(Box::new) })
                }
            }
        }
    }
}

const fn silent(what: &'static str) -> Malformed {
    Malformed { status: StatusCode::BAD_REQUEST, what, reply: None }
}

/// One line without its end, by its place in the datagram.
#[derive(Clone, Copy)]
struct Line {
    start: usize,
    end: usize,
}

/// The lines up to the empty one, which end with CRLF or LF.
struct Lines<'a> {
    datagram: &'a Bytes,
    at: usize,
    /// How many carriage returns ended a line.
    returns: usize,
}

impl<'a> Lines<'a> {
    /// The next line; `None` at the end of the datagram.
    fn next_line(&mut self) -> Option<Line> {
        let start = self.at;
        let rest = self.datagram.get(start..).filter(|rest| !rest.is_empty())?;
        let len = memchr::memchr(b'\n', rest).unwrap_or(rest.len());
        self.at = (start + len + 1).min(self.datagram.len());
        let line = rest.get(..len)?;
        let line = match line.strip_suffix(b"\r") {
            Some(line) => {
                self.returns += 1;
                line
            }
            None => line,
        };
        Some(Line { start, end: start + line.len() })
    }

    fn text(&self, line: Line) -> &'a [u8] {
        self.datagram.get(line.start..line.end).unwrap_or_default()
    }

    /// Whether the next line continues the current one.
    fn continues(&self) -> bool {
        matches!(self.datagram.get(self.at), Some(b' ' | b'\t'))
    }
}

fn start_line(line: &Text) -> Start {
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("SIP/")) {
        return status_line(line).unwrap_or_else(Start::Unreadable);
    }
    let mut scan = Scan::new(line);
    let Some(method) = scan.until(b' ') else {
        return Start::Unreadable("start line is neither request nor status line");
    };
    let rest = scan.rest();
    // What has no version at its end may be anything: it is not SIP, and it is not answered.
    let Some(version_at) = rest.bytes().rposition(|b| b != b' ').and_then(|end| {
        let version_at = memchr::memrchr(b' ', rest.get(..=end)?.as_bytes())? + 1;
        rest.get(version_at..=end)?.get(..4)?.eq_ignore_ascii_case("SIP/").then_some(version_at)
    }) else {
        return Start::Unreadable("request line without SIP version");
    };
    let (uri, version) = rest.split_at(version_at);
    let line = Part::whole(line);
    Start::Request { method: Method::read(line.part(method)), uri: request_uri(line, uri, version) }
}

/// `uri` ends with the space in front of `version` (RFC 3261 §7.1).
fn request_uri(line: Part<'_>, uri: &str, version: &str) -> Result<Uri, Fault> {
    if !version.trim_ascii_end().eq_ignore_ascii_case("SIP/2.0") {
        return Err((StatusCode::VERSION_NOT_SUPPORTED, "version other than SIP/2.0"));
    }
    if version.ends_with(' ') {
        return Err(bad("space behind the version"));
    }
    let uri = uri.strip_suffix(' ').unwrap_or(uri);
    if uri.is_empty() || uri.bytes().any(|b| matches!(b, b' ' | b'\t')) {
        return Err(bad("request line with spaces that separate nothing"));
    }
    let uri = Uri::read(line.part(uri)).map_err(bad)?;
    match &uri {
        Uri::Sip(sip) if sip.headers.is_some() => Err(bad("request URI with headers")),
        _ => Ok(uri),
    }
}

fn status_line(line: &Text) -> Result<Start, &'static str> {
    let rest = line.get(4..).unwrap_or_default();
    let rest = rest.strip_prefix("2.0 ").ok_or("version other than SIP/2.0")?;
    let (code, reason) = rest.split_at_checked(3).ok_or("status line without status")?;
    let code =
        grammar::port(code).filter(|code| (100..700).contains(code)).ok_or("status is not 100 to 699")?;
    let reason = match reason.strip_prefix(' ') {
        Some(reason) => reason,
        // The space is mandatory even before an empty phrase, but is left out by some.
        None if reason.is_empty() => "",
        None => return Err("status is not of three digits"),
    };
    Ok(Start::Response { status: StatusCode(code), reason: line.slice(reason) })
}

/// All header fields. Malformed lines are left out and the first of them is told, so that the rest can still serve
/// to answer.
fn fields(lines: &mut Lines<'_>) -> (Headers, Option<Fault>) {
    let mut headers = Headers::of_datagram(lines.datagram.clone(), USUAL_FIELDS);
    let mut fault = None;
    while let Some(line) = lines.next_line() {
        if line.start == line.end {
            let head = lines.datagram.get(..lines.at).unwrap_or_default();
            if memchr::memchr_iter(b'\r', head).count() != lines.returns && headers.remove_broken() {
                fault.get_or_insert(bad("header field with a bare carriage return"));
            }
            return (headers, fault);
        }
        let text = lines.text(line);
        let folded = lines.continues().then(|| unfold(line, lines));
        match name(text) {
            Ok(_) if headers.len() >= MAX_FIELDS => {
                fault.get_or_insert((StatusCode::MESSAGE_TOO_LARGE, "too many header fields"));
            }
            Ok((number, len, colon)) => {
                let value = match &folded {
                    Some(whole) => headers.append(whole.get(colon + 1..).unwrap_or_default().trim_ascii()),
                    None => value(lines.datagram, line, colon),
                };
                match number {
                    Some(number) => headers.push_received(number, value),
                    None => {
                        let name = text.get(..len).unwrap_or_default();
                        let name = Text::from_lossy(lines.datagram.slice_ref(name));
                        headers.push_entry(HeaderName::Other(name), value);
                    }
                }
            }
            Err(what) => {
                fault.get_or_insert(bad(what));
            }
        }
    }
    // A datagram may end without the empty line; on a stream the framer has seen it.
    (headers, fault.or(Some(bad("no empty line behind the headers"))))
}

/// The number of the name that a line begins with, if it has one, the length of the name, and where the colon behind it
/// is.
fn name(line: &[u8]) -> Result<(Option<u8>, usize, usize), &'static str> {
    let len = grammar::run(line, grammar::TOKEN);
    let (name, rest) = line.split_at_checked(len).unwrap_or_default();
    let space = rest.len() - rest.trim_ascii_start().len();
    if name.is_empty() || rest.get(space) != Some(&b':') {
        return Err(match memchr::memchr(b':', line) {
            Some(_) => "header field whose name is not a token",
            None => "header field without colon",
        });
    }
    Ok((HeaderName::find(name), len, len + space))
}

/// Where the value behind the colon lies, without the space around it.
fn value(datagram: &[u8], line: Line, colon: usize) -> Span {
    let value = datagram.get(line.start + colon + 1..line.end).unwrap_or_default();
    let start = line.end - value.trim_ascii_start().len();
    let end = line.start + colon + 1 + value.trim_ascii_end().len();
    Span::received(start, end.max(start))
}

/// A line with its continuations, each line break and the space around it made one space (RFC 3261 §7.3.1).
fn unfold(first: Line, lines: &mut Lines<'_>) -> Vec<u8> {
    let mut whole = lines.text(first).trim_ascii_end().to_vec();
    while lines.continues() {
        let Some(line) = lines.next_line() else { break };
        whole.push(b' ');
        whole.extend_from_slice(lines.text(line).trim_ascii());
    }
    whole
}

/// The body that Content-Length tells, or all that is there (RFC 3261 §18.3).
fn cut_body(length: Option<header::ContentLength>, body: Bytes) -> Result<Bytes, Fault> {
    match length {
        None => Ok(body),
        Some(length) => {
            let length = usize::try_from(length.0).unwrap_or(usize::MAX);
            if length > body.len() {
                return Err(bad("body shorter than Content-Length"));
            }
            Ok(body.slice(..length))
        }
    }
}

/// The response to a malformed request, from as much of it as could be read.
fn reply(status: StatusCode, what: &'static str, headers: &Headers) -> Option<Response> {
    let mut response = Response::new(status);
    if status == StatusCode::BAD_REQUEST {
        response.reason = Text::from(format!("Bad Request ({what})"));
    }
    push_vias(&mut response.headers, headers)?;
    for field in headers {
        // Two of them would make the response malformed too.
        let copied =
            matches!(field.name, HeaderName::From | HeaderName::To | HeaderName::CallId | HeaderName::CSeq)
                && !response.headers.has(field.name);
        if copied {
            response.headers.push_field(field);
        }
    }
    Some(response)
}

/// Copies the Via values, a malformed one without its parameters; `None` when even that does not tell who sent the
/// request.
fn push_vias(to: &mut Headers, from: &Headers) -> Option<()> {
    for (at, via) in from.elements::<header::Via>().enumerate() {
        let bare = || {
            let text = from.text_at(via);
            header::Via::parse(&text.slice(text.split(';').next().unwrap_or_default().trim()))
        };
        match from.read_at(via).or_else(|_| bare()) {
            Ok::<header::Via, _>(via) => to.push_typed(&via),
            Err(_) if at == 0 => return None,
            Err(_) => {}
        }
    }
    to.has(&HeaderName::Via).then_some(())
}
