//! Session timers (RFC 4028), both roles.

use std::time::Duration;

use bytes::Bytes;

use super::{ANSWER, Net, OFFER};
use crate::{
    Method,
    endpoint::{Config, EndReason, LegEvent},
};

fn pair(caller: u64, callee: u64) -> Net {
    let config = |seconds| Config { session_expires: Duration::from_secs(seconds), ..Config::default() };
    Net::new(3, vec![config(caller), config(callee)])
}

#[test]
fn the_caller_refreshes_by_update_and_the_session_lives() {
    let mut net = pair(100, 1800);
    net.connect();
    net.run(Duration::from_secs(1000));
    assert!(net.sent(0, "UPDATE") >= 15, "{}", net.sent(0, "UPDATE"));
    assert_eq!((net.ends[0].counts().legs, net.ends[1].counts().legs), (1, 1));
}

#[test]
fn refreshes_go_by_reinvite_where_update_is_not_allowed() {
    let mut config = Config { session_expires: Duration::from_secs(100), ..Config::default() };
    let caller = config.clone();
    config.allow.retain(|method| *method != Method::Update);
    let mut net = Net::new(4, vec![caller, config]);
    let (_, callee) = net.connect();
    net.run(Duration::from_secs(55));
    assert!(net.saw(1, |e| matches!(e, LegEvent::Offer { body: Some(body), .. } if body == OFFER)));
    net.at(1, |end, now| end.accept(now, callee, Some(Bytes::from_static(ANSWER))));
    net.run(Duration::from_secs(2));
    assert!(net.saw(0, |e| matches!(e, LegEvent::Refreshed { body: Some(body) } if body == ANSWER)));
}

#[test]
fn a_session_that_is_not_refreshed_is_over_at_both_ends() {
    let mut net = pair(100, 1800);
    net.connect();
    net.losses.push(("UPDATE", u32::MAX));
    net.losses.push(("BYE", u32::MAX));
    net.run(Duration::from_secs(100));
    assert!(net.saw(1, |e| matches!(e, LegEvent::Ended { why: EndReason::SessionExpired })));
    assert!(net.saw(0, |e| matches!(e, LegEvent::Ended { .. })));
    net.settle();
    net.assert_nothing_left();
}

#[test]
fn an_interval_too_small_is_refused_and_asked_for_again() {
    let mut net = pair(100, 1800);
    net.ends[1] = {
        let config = Config { min_se: Duration::from_secs(300), ..Config::default() };
        Net::new(9, vec![config]).ends.remove(0)
    };
    net.connect_anew();
    net.run(Duration::from_secs(160));
    assert_eq!(net.sent(0, "UPDATE"), 1);
}

#[test]
fn a_caller_without_session_expires_is_refreshed_by_us() {
    let mut net = pair(0, 100);
    net.connect();
    net.run(Duration::from_secs(300));
    assert!(net.sent(1, "UPDATE") >= 4);
    assert_eq!((net.ends[0].counts().legs, net.ends[1].counts().legs), (1, 1));
}
