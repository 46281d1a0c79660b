//! A foreign reader: what we send and `rsip` can represent is read there to the same.

use bytes::Bytes;
use rsip::prelude::*;
use sems_sip::header::{CSeq, Contact, From, NameAddr, Reason, RecordRoute, To, Transport, Via};
use sems_sip::{Header, HeaderName, Host, Message, Method, Request, StatusCode, Uri};

fn uri(text: &str) -> Uri {
    text.parse().expect("a URI")
}

fn request(method: Method) -> Request {
    let mut request = Request::new(method.clone(), uri("sip:bob@example.com;transport=TCP"));
    let headers = &mut request.headers;
    headers.push_typed(&Via::new(Transport::Udp, Host::V4([192, 0, 2, 1].into()), Some(5062), "z9hG4bK7"));
    headers.push_typed(&RecordRoute::from(uri("sip:proxy.example.com;lr")));
    headers.push_typed(&From(
        NameAddr::new(uri("sip:alice@example.com")).with_name("Alice").with_param("tag", "17"),
    ));
    headers.push_typed(&To::from(uri("sip:bob@example.com")));
    headers.push(HeaderName::CallId, "a84b4c76e66710");
    headers.push_typed(&CSeq { number: 4711, method });
    headers.push_typed(&Contact::new(uri("sip:alice@192.0.2.1:5062")));
    headers.push(HeaderName::MaxForwards, "70");
    headers.push_typed(&Reason::new("Q.850", 16, "Normal"));
    headers.push(HeaderName::new("X-Own"), "yes: it is");
    request.body = Bytes::from_static(b"v=0\r\n\xff\x00");
    request
}

fn same_headers(ours: &sems_sip::Headers, theirs: &rsip::Headers) {
    let theirs: Vec<String> = theirs.iter().map(ToString::to_string).collect();
    for field in ours {
        let line = format!("{}: {}", field.name, String::from_utf8_lossy(field.value));
        assert!(theirs.contains(&line), "{line} is not among {theirs:?}");
    }
}

#[test]
fn a_request_of_ours_is_read_to_the_same() {
    for method in
        [Method::Invite, Method::Bye, Method::Register, Method::Refer, Method::Prack, Method::Update]
    {
        let ours = request(method.clone());
        let theirs = rsip::Request::try_from(&*ours.to_bytes()).unwrap();
        assert_eq!(theirs.method.to_string(), method.as_str());
        assert_eq!(theirs.uri.to_string(), ours.uri.to_string());
        assert_eq!(theirs.body, ours.body);
        let via = theirs.via_header().unwrap().typed().unwrap();
        assert_eq!(
            via.branch().map(|b| b.value().to_owned()).as_deref(),
            ours.headers.top_via().unwrap().branch()
        );
        let from = theirs.from_header().unwrap().typed().unwrap();
        assert_eq!(from.tag().map(|t| t.value().to_owned()).as_deref(), ours.headers.from().unwrap().tag());
        assert_eq!(from.display_name.as_deref(), Some("\"Alice\""));
        let cseq = theirs.cseq_header().unwrap().typed().unwrap();
        assert_eq!((cseq.seq, cseq.method.to_string()), (4711, method.to_string()));
        same_headers(&ours.headers, &theirs.headers);
    }
}

#[test]
fn a_response_of_ours_is_read_to_the_same() {
    for status in
        [StatusCode::TRYING, StatusCode::RINGING, StatusCode::OK, StatusCode::BUSY_HERE, StatusCode::DECLINE]
    {
        let ours = request(Method::Invite).response(status, Some("99"));
        let theirs = rsip::Response::try_from(&*ours.to_bytes()).unwrap();
        assert_eq!(u16::from(theirs.status_code.clone()), status.code());
        same_headers(&ours.headers, &theirs.headers);
    }
}

#[cfg(feature = "rsip")]
#[test]
fn a_message_goes_there_and_back() {
    let ours = Message::from(request(Method::Invite));
    let theirs = rsip::SipMessage::try_from(&ours).unwrap();
    assert_eq!(Message::try_from(&theirs).unwrap().to_bytes(), ours.to_bytes());
}

#[test]
fn the_name_of_a_header_is_the_one_it_is_sent_with() {
    assert_eq!(Via::NAME.as_str(), "Via");
    let bytes = Message::from(request(Method::Invite)).to_bytes();
    assert!(bytes.windows(9).any(|w| w == b"Call-ID: "));
}
