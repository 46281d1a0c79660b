//! Requests outside of dialogs, and credentials.

use super::{Net, address, call, flow, uri};
use crate::{
    Method,
    endpoint::{Credentials, Event, Invite, LegEvent, OutOfDialog, Reply, RequestId},
    header::NameAddr,
};

const CHALLENGE: &str = "Digest realm=\"here\", nonce=\"n1\", algorithm=SHA-256, qop=\"auth\"";

fn options(credentials: Option<Credentials>) -> OutOfDialog {
    let (alice, bob) = (uri("alice", 0), uri("bob", 1));
    let spec =
        OutOfDialog::new(Method::Options, flow(0, 1), bob.clone(), NameAddr::new(alice), NameAddr::new(bob));
    OutOfDialog { credentials, ..spec }
}

fn alice() -> Option<Credentials> {
    Some(Credentials { user: "alice".to_owned(), password: "secret".to_owned() })
}

fn asked(net: &mut Net) -> RequestId {
    let id = net.events[1].iter().find_map(|event| match event {
        Event::Request { id, .. } => Some(*id),
        _ => None,
    });
    net.events[1].clear();
    id.expect("a request")
}

fn status(net: &Net) -> Option<u16> {
    net.events[0].iter().find_map(|event| match event {
        Event::Response { response, .. } => Some(response.as_ref().map_or(0, |r| r.status.code())),
        _ => None,
    })
}

#[test]
fn a_request_is_answered_with_headers_and_body() {
    let mut net = Net::pair();
    net.at(0, |end, now| end.request(now, options(None)));
    net.run_ms(20);
    let id = asked(&mut net);
    net.at(1, |end, now| end.respond(now, id, Reply::new(200).header("Accept", "application/sdp")));
    net.settle();
    assert_eq!(status(&net), Some(200));
    let answer = net.last(1, "SIP/2.0 200");
    for header in ["Accept: application/sdp", "Allow: INVITE", "Supported: 100rel"] {
        assert!(answer.contains(header), "{answer}");
    }
    net.assert_nothing_left();
}

#[test]
fn a_request_nobody_answers_ends_in_silence() {
    let mut net = Net::pair();
    net.at(0, |end, now| end.request(now, options(None)));
    net.settle();
    assert_eq!(status(&net), Some(0));
    assert_eq!(net.wire.iter().filter(|(end, _)| *end == 1).count(), 0);
    net.assert_nothing_left();
}

#[test]
fn a_challenge_is_answered_once() {
    let mut net = Net::pair();
    net.at(0, |end, now| end.request(now, options(alice())));
    for _ in 0..2 {
        net.run_ms(20);
        let id = asked(&mut net);
        let reply = Reply::new(401).header("WWW-Authenticate", CHALLENGE);
        net.at(1, |end, now| end.respond(now, id, reply));
    }
    net.settle();
    assert!(net.last(0, "OPTIONS").contains("Authorization: Digest username=\"alice\""));
    assert!(net.last(0, "OPTIONS").contains("CSeq: 2 OPTIONS"));
    assert_eq!(status(&net), Some(401));
    net.assert_nothing_left();
}

#[test]
fn a_challenged_invite_is_sent_again_and_goes_through() {
    let mut net = Net::pair();
    net.at(0, |end, now| end.invite(now, Invite { credentials: alice(), ..call(0, 1) }));
    net.run_ms(20);
    let first = net.incoming(1);
    let reply = Reply::new(407).header("Proxy-Authenticate", CHALLENGE);
    net.at(1, |end, now| end.reject(now, first, reply));
    net.run_ms(50);
    let second = net.incoming(1);
    assert_ne!(first, second);
    assert!(net.last(0, "INVITE").contains("Proxy-Authorization: Digest"));
    net.at(1, |end, now| end.accept(now, second, None));
    net.run_ms(50);
    assert!(net.saw(0, |e| matches!(e, LegEvent::Answered { .. })));
    assert!(!net.saw(0, |e| matches!(e, LegEvent::Failed { .. })));
}

#[test]
fn noise_is_survived() {
    let mut net = Net::pair();
    for text in ["", "\n\n", "x", "INVITE", "SIP/2.0 200 OK\n\n", "INVITE sip:a SIP/2.0\n\n", "\0\0\0\0"] {
        net.inject(1, address(0), text);
    }
    net.assert_nothing_left();
    assert!(net.events[1].is_empty());
}
