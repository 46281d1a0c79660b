//! Readers: what they accept they print so that it reads the same.

use std::net::{IpAddr, Ipv4Addr};

use bytes::Bytes;
use sems_media::{Capabilities, Direction, LocalMedia};
use sems_sip::header::{
    Authorization, Contact, Diversion, Event, From, HistoryInfo, RAck, Reason, ReferTo, Replaces, Route,
    SessionExpires, SubscriptionState, To, Via, WwwAuthenticate,
};
use sems_sip::{Framed, Framer, Header, Headers, Message, StatusCode, Text, Uri};

/// Asks for everything a message can be asked for.
fn read_all(headers: &Headers) {
    fn each<T: Header>(headers: &Headers) {
        let _ = headers.optional::<T>();
        for header in headers.list::<T>().unwrap_or_default() {
            let _ = header.to_string();
        }
    }
    each::<Via>(headers);
    each::<Contact>(headers);
    each::<Route>(headers);
    each::<Diversion>(headers);
    each::<HistoryInfo>(headers);
    each::<Authorization>(headers);
    each::<WwwAuthenticate>(headers);
    each::<SessionExpires>(headers);
    let _ = (headers.from(), headers.to(), headers.cseq(), headers.call_id());
}

/// One message, as a datagram.
pub fn message(data: &[u8]) {
    match Message::parse(Bytes::copy_from_slice(data)) {
        Ok(message) => {
            read_all(message.headers());
            let printed = message.to_bytes();
            let again = Message::parse(printed.clone()).expect("what is printed can be read");
            assert_eq!(again.headers().len(), again.headers().iter().count());
            assert_eq!(again.to_bytes(), printed);
            if let Message::Request(request) = &message {
                let response = request.response(StatusCode::OK, Some("tag")).to_bytes();
                let Ok(Message::Response(response)) = Message::parse(response) else {
                    panic!("the response to what was read can be read")
                };
                assert!(response.headers.to().is_ok_and(|to| to.tag().is_some()));
                assert!(request.uri.is_equivalent(&request.uri));
            }
        }
        Err(refused) => {
            let _ = refused.reply().map(|reply| Message::parse(reply.to_bytes()));
        }
    }
}

/// A stream: the first byte says how it is cut. However it is cut, the same messages come out.
pub fn framing(data: &[u8]) {
    const MAX: usize = 4096;
    let Some((cut, stream)) = data.split_first() else { return };
    let frames = |step: usize| {
        let (mut framer, mut out) = (Framer::new(MAX), Vec::new());
        for chunk in stream.chunks(step) {
            framer.push(chunk);
            loop {
                match framer.next_frame() {
                    Ok(Some(Framed::Message(message))) => {
                        assert!(message.len() <= MAX);
                        out.push(message);
                    }
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(error) => return (out, Some(error)),
                }
            }
        }
        (out, None)
    };
    let (whole, lost) = frames(stream.len().max(1));
    let (pieces, also_lost) = frames(usize::from(*cut) + 1);
    // A message that is too long is noticed sooner or later.
    if lost == also_lost {
        assert_eq!(whole, pieces);
    }
}

/// A URI, and the values of headers.
pub fn uri(data: &[u8]) {
    fn value<T: Header>(text: &Text) {
        if let Ok(header) = T::parse(text) {
            let printed = Text::from(header.to_string());
            let again = T::parse(&printed).unwrap_or_else(|e| panic!("{printed}: {e}"));
            assert_eq!(again.to_string(), printed.as_str());
        }
    }
    let Ok(text) = std::str::from_utf8(data) else { return };
    let text = Text::from(text.trim());
    if let Ok(uri) = Uri::parse(&text) {
        let again: Uri = uri.to_string().parse().expect("a URI that was printed");
        assert_eq!(again, uri);
        assert!(again.is_equivalent(&uri) && uri.is_equivalent(&again));
        assert_eq!(uri.user(), again.user());
    }
    value::<Via>(&text);
    value::<From>(&text);
    value::<To>(&text);
    value::<Contact>(&text);
    value::<Event>(&text);
    value::<RAck>(&text);
    value::<Reason>(&text);
    value::<ReferTo>(&text);
    value::<Replaces>(&text);
    value::<SessionExpires>(&text);
    value::<SubscriptionState>(&text);
    value::<Authorization>(&text);
    value::<WwwAuthenticate>(&text);
}

/// A session description, as an offer and as an answer.
pub fn sdp(data: &[u8]) {
    let local = LocalMedia {
        address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 1)),
        port: 10_000,
        session_id: 1,
        version: 1,
        rtcp_mux: true,
        capabilities: Capabilities::default(),
    };
    if let Ok((ours, answer)) = sems_media::answer(data, &local, Direction::SendRecv, None) {
        // What we answer has a stream for each of the offer, and we can read it.
        assert!(!ours.receive.is_empty());
        let _ = sems_media::accept(&answer, &local);
    }
    let _ = sems_media::accept(data, &local);
}
