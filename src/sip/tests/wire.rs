//! The ways in which peers write the same thing: each is read as what it means. SEMS-SIP, item by item.

use bytes::Bytes;
use sems_sip::header::{
    Contact, ContentType, Event, Reason, RecordRoute, ReferTo, SessionExpires, Subject, Via,
};
use sems_sip::{Framed, Framer, HeaderName, Message, Method, Request, StatusCode, Uri};

const OPTIONS: &str = "OPTIONS sip:bob@example.com SIP/2.0\r\n\
    Via: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK7\r\n\
    From: <sip:alice@example.com>;tag=1\r\n\
    To: <sip:bob@example.com>\r\n\
    Call-ID: a@192.0.2.1\r\n\
    CSeq: 1 OPTIONS\r\n\
    Content-Length: 0\r\n\r\n";

/// The message with other lines in front of Content-Length.
fn with(lines: &str) -> String {
    OPTIONS.replace("Content-Length", &format!("{lines}\r\nContent-Length"))
}

fn read(text: impl Into<Vec<u8>>) -> Request {
    match Message::parse(Bytes::from(text.into())) {
        Ok(Message::Request(request)) => request,
        other => panic!("not a request: {other:?}"),
    }
}

fn status_of(text: impl Into<Vec<u8>>) -> u16 {
    let refused = Message::parse(Bytes::from(text.into())).expect_err("it was accepted");
    refused.reply().map_or(0, |reply| reply.status.code())
}

#[test]
fn every_compact_form_is_the_long_one() {
    let forms = [
        ("a", "Accept-Contact"),
        ("b", "Referred-By"),
        ("c", "Content-Type"),
        ("d", "Request-Disposition"),
        ("e", "Content-Encoding"),
        ("f", "From"),
        ("i", "Call-ID"),
        ("j", "Reject-Contact"),
        ("k", "Supported"),
        ("l", "Content-Length"),
        ("m", "Contact"),
        ("o", "Event"),
        ("r", "Refer-To"),
        ("s", "Subject"),
        ("t", "To"),
        ("u", "Allow-Events"),
        ("v", "Via"),
        ("x", "Session-Expires"),
        ("y", "Identity"),
    ];
    for (short, long) in forms {
        assert_eq!(HeaderName::new(short), HeaderName::new(long));
        assert_eq!(HeaderName::new(&short.to_uppercase()).as_str(), long);
    }
    let lines = "c: text/plain\r\no: presence\r\nr: <sip:c@d>\r\nx: 90\r\nm: <sip:a@b>\r\ns: Hi";
    let compact = read(
        with(lines)
            .replace("Via", "v")
            .replace("From", "f")
            .replace("To:", "t:")
            .replace("Call-ID", "i")
            .replace("Content-Length", "l"),
    );
    assert!(compact.headers.typed::<ContentType>().unwrap().is("text", "plain"));
    assert_eq!(compact.headers.typed::<Event>().unwrap().package, "presence");
    assert_eq!(compact.headers.typed::<ReferTo>().unwrap().uri.to_string(), "sip:c@d");
    assert_eq!(compact.headers.typed::<SessionExpires>().unwrap().secs, 90);
    assert_eq!(compact.headers.typed::<Subject>().unwrap().0, "Hi");
    assert_eq!(compact.headers.call_id().unwrap().0, "a@192.0.2.1");
}

#[test]
fn folded_lines_are_one() {
    let folded = read(with(
        "Subject: I know you\r\n\t are there,\r\n   pick up\r\n \r\nContact:\r\n <sip:a@b>\r\n ;q=0.5",
    ));
    assert_eq!(folded.headers.text(&HeaderName::Subject), Some("I know you are there, pick up"));
    assert_eq!(folded.headers.contact().unwrap().q(), 500);
    let cut = OPTIONS.replace("CSeq: 1 OPTIONS", "CSeq:\r\n 1\r\n\tOPTIONS");
    assert_eq!(read(cut).headers.cseq().unwrap().number, 1);
}

#[test]
fn values_on_one_line_are_those_of_several_lines() {
    let one = read(with("Record-Route: <sip:a;lr>, \"x, y\" <sip:b,c@h;lr> ,,<sip:d;lr>"));
    let many = read(with(
        "Record-Route: <sip:a;lr>\r\nRecord-Route: \"x, y\" <sip:b,c@h;lr>\r\nRecord-Route: <sip:d;lr>",
    ));
    let list = |request: &Request| request.headers.list::<RecordRoute>().unwrap();
    assert_eq!(list(&one), list(&many));
    assert_eq!(list(&one).len(), 3);
    let vias =
        read(OPTIONS.replace("z9hG4bK7", "z9hG4bK7, SIP / 2.0 / TLS [2001:db8::1]:5061 ;branch = z9hG4bK8"));
    assert_eq!(vias.headers.list::<Via>().unwrap()[1].branch(), Some("z9hG4bK8"));
    let tokens = read(with("Supported: 100rel,timer\r\nSupported:\r\nSupported: replaces"));
    assert!(["100rel", "TIMER", "replaces"].iter().all(|option| tokens.headers.supports(option)));
}

#[test]
fn lines_may_end_with_lf_alone_and_bare_line_ends_come_before_a_message() {
    assert_eq!(read(with("Subject: x").replace("\r\n", "\n")).headers, read(with("Subject: x")).headers);
    assert_eq!(read(format!("\r\n\r\n\n{OPTIONS}")).headers, read(OPTIONS).headers);
    assert_eq!(status_of(with("Subject: a\rb")), 400, "a carriage return alone ends nothing");
}

#[test]
fn escaped_and_quoted_parts_are_kept_as_written_and_read_as_meant() {
    let request = read(with(
        "Reason: SIP;cause=200;text=\"a; b \\\"c\\\"\"\r\nContact: \"\\\"Bob\\\\\" <sip:b%6fb@h>;x=\"<,;>\";q=0.1",
    ));
    assert_eq!(request.headers.typed::<Reason>().unwrap().text(), Some("a; b \\\"c\\\""));
    let contacts = request.headers.list::<Contact>().unwrap();
    let contact = contacts[0].address().unwrap();
    assert_eq!((contacts.len(), contact.name.as_deref(), contacts[0].q()), (1, Some("\"Bob\\"), 100));
    assert_eq!((contact.uri.raw_user(), contact.uri.user().as_deref()), (Some("b%6fb"), Some("bob")));
    assert_eq!(contact.params.get("x"), Some("<,;>"));
}

#[test]
fn bytes_that_are_no_text_are_kept_and_hide_nothing() {
    let mut bytes = with("Subject: caf?\r\nX-Odd: ??").into_bytes();
    for byte in &mut bytes {
        if *byte == b'?' {
            *byte = 0xe9;
        }
    }
    let request = read(bytes.clone());
    assert_eq!(request.headers.get(&HeaderName::Subject), Some(&b"caf\xe9"[..]));
    assert_eq!(request.headers.get(&HeaderName::new("x-odd")), Some(&b"\xe9\xe9"[..]));
    assert_eq!(request.headers.len(), 8);
    assert_eq!(request.to_bytes(), bytes);
}

#[test]
fn a_telephone_number_may_stand_wherever_a_uri_stands() {
    let text = OPTIONS
        .replace("sip:bob@example.com SIP", "tel:+1-201-555-0123;phone-context=x SIP")
        .replace("<sip:alice@example.com>", "\"A\" <tel:7042;phone-context=example.com>")
        .replace("<sip:bob@example.com>", "tel:+358-555-1234567;tag=a");
    let request = read(text);
    assert_eq!(request.uri.user().as_deref(), Some("+12015550123"));
    assert_eq!(request.headers.from().unwrap().uri.param("phone-context"), Some("example.com"));
    let to = request.headers.to().unwrap();
    assert_eq!((to.uri.user().as_deref(), to.tag()), (Some("+3585551234567"), Some("a")));
}

#[test]
fn unknown_methods_and_schemes_are_read_so_that_they_can_be_refused() {
    let request = read(OPTIONS.replace("OPTIONS", "FROB.nicate"));
    assert_eq!(request.method, Method::Other("FROB.nicate".into()));
    assert_eq!(read(OPTIONS.replace("OPTIONS", "invite")).method, Method::Other("invite".into()));
    let request = read(OPTIONS.replace("sip:bob@example.com SIP", "http://example.com/a?b=c;d SIP"));
    assert_eq!(request.uri.scheme(), "http");
    assert!(matches!(request.uri, Uri::Other(_)));
    assert_eq!(request.response(StatusCode::UNSUPPORTED_URI_SCHEME, Some("t")).status.code(), 416);
}

#[test]
fn a_body_is_any_bytes() {
    let body: Vec<u8> = (0..=255).chain(*b"\r\n\r\nSIP/2.0 200 OK\r\n\0").collect();
    let head = with("Content-Type: application/octet-stream");
    let mut bytes = head.replace("Length: 0", &format!("Length: {}", body.len())).into_bytes();
    bytes.extend_from_slice(&body);
    let request = read(bytes.clone());
    assert_eq!(request.body, body);
    assert_eq!(request.to_bytes(), bytes);
}

#[test]
fn the_length_rules_over_the_body() {
    let sized = |lines: &str, body: &str| OPTIONS.replace("Content-Length: 0\r\n", lines) + body;
    assert_eq!(read(sized("Content-Length: 3\r\n", "abcdef")).body, "abc", "what is behind is cut off");
    assert_eq!(read(sized("", "abcdef")).body, "abcdef", "without it the datagram is the body");
    assert_eq!(read(sized("Content-Length: 3\r\nl: 3\r\n", "abc")).body, "abc");
    for wrong in
        ["Content-Length: 4\r\n", "Content-Length: 3\r\nl: 2\r\n", "l: -1\r\n", "l: 3 3\r\n", "l:\r\n"]
    {
        assert_eq!(status_of(sized(wrong, "abc")), 400, "{wrong}");
    }
}

#[test]
fn a_stream_may_come_a_byte_at_a_time() {
    let folded = with("c: text/plain").replace("Content-Length: 0", "l \t:\r\n 5") + "a\r\n\r\n";
    let lf = OPTIONS.replace("\r\n", "\n");
    let stream = format!("{folded}\r\n\r\n{lf}{OPTIONS}");
    let (mut framer, mut frames) = (Framer::default(), Vec::new());
    for byte in stream.bytes() {
        framer.push(&[byte]);
        while let Some(frame) = framer.next_frame().unwrap() {
            frames.push(frame);
        }
    }
    frames.retain(|frame| *frame != Framed::Pong);
    let message = |text: &str| Framed::Message(Bytes::copy_from_slice(text.as_bytes()));
    assert_eq!(frames, [message(&folded), Framed::Ping, message(&lf), message(OPTIONS)]);
}
