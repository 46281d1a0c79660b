//! Calls from their beginning to their end.

use std::time::Duration;

use bytes::Bytes;

use super::{ANSWER, Net, OFFER, call};
use crate::{
    HeaderName,
    endpoint::{EndReason, Event, Invite, LegEvent, Reply},
};

fn answer() -> Option<Bytes> {
    Some(Bytes::from_static(ANSWER))
}

#[test]
fn a_call_with_early_offer_is_answered_and_hung_up_by_the_caller() {
    let mut net = Net::pair();
    let (caller, callee) = net.ring(Some(OFFER));
    net.at(1, |end, now| end.provisional(now, callee, 180, None));
    net.run_ms(20);
    assert!(net.saw(0, |e| matches!(e, LegEvent::Provisional { response } if response.status.code() == 180)));
    net.at(1, |end, now| end.accept(now, callee, answer()));
    net.run_ms(100);
    assert!(net.saw(0, |e| matches!(e, LegEvent::Answered { response } if response.body == ANSWER)));
    assert!(net.saw(1, |e| matches!(e, LegEvent::Acked { body: None })));
    net.at(0, |end, now| end.end(now, caller, Some("Q.850;cause=16".to_owned())));
    net.run_ms(50);
    let reason = net.leg_events(1).iter().find_map(|event| match event {
        LegEvent::Bye { request, .. } => request.headers.text(&HeaderName::Reason),
        _ => None,
    });
    assert_eq!(reason, Some("Q.850;cause=16"));
    net.answer_byes(1);
    net.settle();
    assert!(net.saw(0, |e| matches!(e, LegEvent::Ended { why: EndReason::Local })));
    net.assert_nothing_left();
}

#[test]
fn a_call_with_late_offer_carries_the_answer_in_the_ack() {
    let mut net = Net::pair();
    let (caller, callee) = net.ring(None);
    net.at(1, |end, now| end.accept(now, callee, Some(Bytes::from_static(OFFER))));
    net.run_ms(50);
    assert_eq!(net.sent(0, "ACK"), 0);
    net.at(0, |end, now| end.ack(now, caller, answer()));
    net.run_ms(50);
    assert!(net.saw(1, |e| matches!(e, LegEvent::Acked { body: Some(body) } if body == ANSWER)));
    net.at(1, |end, now| end.end(now, callee, None));
    net.run_ms(50);
    net.answer_byes(0);
    net.settle();
    net.assert_nothing_left();
}

#[test]
fn a_refused_call_is_gone_at_both_ends() {
    let mut net = Net::pair();
    let (_, callee) = net.ring(Some(OFFER));
    net.at(1, |end, now| end.reject(now, callee, Reply::new(486).header("Retry-After", "30")));
    net.settle();
    let refused = net.leg_events(0).iter().any(|event| match event {
        LegEvent::Failed { response: Some(response) } => {
            response.status.code() == 486 && response.headers.text(&HeaderName::RetryAfter) == Some("30")
        }
        _ => false,
    });
    assert!(refused);
    assert_eq!(net.sent(0, "ACK"), 1);
    net.assert_nothing_left();
}

#[test]
fn a_cancelled_call_is_answered_487() {
    let mut net = Net::pair();
    let (caller, _) = net.ring(Some(OFFER));
    net.at(0, |end, now| end.end(now, caller, Some("SIP;cause=200".to_owned())));
    net.settle();
    assert!(net.saw(1, |e| matches!(e, LegEvent::Cancelled { reason: Some(r) } if r == "SIP;cause=200")));
    assert_eq!(net.sent(1, "SIP/2.0 487"), 1);
    net.assert_nothing_left();
}

#[test]
fn a_cancel_waits_for_the_first_provisional_response() {
    let mut net = Net::pair();
    net.losses.push(("SIP/2.0 100", 2));
    let caller = net.at(0, |end, now| end.invite(now, call(0, 1)));
    net.at(0, |end, now| end.end(now, caller, None));
    net.run_ms(400);
    assert_eq!(net.sent(0, "CANCEL"), 0);
    net.settle();
    assert_eq!(net.sent(0, "CANCEL"), 1);
    assert!(net.saw(1, |e| matches!(e, LegEvent::Cancelled { .. })));
    net.assert_nothing_left();
}

/// SER-13
#[test]
fn a_200_that_crosses_the_cancel_is_acknowledged_and_hung_up() {
    let mut net = Net::pair();
    let (caller, callee) = net.ring(Some(OFFER));
    net.at(0, |end, now| end.end(now, caller, None));
    net.at(1, |end, now| end.accept(now, callee, answer()));
    net.run_ms(100);
    assert_eq!((net.sent(0, "ACK"), net.sent(0, "BYE")), (1, 1));
    assert!(!net.saw(0, |e| matches!(e, LegEvent::Answered { .. })));
    net.answer_byes(1);
    net.settle();
    net.assert_nothing_left();
}

#[test]
fn a_callee_that_hangs_up_at_once_waits_for_the_ack() {
    let mut net = Net::pair();
    net.losses.push(("ACK", 1));
    let (_, callee) = net.ring(Some(OFFER));
    net.at(1, |end, now| end.accept(now, callee, answer()));
    net.at(1, |end, now| end.end(now, callee, None));
    net.run_ms(300);
    assert_eq!(net.sent(1, "BYE"), 0);
    net.run_ms(400);
    assert_eq!((net.sent(1, "SIP/2.0 200"), net.sent(1, "BYE")), (2, 1));
    net.answer_byes(0);
    net.settle();
    net.assert_nothing_left();
}

#[test]
fn a_2xx_without_ack_is_hung_up_after_32_seconds() {
    let mut net = Net::pair();
    net.losses.push(("ACK", u32::MAX));
    let (_, callee) = net.ring(Some(OFFER));
    net.at(1, |end, now| end.accept(now, callee, answer()));
    net.run_ms(31_900);
    assert!(!net.saw(1, |e| matches!(e, LegEvent::Ended { .. })));
    net.run_ms(1000);
    assert!(net.saw(1, |e| matches!(e, LegEvent::Ended { why: EndReason::NoAck })));
    net.answer_byes(0);
    net.settle();
    net.assert_nothing_left();
}

#[test]
fn nobody_there_is_a_failure_after_32_seconds() {
    let mut net = Net::pair();
    net.at(0, |end, now| end.invite(now, call(0, 9)));
    net.run_ms(31_900);
    assert!(net.events[0].is_empty());
    net.run_ms(200);
    assert!(net.saw(0, |e| matches!(e, LegEvent::Failed { response: None })));
    assert_eq!(net.sent(0, "INVITE"), 7);
    net.assert_nothing_left();
}

#[test]
fn both_hang_up_at_once() {
    let mut net = Net::pair();
    let (caller, callee) = net.connect();
    net.at(0, |end, now| end.end(now, caller, None));
    net.at(1, |end, now| end.end(now, callee, None));
    net.settle();
    assert_eq!((net.sent(0, "SIP/2.0 200"), net.sent(1, "SIP/2.0 200")), (1, 1));
    net.assert_nothing_left();
}

#[test]
fn a_bye_that_is_held_is_answered_once_and_repeated() {
    let mut net = Net::pair();
    let (caller, _) = net.connect();
    net.at(0, |end, now| end.end(now, caller, None));
    net.run_ms(4000);
    assert!(net.sent(0, "BYE") > 2);
    let byes = net.leg_events(1).iter().filter(|e| matches!(e, LegEvent::Bye { .. })).count();
    assert_eq!(byes, 1);
    net.losses.push(("SIP/2.0 200", 1));
    net.answer_byes(1);
    net.settle();
    assert_eq!(net.sent(1, "SIP/2.0 200"), 2);
    net.assert_nothing_left();
}

#[test]
fn a_bye_that_crosses_our_end_is_answered_at_once() {
    let mut net = Net::pair();
    let (caller, callee) = net.connect();
    net.at(0, |end, now| end.end(now, caller, None));
    // The BYE is here; before anybody looks at it, this side ends the call as well.
    net.run_ms(20);
    assert!(net.saw(1, |e| matches!(e, LegEvent::Bye { .. })));
    net.at(1, |end, now| end.end(now, callee, None));
    net.run_ms(50);
    assert_eq!((net.sent(1, "SIP/2.0 200"), net.sent(1, "BYE"), net.sent(0, "BYE")), (1, 0, 1));
    net.settle();
    net.assert_nothing_left();
}

#[test]
fn a_bye_nobody_answers_is_answered_by_the_endpoint() {
    let mut net = Net::pair();
    let (caller, _) = net.connect();
    net.at(0, |end, now| end.end(now, caller, None));
    net.run_ms(9_900);
    assert_eq!(net.sent(1, "SIP/2.0 200"), 0);
    net.settle();
    assert_eq!(net.sent(1, "SIP/2.0 200"), 1);
    net.assert_nothing_left();
}

#[test]
fn the_tag_is_the_same_in_every_response_and_retransmissions_open_nothing() {
    let mut net = Net::pair();
    net.losses.push(("SIP/2.0 100", 1));
    let (_, callee) = net.ring(Some(OFFER));
    net.run_ms(600);
    assert_eq!(net.sent(0, "INVITE"), 2);
    net.at(1, |end, now| end.provisional(now, callee, 180, None));
    net.at(1, |end, now| end.accept(now, callee, answer()));
    let to = |text: &str| text.lines().find(|line| line.starts_with("To:")).map(str::to_owned);
    assert_eq!(to(net.last(1, "SIP/2.0 180")), to(net.last(1, "SIP/2.0 200")));
    net.run_ms(100);
    let calls = net.events[1].iter().filter(|e| matches!(e, Event::Incoming { .. })).count();
    assert_eq!(calls, 1);
}

#[test]
fn a_flow_that_breaks_fails_the_call() {
    let mut net = Net::pair();
    net.at(0, |end, now| end.invite(now, Invite { body: None, ..call(0, 1) }));
    net.at(0, |end, now| end.handle_transport_error(now, &super::flow(0, 1)));
    assert!(net.saw(0, |e| matches!(e, LegEvent::Failed { response: None })));
    assert_eq!(net.ends[0].counts().legs, 0);
}

#[test]
fn trying_is_said_at_once_to_a_call_that_is_not_decided_at_once() {
    let mut net = Net::pair();
    net.ring(Some(OFFER));
    assert_eq!((net.sent(0, "INVITE"), net.sent(1, "SIP/2.0 100")), (1, 1));
}

#[test]
fn a_refusal_at_once_is_said_once_and_nothing_is_kept() {
    let mut net = Net::pair();
    net.losses.push(("SIP/2.0 403", 1));
    net.at(0, |end, now| end.invite(now, call(0, 1)));
    let limit = net.now + Duration::from_secs(10);
    for round in 1..=2 {
        while net.events[1].is_empty() {
            assert!(net.step(limit), "an INVITE comes");
        }
        let leg = net.incoming(1);
        net.at(1, |end, now| end.turn_away(now, leg, Reply::new(403)));
        net.events[1].clear();
        let counts = net.ends[1].counts();
        assert_eq!((counts.server_transactions, counts.legs), (0, 0), "round {round}");
    }
    net.settle();
    let sent = (net.sent(0, "INVITE"), net.sent(1, "SIP/2.0 100"), net.sent(1, "SIP/2.0 403"));
    assert_eq!(sent, (2, 0, 2), "the lost one is not repeated but asked for again");
    let refusals = net.wire.iter().filter(|(_, text)| text.starts_with("SIP/2.0 403"));
    let tags: Vec<_> =
        refusals.filter_map(|(_, text)| text.lines().find(|line| line.starts_with("To:"))).collect();
    assert!(tags.len() == 2 && tags[0] == tags[1], "{tags:?}");
    assert!(net.saw(0, |event| matches!(event, LegEvent::Failed { response: Some(_) })));
    net.assert_nothing_left();
}
