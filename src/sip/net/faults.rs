//! What is refused, and with what.

use super::{Net, address};
use crate::{
    Method,
    endpoint::{Event, LegEvent, Reply},
};

/// A request from the first end's address to the second end.
fn request(method: &str, extra: &str) -> String {
    format!(
        "{method} sip:bob@10.0.0.2 SIP/2.0\nVia: SIP/2.0/UDP 10.0.0.1:5060;branch=z9hG4bKq1\nMax-Forwards: 70\n\
         From: <sip:alice@example.org>;tag=a1\nTo: <sip:bob@example.org>\nCall-ID: c1\nCSeq: 7 {method}\n\
         Contact: <sip:alice@10.0.0.1>\n{extra}Content-Length: 0\n\n"
    )
}

/// Sends a request and returns the answer.
fn answer_to(text: &str) -> String {
    let mut net = Net::pair();
    net.inject(1, address(0), text);
    net.wire.last().map(|(_, text)| text.clone()).unwrap_or_default()
}

#[test]
fn each_fault_has_its_status() {
    let to_tag = |text: String| text.replace("bob@example.org>", "bob@example.org>;tag=nobody");
    let rows = [
        (request("WHATEVER", ""), "501"),
        (request("PUBLISH", ""), "405"),
        (request("INVITE", "Require: 100rel, telepathy\n"), "420"),
        (request("INVITE", "").replace("Max-Forwards: 70", "Max-Forwards: 0"), "483"),
        (request("INVITE", "Supported: timer\nSession-Expires: 60\n"), "422"),
        (request("BYE", ""), "481"),
        (request("CANCEL", ""), "481"),
        (to_tag(request("INVITE", "")), "481"),
        (to_tag(request("INFO", "")), "481"),
        (request("INVITE", "Content-Type: text/plain\n").replace("Length: 0\n\n", "Length: 2\n\nhi"), "415"),
        (request("OPTIONS", "").replace("SIP/2.0\n", "SIP/7.0\n"), "505"),
    ];
    for (text, status) in rows {
        let answer = answer_to(&text);
        assert!(answer.starts_with(&format!("SIP/2.0 {status} ")), "{text}\n{answer}");
    }
    assert!(answer_to(&request("INVITE", "Require: telepathy\n")).contains("Unsupported: telepathy"));
    assert!(answer_to(&request("WHATEVER", "")).contains("Allow: INVITE"));
    assert_eq!(answer_to(&to_tag(request("ACK", ""))), "");
}

#[test]
fn refusals_are_the_same_each_time_and_nothing_is_kept_of_them() {
    let mut net = Net::pair();
    for _ in 0..2 {
        net.inject(1, address(0), &request("BYE", ""));
    }
    assert_eq!(net.wire[0], net.wire[1]);
    net.assert_nothing_left();
}

#[test]
fn a_request_that_came_by_two_ways_is_merged() {
    let mut net = Net::pair();
    net.inject(1, address(0), &request("INVITE", ""));
    net.inject(1, address(0), &request("INVITE", "").replace("z9hG4bKq1", "z9hG4bKq2"));
    assert_eq!(net.sent(1, "SIP/2.0 482"), 1);
    assert_eq!(net.events[1].len(), 1);
}

#[test]
fn while_draining_new_calls_are_refused_and_running_ones_go_on() {
    let mut net = Net::pair();
    let (caller, _) = net.connect();
    net.ends[1].set_draining(Some(20));
    net.inject(1, address(0), &request("INVITE", ""));
    assert!(net.last(1, "SIP/2.0 503").contains("Retry-After: 20"));
    net.at(0, |end, now| end.modify(now, caller, bytes::Bytes::from_static(b"v=0")));
    net.run_ms(50);
    assert!(net.saw(1, |e| matches!(e, LegEvent::Offer { .. })));
}

#[test]
fn the_source_is_noted_in_the_via() {
    let moved = "10.9.9.9:3333".parse().unwrap();
    let mut net = Net::pair();
    net.inject(1, moved, &request("OPTIONS", "").replace(";branch", ";rport;branch"));
    let id = net.events[1].iter().find_map(|event| match event {
        Event::Request { id, .. } => Some(*id),
        _ => None,
    });
    net.at(1, |end, now| end.respond(now, id.unwrap(), Reply::new(200)));
    let answer = net.last(1, "SIP/2.0 200");
    assert!(answer.contains("received=10.9.9.9") && answer.contains("rport=3333"), "{answer}");
}

#[test]
fn requests_in_a_dialog_pass_its_proxies_in_order() {
    let mut net = Net::pair();
    let routes = "Record-Route: <sip:10.0.0.1;lr>, <sip:far.example.org;lr>\n";
    net.inject(1, address(0), &request("INVITE", routes));
    let leg = net.incoming(1);
    net.at(1, |end, now| end.accept(now, leg, None));
    assert!(net.last(1, "SIP/2.0 200").contains("Record-Route: <sip:10.0.0.1;lr>"));
    let tag = net.last(1, "SIP/2.0 200").split("bob@example.org>;tag=").nth(1).unwrap()[..16].to_owned();
    let ack = request("ACK", "").replace("z9hG4bKq1", "z9hG4bKq3");
    net.inject(1, address(0), &ack.replace("bob@example.org>", &format!("bob@example.org>;tag={tag}")));
    assert!(net.saw(1, |e| matches!(e, LegEvent::Acked { .. })));
    net.at(1, |end, now| end.end(now, leg, None));
    let bye = net.last(1, "BYE");
    assert!(bye.starts_with("BYE sip:alice@10.0.0.1 SIP/2.0"), "{bye}");
    let routes: Vec<&str> = bye.lines().filter(|line| line.starts_with("Route:")).collect();
    assert_eq!(routes, ["Route: <sip:10.0.0.1;lr>", "Route: <sip:far.example.org;lr>"]);
}

#[test]
fn a_strict_router_becomes_the_target() {
    let mut net = Net::pair();
    net.inject(1, address(0), &request("INVITE", "Record-Route: <sip:10.0.0.1>, <sip:far.example.org;lr>\n"));
    let leg = net.incoming(1);
    net.at(1, |end, now| end.provisional(now, leg, 180, None));
    net.at(1, |end, now| end.request_in(now, leg, Method::Info, Vec::new(), None));
    let info = net.last(1, "INFO");
    assert!(info.starts_with("INFO sip:10.0.0.1 SIP/2.0"), "{info}");
    let routes: Vec<&str> = info.lines().filter(|line| line.starts_with("Route:")).collect();
    assert_eq!(routes, ["Route: <sip:far.example.org;lr>", "Route: <sip:alice@10.0.0.1>"]);
}
