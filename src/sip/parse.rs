//! One pass over a datagram, to a message or to what must be answered to a malformed one.

use bytes::Bytes;

use crate::grammar;
use crate::header::{self, Header, HeaderName};
use crate::message::{Field, Headers, Message, Method, Request, Response, StatusCode};
use crate::text::Text;
use crate::uri::Uri;

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
    let mut lines = Lines { datagram: &datagram, at: 0 };
    let Some(first) = lines.next_line() else { return Err(silent("no start line")) };
    let start = start_line(&datagram.slice_ref(first));
    let (headers, fault) = fields(&mut lines);
    let body = datagram.slice(lines.at..);
    match start {
        Start::Unreadable(what) => Err(silent(what)),
        Start::Response { status, reason } => {
            let checked = fault.map_or(Ok(()), Err).and_then(|()| check_response(&headers));
            match checked.and_then(|()| cut_body(&headers, body)) {
                Ok(body) => Ok(Message::Response(Response { status, reason, headers, body })),
                Err((_, what)) => Err(silent(what)),
            }
        }
        Start::Request { method, uri } => {
            let answered = method != Some(Method::Ack);
            let read = uri.and_then(|uri| {
                let method = method.ok_or(bad("method is not a token"))?;
                fault.map_or(Ok(()), Err)?;
                check_request(&method, &headers)?;
                Ok((method, uri, cut_body(&headers, body)?))
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

/// The lines up to the empty one, which end with CRLF or LF.
struct Lines<'a> {
    datagram: &'a Bytes,
    at: usize,
}

impl<'a> Lines<'a> {
    /// The next line without its end; `None` at the end of the datagram.
    fn next_line(&mut self) -> Option<&'a [u8]> {
        let rest = self.datagram.get(self.at..).filter(|rest| !rest.is_empty())?;
        let line = match memchr::memchr(b'\n', rest) {
            Some(end) => {
                self.at += end + 1;
                rest.get(..end)?
            }
            None => {
                self.at = self.datagram.len();
                rest
            }
        };
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    }

    /// Whether the next line continues the current one.
    fn continues(&self) -> bool {
        matches!(self.datagram.get(self.at), Some(b' ' | b'\t'))
    }
}

fn start_line(line: &Bytes) -> Start {
    if line.get(..4).is_some_and(|start| start.eq_ignore_ascii_case(b"SIP/")) {
        return status_line(line).unwrap_or_else(Start::Unreadable);
    }
    let line = Text::from_lossy(line.clone());
    let Some((method, rest)) = line.split_once(' ') else {
        return Start::Unreadable("start line is neither request nor status line");
    };
    // What has no version at its end may be anything: it is not SIP, and it is not answered.
    let Some(version_at) = rest.bytes().rposition(|b| b != b' ').and_then(|end| {
        let version_at = rest.get(..=end)?.rfind(' ')? + 1;
        rest.get(version_at..=end)?.get(..4)?.eq_ignore_ascii_case("SIP/").then_some(version_at)
    }) else {
        return Start::Unreadable("request line without SIP version");
    };
    let (uri, version) = rest.split_at(version_at);
    Start::Request { method: Method::parse(&line.slice(method)), uri: request_uri(&line, uri, version) }
}

/// `uri` ends with the space in front of `version` (RFC 3261 §7.1).
fn request_uri(line: &Text, uri: &str, version: &str) -> Result<Uri, Fault> {
    if !version.trim_end().eq_ignore_ascii_case("SIP/2.0") {
        return Err((StatusCode::VERSION_NOT_SUPPORTED, "version other than SIP/2.0"));
    }
    if version.ends_with(' ') {
        return Err(bad("space behind the version"));
    }
    let uri = uri.strip_suffix(' ').unwrap_or(uri);
    if uri.is_empty() || uri.contains([' ', '\t']) {
        return Err(bad("request line with spaces that separate nothing"));
    }
    let uri = Uri::parse(&line.slice(uri)).map_err(bad)?;
    match &uri {
        Uri::Sip(sip) if sip.headers.is_some() => Err(bad("request URI with headers")),
        _ => Ok(uri),
    }
}

fn status_line(line: &Bytes) -> Result<Start, &'static str> {
    let rest = line.get(4..).unwrap_or_default();
    let rest = rest.strip_prefix(b"2.0 ").ok_or("version other than SIP/2.0")?;
    let (code, reason) = rest.split_at_checked(3).ok_or("status line without status")?;
    let code = std::str::from_utf8(code).ok().and_then(grammar::port);
    let code = code.filter(|code| (100..700).contains(code)).ok_or("status is not 100 to 699")?;
    let reason = match reason {
        // The space is mandatory even before an empty phrase, but is left out by some.
        [] => b"",
        [b' ', reason @ ..] => reason,
        _ => return Err("status is not of three digits"),
    };
    let reason = Text::from_lossy(line.slice_ref(reason));
    Ok(Start::Response { status: StatusCode(code), reason })
}

/// All header fields. Malformed lines are left out and the first of them is told, so that the rest can still serve
/// to answer.
fn fields(lines: &mut Lines<'_>) -> (Headers, Option<Fault>) {
    let mut headers = Headers::with_capacity(USUAL_FIELDS);
    let mut fault = None;
    while let Some(line) = lines.next_line() {
        if line.is_empty() {
            return (headers, fault);
        }
        let folded = lines.continues();
        let field = field(lines.datagram, line);
        let continued = folded.then(|| unfold(line, lines));
        match (field, continued) {
            (Ok(_), _) if headers.len() >= MAX_FIELDS => {
                fault.get_or_insert((StatusCode::MESSAGE_TOO_LARGE, "too many header fields"));
            }
            (Ok(field), None) => headers.push_parsed(field),
            (Ok(field), Some(line)) => {
                let at = line.iter().position(|b| *b == b':').map_or(line.len(), |at| at + 1);
                headers.push_parsed(Field {
                    name: field.name,
                    value: trimmed(&line, line.get(at..).unwrap_or_default()),
                });
            }
            (Err(what), _) => {
                fault.get_or_insert(bad(what));
            }
        }
    }
    // A datagram may end without the empty line; on a stream the framer has seen it.
    (headers, fault.or(Some(bad("no empty line behind the headers"))))
}

/// A line with its continuations, each line break and the space around it made one space (RFC 3261 §7.3.1).
fn unfold(first: &[u8], lines: &mut Lines<'_>) -> Bytes {
    let mut whole = first.trim_ascii_end().to_vec();
    while lines.continues() {
        let Some(line) = lines.next_line() else { break };
        whole.push(b' ');
        whole.extend_from_slice(line.trim_ascii());
    }
    Bytes::from(whole)
}

fn field(datagram: &Bytes, line: &[u8]) -> Result<Field, &'static str> {
    let colon = memchr::memchr(b':', line).ok_or("header field without colon")?;
    let (name, value) = line.split_at(colon);
    let name = name.trim_ascii_end();
    let value = value.get(1..).unwrap_or_default();
    let name = match HeaderName::known(name) {
        Some(name) => name,
        None if !name.is_empty() && name.iter().all(|b| grammar::is_token_char(*b)) => {
            HeaderName::Other(Text::from_lossy(datagram.slice_ref(name)))
        }
        None => return Err("header field whose name is not a token"),
    };
    if value.contains(&b'\r') {
        return Err("header field with a bare carriage return");
    }
    Ok(Field { name, value: trimmed(datagram, value) })
}

/// `value`, a part of `whole`, without surrounding space.
fn trimmed(whole: &Bytes, value: &[u8]) -> Bytes {
    whole.slice_ref(value.trim_ascii())
}

/// The body that Content-Length tells, or all that is there (RFC 3261 §18.3).
fn cut_body(headers: &Headers, body: Bytes) -> Result<Bytes, Fault> {
    match headers.optional::<header::ContentLength>() {
        Ok(None) => Ok(body),
        Ok(Some(length)) => {
            let length = usize::try_from(length.0).unwrap_or(usize::MAX);
            if length > body.len() {
                return Err(bad("body shorter than Content-Length"));
            }
            Ok(body.slice(..length))
        }
        Err(_) => Err(bad("Content-Length is not a number, or two differ")),
    }
}

/// Every list of addresses has to be readable; how many there are is the peer's choice, so nothing is kept.
fn check_each<T: Header>(headers: &Headers, what: &'static str) -> Result<(), Fault> {
    match headers.elements::<T>().all(|element| T::parse(&element).is_ok()) {
        true => Ok(()),
        false => Err(bad(what)),
    }
}

fn check_response(headers: &Headers) -> Result<(), Fault> {
    mandatory(headers)?;
    headers.typed::<header::CSeq>().map_err(|_| bad("CSeq missing or malformed"))?;
    Ok(())
}

fn mandatory(headers: &Headers) -> Result<(), Fault> {
    if !headers.has(&HeaderName::Via) {
        return Err(bad("Via missing"));
    }
    check_each::<header::Via>(headers, "Via malformed")?;
    headers.typed::<header::From>().map_err(|_| bad("From missing or malformed"))?;
    headers.typed::<header::To>().map_err(|_| bad("To missing or malformed"))?;
    headers.typed::<header::CallId>().map_err(|_| bad("Call-ID missing or malformed"))?;
    check_each::<header::Contact>(headers, "Contact malformed")?;
    check_each::<header::RecordRoute>(headers, "Record-Route malformed")
}

fn check_request(method: &Method, headers: &Headers) -> Result<(), Fault> {
    mandatory(headers)?;
    let cseq = headers.typed::<header::CSeq>().map_err(|_| bad("CSeq missing or malformed"))?;
    if cseq.method != *method {
        return Err(bad("CSeq names another method"));
    }
    // Max-Forwards is mandatory since RFC 3261; what came before it is still understood without (§16.3).
    headers.optional::<header::MaxForwards>().map_err(|_| bad("Max-Forwards malformed"))?;
    headers.optional::<header::ContentType>().map_err(|_| bad("Content-Type malformed"))?;
    headers.optional::<header::Expires>().map_err(|_| bad("Expires malformed"))?;
    headers.optional::<header::Date>().map_err(|_| bad("Date malformed"))?;
    check_each::<header::Route>(headers, "Route malformed")
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
                && !response.headers.has(&field.name);
        if copied {
            response.headers.push(field.name.clone(), field.value.clone());
        }
    }
    Some(response)
}

/// Copies the Via values, a malformed one without its parameters; `None` when even that does not tell who sent the
/// request.
fn push_vias(to: &mut Headers, from: &Headers) -> Option<()> {
    for (at, via) in from.elements::<header::Via>().enumerate() {
        let bare = || via.split(';').next().unwrap_or_default().trim();
        match header::Via::parse(&via).or_else(|_| header::Via::parse(&via.slice(bare()))) {
            Ok(via) => to.push_typed(&via),
            Err(_) if at == 0 => return None,
            Err(_) => {}
        }
    }
    to.has(&HeaderName::Via).then_some(())
}
