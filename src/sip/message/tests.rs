//! Reading and printing of whole messages.

use super::*;
use crate::header::{self, CSeq, Contact, Header, HeaderName, Route, Via};

fn read(text: &str) -> Result<Message, Malformed> {
    Message::parse(Bytes::copy_from_slice(text.as_bytes()))
}

fn request(text: &str) -> Request {
    match read(text) {
        Ok(Message::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

const INVITE: &str = "INVITE sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP pc33.example.com;branch=z9hG4bK776asdhds;rport, SIP/2.0/TCP [2001:db8::1]:5061;branch=z9hG4bKx\r\n\
    Record-Route: <sip:p1.example.com;lr>, <sip:p2.example.com;lr>\r\n\
    Max-Forwards: 70\r\n\
    t: \"Bob, \\\"the\\\" Builder\" <sip:bob@example.com>\r\n\
    f: Alice <sip:alice@example.com>;tag=1928301774\r\n\
    i: a84b4c76e66710@pc33.example.com\r\n\
    CSeq: 314159 INVITE\r\n\
    m: <sip:alice@pc33.example.com>;expires=60, \"x,y\" <sip:a,b@h>;q=0.5\r\n\
    k: 100rel, timer\r\n\
    Subject: caf\u{e9}\r\n\
    Subject2:\r\n\
    Content-Type: application/sdp\r\n\
    Content-Length: 3\r\n\r\nv=0";

#[test]
fn a_request_is_read_with_compact_names_and_lists() {
    let request = request(INVITE);
    assert_eq!(request.method, Method::Invite);
    assert_eq!(request.body, "v=0");
    let vias: Vec<Via> = request.headers.list().unwrap();
    assert_eq!(vias.len(), 2);
    assert_eq!(vias[0].branch(), Some("z9hG4bK776asdhds"));
    assert!(vias[0].wants_rport() && vias[0].rport().is_none());
    assert_eq!((vias[1].host.to_string().as_str(), vias[1].port), ("[2001:db8::1]", Some(5061)));
    assert_eq!(request.headers.to().unwrap().name.as_deref(), Some("Bob, \"the\" Builder"));
    assert_eq!(request.headers.from().unwrap().tag(), Some("1928301774"));
    assert_eq!(*request.headers.cseq().unwrap(), CSeq { number: 314_159, method: Method::Invite });
    let contacts: Vec<Contact> = request.headers.list().unwrap();
    assert_eq!(contacts.len(), 2);
    assert_eq!((contacts[0].expires(), contacts[0].q()), (Some(60), 1000));
    assert_eq!((contacts[1].expires(), contacts[1].q()), (None, 500));
    assert!(request.headers.supports("100REL") && !request.headers.supports("replaces"));
    assert!(request.headers.list::<Route>().unwrap().is_empty());
    assert_eq!(request.headers.typed::<Route>().unwrap_err().fault, header::Fault::Missing);
}

#[test]
fn what_is_printed_reads_the_same() {
    let message = read(INVITE).unwrap();
    let again = Message::parse(message.to_bytes()).unwrap();
    assert_eq!(message.to_bytes(), again.to_bytes());
    assert_eq!(again.headers().get(&HeaderName::Subject), Some("caf\u{e9}".as_bytes()));
}

#[test]
fn lines_that_end_with_lf_alone_are_read() {
    assert_eq!(request(&INVITE.replace("\r\n", "\n")).headers.cseq().unwrap().number, 314_159);
}

#[test]
fn bytes_that_are_not_utf8_are_kept_and_tolerated() {
    let mut bytes = INVITE.replace("f: Alice", "f: \"Al?ce\"").into_bytes();
    let at = bytes.iter().position(|b| *b == b'?').unwrap();
    bytes[at] = 0xE9;
    let message = Message::parse(Bytes::from(bytes)).unwrap();
    let from: header::From = message.headers().typed().unwrap();
    assert_eq!(from.name.as_deref(), Some("Al\u{fffd}ce"));
    assert!(message.headers().get(&HeaderName::From).unwrap().contains(&0xE9));
    assert!(message.to_bytes().contains(&0xE9));
}

#[test]
fn the_body_is_cut_at_its_length_and_a_short_one_is_refused() {
    assert_eq!(request(&format!("{INVITE}SIP rubbish")).body, "v=0");
    assert_eq!(request(&INVITE.replace("Content-Length: 3\r\n", "")).body, "v=0");
    let refused = read(&INVITE.replace("Length: 3", "Length: 4")).unwrap_err();
    assert_eq!(refused.reply().unwrap().status, StatusCode::BAD_REQUEST);
    assert_eq!(read(&INVITE.replace("Length: 3", "Length: 3\r\nl: 0")).unwrap_err().status.code(), 400);
    assert_eq!(request(&INVITE.replace("Length: 3", "Length: 3\r\nl: 3")).body, "v=0");
}

#[test]
fn a_malformed_request_is_answered_with_its_status_and_its_headers() {
    for (from, to, status) in [
        ("SIP/2.0\r\nVia", "SIP/3.0\r\nVia", 505),
        ("CSeq: 314159 INVITE", "CSeq: 314159 BYE", 400),
        ("CSeq: 314159", "CSeq: 4294967296", 400),
        ("CSeq: 314159", "CSeq: -1", 400),
        ("Max-Forwards: 70", "Max-Forwards: 256", 400),
        ("INVITE sip:bob@", "INVITE  sip:bob@", 400),
        ("INVITE sip:bob@example.com", "INVITE <sip:bob@example.com>", 400),
        ("f: Alice <", "f: \"Alice <", 400),
        ("t: ", "X-t: ", 400),
        ("i: ", "i: ", 0),
    ] {
        match read(&INVITE.replacen(from, to, 1)) {
            Ok(_) => assert_eq!(status, 0, "{to} was accepted"),
            Err(refused) => {
                let reply = refused.reply().unwrap();
                assert_eq!(reply.status.code(), status, "{to}");
                assert_eq!(reply.headers.list::<Via>().unwrap().len(), 2, "{to}");
                assert_eq!(reply.headers.call_id().unwrap().0, "a84b4c76e66710@pc33.example.com");
            }
        }
    }
}

#[test]
fn what_must_not_be_answered_is_met_with_silence() {
    let ack = INVITE.replace("INVITE", "ACK").replace("Max-Forwards: 70", "Max-Forwards: x");
    let response = INVITE.replace("INVITE sip:bob@example.com SIP/2.0", "SIP/2.0 1000 Trying");
    let no_via = INVITE.replace("Via: ", "Vie: ");
    for silent in
        [ack.as_str(), &response, &no_via, "", "\r\n\r\n", "hello", "GET / HTTP/1.1\r\n\r\n", "\u{0}"]
    {
        assert!(read(silent).unwrap_err().reply().is_none(), "{silent}");
    }
}

#[test]
fn a_response_copies_what_rfc_3261_8_2_6_says() {
    let request = request(INVITE);
    let ringing = request.response(StatusCode::RINGING, Some("abc"));
    assert_eq!(ringing.headers.list::<Via>().unwrap(), request.headers.list::<Via>().unwrap());
    assert_eq!(ringing.headers.to().unwrap().tag(), Some("abc"));
    assert_eq!(ringing.headers.list::<header::RecordRoute>().unwrap().len(), 2);
    assert_eq!(request.response(StatusCode::TRYING, Some("abc")).headers.to().unwrap().tag(), None);
    let refused = request.response(StatusCode::NOT_FOUND, Some("abc"));
    assert!(!refused.headers.has(&HeaderName::RecordRoute));
    assert!(
        matches!(Message::parse(refused.to_bytes()), Ok(Message::Response(r)) if r.reason == "Not Found")
    );
}

#[test]
fn the_topmost_via_is_replaced_in_its_list() {
    let mut request = request(INVITE);
    let mut via = request.headers.typed::<Via>().unwrap();
    via.set_received("192.0.2.7".parse().unwrap());
    via.set_rport(5099);
    request.headers.set_first(&via);
    let vias: Vec<Via> = request.headers.list().unwrap();
    assert_eq!(vias.len(), 2);
    assert_eq!(vias[0].received(), Some("192.0.2.7".parse().unwrap()));
    assert_eq!(vias[0].rport(), Some(5099));
    assert_eq!(vias[1].branch(), Some("z9hG4bKx"));
    via.set_received("2001:db8::7".parse().unwrap());
    assert_eq!(Via::parse(&Text::from(via.to_string())).unwrap().received(), via.received());
}

#[test]
fn fields_are_set_in_their_place_and_cannot_break_their_line() {
    let mut headers = Headers::new();
    headers.push(HeaderName::Via, "a");
    headers.push(HeaderName::Subject, "one");
    headers.push(HeaderName::Via, "b");
    headers.set(HeaderName::Via, "c");
    headers.prepend(HeaderName::Via, "d\r\nEvil: yes");
    let all: Vec<_> = headers.iter().map(|f| (f.name.as_str(), f.value)).collect();
    let expected: [(&str, &[u8]); 3] = [("Via", b"d  Evil: yes"), ("Via", b"c"), ("Subject", b"one")];
    assert_eq!(all, expected);
}
