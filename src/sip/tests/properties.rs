//! What holds for every input: nothing panics, what is printed is read to the same, and streams are cut where
//! messages end.

use bytes::Bytes;
use proptest::prelude::*;
use sems_sip::header::{
    Authorization, CSeq, CallId, Contact, ContentType, Date, Diversion, Event, From, HistoryInfo,
    PAssertedIdentity, RAck, Reason, RecordRoute, ReferTo, Replaces, Route, SessionExpires,
    SubscriptionState, To, Transport, Via, WwwAuthenticate,
};
use sems_sip::{
    Framed, Framer, Header, HeaderName, Headers, Host, Message, Method, Request, Response, StatusCode, Text,
    Uri,
};

const INVITE: &[u8] = include_bytes!("../benches/invite.sip");

/// Asks for everything a message can be asked for.
fn read_everything(headers: &Headers) {
    fn each<T: Header>(headers: &Headers) {
        let _ = headers.optional::<T>();
        for header in headers.list::<T>().unwrap_or_default() {
            let _ = header.to_string();
        }
    }
    each::<Via>(headers);
    each::<From>(headers);
    each::<To>(headers);
    each::<Contact>(headers);
    each::<Route>(headers);
    each::<RecordRoute>(headers);
    each::<CSeq>(headers);
    each::<Diversion>(headers);
    each::<HistoryInfo>(headers);
    each::<PAssertedIdentity>(headers);
    each::<Authorization>(headers);
    each::<WwwAuthenticate>(headers);
    each::<Date>(headers);
    each::<ContentType>(headers);
    each::<SessionExpires>(headers);
}

fn parse_and_use(bytes: Vec<u8>) {
    match Message::parse(Bytes::from(bytes)) {
        Ok(message) => {
            read_everything(message.headers());
            let printed = message.to_bytes();
            let again = Message::parse(printed.clone()).expect("what is printed can be read");
            assert_eq!(again.to_bytes(), printed);
            if let Message::Request(request) = &message {
                let _ = request.response(StatusCode::OK, Some("tag"));
                assert!(request.uri.is_equivalent(&request.uri));
            }
        }
        Err(refused) => {
            if let Some(reply) = refused.reply() {
                let _ = reply.to_bytes();
            }
        }
    }
}

/// One value through the parser of every typed header.
fn parse_value(value: &Text) {
    fn one<T: Header>(value: &Text) {
        if let Ok(header) = T::parse(value) {
            let printed = Text::from(header.to_string());
            let again = T::parse(&printed).unwrap_or_else(|e| panic!("{printed}: {e}"));
            assert_eq!(again.to_string(), printed.as_str());
        }
    }
    one::<Via>(value);
    one::<From>(value);
    one::<Contact>(value);
    one::<CSeq>(value);
    one::<CallId>(value);
    one::<ContentType>(value);
    one::<Date>(value);
    one::<Event>(value);
    one::<SubscriptionState>(value);
    one::<RAck>(value);
    one::<Reason>(value);
    one::<ReferTo>(value);
    one::<Replaces>(value);
    one::<SessionExpires>(value);
    one::<Authorization>(value);
    one::<WwwAuthenticate>(value);
}

fn host() -> impl Strategy<Value = Host> {
    prop_oneof![
        "[a-z]([a-z0-9-]{0,8}[a-z0-9])?(\\.[a-z]{2,5}){0,2}".prop_map(|name| Host::Name(Text::from(name))),
        any::<[u8; 4]>().prop_map(|ip| Host::V4(ip.into())),
        any::<[u16; 8]>().prop_map(|ip| Host::V6(ip.into())),
    ]
}

fn uri() -> impl Strategy<Value = Uri> {
    (host(), proptest::option::of("\\PC{1,12}"), proptest::option::of(any::<u16>()), any::<bool>()).prop_map(
        |(host, user, port, lr)| {
            let mut uri = Uri::sip(host);
            if let Some(user) = user {
                uri = uri.with_user(&user);
            }
            if let Some(port) = port {
                uri = uri.with_port(port);
            }
            if lr { uri.with_param("lr", None).with_param("transport", Some("tcp")) } else { uri }
        },
    )
}

prop_compose! {
    fn request()(
        uri in uri(), from in uri(), to in uri(), contact in uri(), via in host(),
        name in "\\PC{0,12}", number in 0u32..1 << 31, extra in "\\PC{0,20}",
        body in proptest::collection::vec(any::<u8>(), 0..200),
    ) -> Request {
        let mut request = Request::new(Method::Invite, uri);
        let headers = &mut request.headers;
        headers.push_typed(&Via::new(Transport::Tcp, via, Some(5060), "z9hG4bKx"));
        headers.push_typed(&From(sems_sip::header::NameAddr::new(from).with_name(name).with_param("tag", "1")));
        headers.push_typed(&To::from(to));
        headers.push_typed(&Contact::new(contact));
        headers.push_typed(&CallId(Text::from_static("a@b")));
        headers.push_typed(&CSeq { number, method: Method::Invite });
        headers.push(HeaderName::new("X-Extra"), extra.trim());
        request.body = Bytes::from(body);
        request
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn random_bytes_do_not_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        parse_and_use(bytes);
    }

    #[test]
    fn a_mutated_message_does_not_panic(
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>(), 0u8..3), 1..12)
    ) {
        let mut bytes = INVITE.to_vec();
        for (at, byte, kind) in changes {
            let at = at.index(bytes.len());
            // Half of the bytes written are those that have a meaning.
            let byte = if byte & 1 == 0 { b"\r\n:;,<>\"\\ =@[]%?"[usize::from(byte >> 1) % 16] } else { byte };
            match kind {
                0 => bytes[at] = byte,
                1 => bytes.insert(at, byte),
                _ => { bytes.remove(at); }
            }
        }
        parse_and_use(bytes);
    }

    #[test]
    fn a_typed_value_prints_as_it_reads(value in "[a-zA-Z0-9 ;=,<>\"\\\\@:/.%\\[\\]?*-]{0,40}|(Digest |sip:|SIP/2.0/UDP )[a-z ;=,<>\"@:]{0,30}") {
        parse_value(&Text::from(value.trim()));
    }

    #[test]
    fn a_built_request_reads_the_same(request in request()) {
        let printed = request.to_bytes();
        let Ok(Message::Request(read)) = Message::parse(printed.clone()) else {
            panic!("unread: {printed:?}: {:?}", Message::parse(printed.clone()));
        };
        prop_assert_eq!(&read.uri, &request.uri);
        prop_assert_eq!(&read.body, &request.body);
        prop_assert_eq!(read.headers.from().ok(), request.headers.from().ok());
        prop_assert_eq!(read.to_bytes(), printed);
    }

    #[test]
    fn a_stream_is_cut_where_messages_end(
        requests in proptest::collection::vec(request(), 1..5),
        cuts in proptest::collection::vec(1usize..400, 1..30),
    ) {
        let messages: Vec<Bytes> = requests.iter().map(Request::to_bytes).collect();
        let stream = messages.concat();
        let (mut framer, mut out, mut rest) = (Framer::default(), Vec::new(), &stream[..]);
        for cut in cuts.iter().cycle() {
            if rest.is_empty() { break; }
            let (chunk, tail) = rest.split_at(rest.len().min(*cut));
            framer.push(chunk);
            rest = tail;
            while let Some(frame) = framer.next_frame().unwrap() {
                let Framed::Message(message) = frame else { panic!("{frame:?}") };
                out.push(message);
            }
        }
        prop_assert_eq!(out, messages);
    }

    #[test]
    fn a_framer_survives_any_stream(chunks in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..60), 0..40)) {
        let mut framer = Framer::new(500);
        'stream: for chunk in chunks {
            framer.push(&chunk);
            loop {
                match framer.next_frame() {
                    Ok(Some(Framed::Message(message))) => assert!(message.len() <= 500),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => break 'stream,
                }
            }
        }
    }

    #[test]
    fn a_uri_reads_as_it_prints(uri in uri()) {
        let again: Uri = uri.to_string().parse().unwrap();
        prop_assert_eq!(&again, &uri);
        prop_assert!(again.is_equivalent(&uri));
        prop_assert_eq!(again.user(), uri.user());
    }
}

#[test]
fn a_long_list_costs_time_in_proportion() {
    let value = "<sip:a@b>,".repeat(6000);
    let mut response = Response::new(StatusCode::OK);
    response.headers.push(HeaderName::Contact, value);
    assert_eq!(response.headers.list::<Contact>().unwrap().len(), 6000);
}
