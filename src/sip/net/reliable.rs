//! Reliable provisional responses (RFC 3262).

use bytes::Bytes;

use super::{ANSWER, Net, OFFER};
use crate::endpoint::{Config, EndReason, LegEvent, Reliable};

fn pair() -> Net {
    let config = Config { reliable_provisionals: Reliable::WhenSupported, ..Config::default() };
    Net::new(2, vec![config.clone(), config])
}

fn answer() -> Option<Bytes> {
    Some(Bytes::from_static(ANSWER))
}

#[test]
fn a_lost_provisional_response_is_repeated_until_its_prack() {
    let mut net = pair();
    let (_, callee) = net.ring(Some(OFFER));
    net.losses.push(("SIP/2.0 183", 2));
    net.losses.push(("PRACK", 1));
    net.at(1, |end, now| end.provisional(now, callee, 183, answer()));
    net.run_ms(5000);
    assert_eq!((net.sent(1, "SIP/2.0 183"), net.sent(0, "PRACK")), (3, 2));
    let heard = net.leg_events(0).iter().filter(|e| matches!(e, LegEvent::Provisional { .. })).count();
    assert_eq!(heard, 1);
    assert_eq!(net.sent(1, "SIP/2.0 200"), 1);
    assert!(net.last(0, "PRACK").contains("RAck: "));
}

#[test]
fn a_second_one_and_the_2xx_wait_for_the_prack_of_the_first() {
    let mut net = pair();
    let (_, callee) = net.ring(Some(OFFER));
    net.losses.push(("PRACK", 1));
    net.at(1, |end, now| end.provisional(now, callee, 183, answer()));
    net.at(1, |end, now| end.provisional(now, callee, 180, None));
    net.at(1, |end, now| end.accept(now, callee, answer()));
    net.run_ms(300);
    assert_eq!((net.sent(1, "SIP/2.0 180"), net.sent(1, "SIP/2.0 200")), (0, 0));
    net.run_ms(3000);
    assert!(net.saw(0, |e| matches!(e, LegEvent::Answered { .. })));
    assert!(net.saw(1, |e| matches!(e, LegEvent::Acked { .. })));
}

#[test]
fn provisional_responses_go_in_order() {
    let mut net = pair();
    let (_, callee) = net.ring(Some(OFFER));
    net.at(1, |end, now| end.provisional(now, callee, 180, None));
    net.at(1, |end, now| end.provisional(now, callee, 183, answer()));
    net.run_ms(200);
    let heard: Vec<u16> = net
        .leg_events(0)
        .iter()
        .filter_map(|event| match event {
            LegEvent::Provisional { response } => Some(response.status.code()),
            _ => None,
        })
        .collect();
    assert_eq!(heard, [180, 183]);
    assert_eq!(net.sent(0, "PRACK"), 2);
}

#[test]
fn without_prack_the_call_is_refused() {
    let mut net = pair();
    let (_, callee) = net.ring(Some(OFFER));
    net.losses.push(("PRACK", u32::MAX));
    net.at(1, |end, now| end.provisional(now, callee, 183, answer()));
    net.run_ms(33_000);
    assert!(net.saw(1, |e| matches!(e, LegEvent::Ended { why: EndReason::NoAck })));
    assert!(net.saw(0, |e| matches!(e, LegEvent::Failed { response: Some(r) } if r.status.code() == 504)));
    net.settle();
    net.assert_nothing_left();
}
