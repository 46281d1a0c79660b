//! Changes of a session, glare, requests within the dialog, forks.

use bytes::Bytes;

use super::{ANSWER, Net, OFFER, address, call};
use crate::{
    Method,
    endpoint::{EndReason, Event, Invite, LegEvent, Reply},
};

const HOLD: &[u8] = b"v=0 hold";

fn bytes(text: &'static [u8]) -> Bytes {
    Bytes::from_static(text)
}

#[test]
fn hold_and_resume() {
    let mut net = Net::pair();
    let (caller, callee) = net.connect();
    for (end, leg, other) in [(0, caller, callee), (1, callee, caller)] {
        net.at(end, |e, now| e.modify(now, leg, bytes(HOLD)));
        net.run_ms(30);
        assert!(
            net.saw(1 - end, |e| matches!(e, LegEvent::Offer { body: Some(b), update: false } if b == HOLD))
        );
        net.at(1 - end, |e, now| e.accept(now, other, Some(bytes(ANSWER))));
        net.run_ms(50);
        assert!(net.saw(end, |e| matches!(e, LegEvent::Answer { body: Some(b) } if b == ANSWER)));
        assert!(net.saw(1 - end, |e| matches!(e, LegEvent::Acked { .. })));
        net.forget();
    }
}

#[test]
fn a_refused_change_leaves_the_session_as_it_was() {
    let mut net = Net::pair();
    let (caller, callee) = net.connect();
    net.at(0, |end, now| end.modify(now, caller, bytes(HOLD)));
    net.run_ms(30);
    net.at(1, |end, now| end.reject(now, callee, Reply::new(488)));
    net.run_ms(100);
    assert!(net.saw(0, |e| matches!(e, LegEvent::ModifyFailed { status: 488 })));
    assert_eq!((net.ends[0].counts().legs, net.ends[1].counts().legs), (1, 1));
}

#[test]
fn glare_is_resolved_by_trying_again() {
    let mut net = Net::pair();
    let (caller, callee) = net.connect();
    net.at(0, |end, now| end.modify(now, caller, bytes(OFFER)));
    net.at(1, |end, now| end.modify(now, callee, bytes(HOLD)));
    net.run_ms(30);
    assert_eq!((net.sent(0, "SIP/2.0 491"), net.sent(1, "SIP/2.0 491")), (1, 1));
    for _ in 0..100 {
        net.run_ms(100);
        for (end, leg) in [(0, caller), (1, callee)] {
            if net.saw(end, |e| matches!(e, LegEvent::Offer { .. })) {
                net.events[end].retain(|e| !matches!(e, Event::Leg { event: LegEvent::Offer { .. }, .. }));
                net.at(end, |e, now| e.accept(now, leg, Some(bytes(ANSWER))));
            }
        }
    }
    for end in 0..2 {
        assert!(net.saw(end, |e| matches!(e, LegEvent::Answer { .. })), "end {end}");
    }
}

#[test]
fn a_change_that_meets_481_ends_the_call() {
    let mut net = Net::pair();
    let (caller, _) = net.connect();
    net.ends[1] = Net::pair().ends.remove(1);
    net.at(0, |end, now| end.modify(now, caller, bytes(HOLD)));
    net.run_ms(100);
    assert!(net.saw(0, |e| matches!(e, LegEvent::Ended { why: EndReason::Unreachable })));
    net.settle();
    net.assert_nothing_left();
}

#[test]
fn an_info_is_answered_within_the_dialog_and_an_overtaken_one_refused() {
    let mut net = Net::pair();
    let (caller, _) = net.connect();
    let dtmf = ("application/dtmf-relay".to_owned(), Bytes::from_static(b"Signal=5"));
    let info = net.at(0, |end, now| end.request_in(now, caller, Method::Info, Vec::new(), Some(dtmf)));
    net.run_ms(30);
    let id = net.leg_events(1).iter().find_map(|event| match event {
        LegEvent::Request { id, request } if request.body == b"Signal=5"[..] => Some(*id),
        _ => None,
    });
    net.at(1, |end, now| end.respond(now, id.unwrap(), Reply::new(200)));
    net.run_ms(30);
    let answered = net.events[0].iter().any(|event| match event {
        Event::Response { id, response: Some(response) } => *id == info && response.status.code() == 200,
        _ => false,
    });
    assert!(answered);
    let stale = net.last(0, "INFO").replace("branch=z9hG4bK", "branch=z9hG4bKx").replace("\r\n", "\n");
    net.inject(1, address(0), &stale);
    assert!(net.last(1, "SIP/2.0 500").contains("CSeq: 2 INFO"));
}

#[test]
fn an_info_that_meets_481_ends_the_call() {
    let mut net = Net::pair();
    let (caller, _) = net.connect();
    net.ends[1] = Net::pair().ends.remove(1);
    net.at(0, |end, now| end.request_in(now, caller, Method::Info, Vec::new(), None));
    net.run_ms(100);
    assert!(net.saw(0, |e| matches!(e, LegEvent::Ended { why: EndReason::Unreachable })));
}

#[test]
fn of_two_forks_that_answer_the_second_is_hung_up() {
    let mut net = Net::pair();
    let spec = Invite { body: Some(bytes(OFFER)), ..call(0, 9) };
    net.at(0, |end, now| end.invite(now, spec));
    let invite = net.last(0, "INVITE").to_owned();
    let copied: String = invite
        .lines()
        .filter(|line| ["Via", "From", "Call-ID", "CSeq"].iter().any(|name| line.starts_with(name)))
        .map(|line| format!("{line}\n"))
        .collect();
    let ok = |tag: &str| {
        let to =
            format!("To: <sip:bob@10.0.0.10>;tag={tag}\nContact: <sip:bob@10.0.0.10:{}>\n", tag.len() + 5060);
        format!("SIP/2.0 200 OK\n{copied}{to}Content-Length: 0\n\n")
    };
    net.inject(0, address(9), &ok("a"));
    net.inject(0, address(9), &ok("bb"));
    net.inject(0, address(9), &ok("bb"));
    let answers = net.leg_events(0).iter().filter(|e| matches!(e, LegEvent::Answered { .. })).count();
    assert_eq!((answers, net.sent(0, "ACK"), net.sent(0, "BYE")), (1, 3, 1));
    assert!(net.last(0, "BYE").contains("tag=bb"));
}
