//! Calls by SIPp, message by message: `tests/sipp/*.xml`.

mod field;

use field::{
    Server, eventually,
    sipp::Sipp,
    wire::{Ask, Knows, PATIENCE, Stream, authorized, register_elsewhere},
};

/// Until the server has no call any more: nothing is left of what was cancelled.
fn becomes_idle(server: &Server) {
    eventually("the end of all calls", PATIENCE, || {
        let (status, calls) = server.get("/api/v1/calls");
        (status == 200 && !calls.contains("\"application\"")).then_some(())
    });
}

/// The requests of one method that were received, from SIPp's record; retransmissions count too.
fn received(messages: &str, start: &str) -> usize {
    let parts = messages.split("message received");
    parts.skip(1).filter(|part| part.lines().any(|line| line.starts_with(start))).count()
}

/// SEMS-VM-6, SER-02: INVITE, 100, 180, 200, ACK, BYE on both sides, and in this order.
#[test]
fn a_call_to_a_registered_phone_climbs_the_whole_ladder() {
    let server = Server::start("");
    let callee = Sipp::callee("callee_answers", &[], register_elsewhere(server.udp, "bob"));
    let caller = Sipp::caller("caller", &[], server.udp, "bob");
    let heard = caller.succeeds();
    callee.succeeds();
    assert!(!heard.contains("m=audio 0"), "{heard}");
    becomes_idle(&server);
}

/// SER-02: the callee's BYE ends the caller's side.
#[test]
fn a_callee_can_hang_up() {
    let server = Server::start("");
    let callee = Sipp::callee("callee_hangs_up", &[], register_elsewhere(server.udp, "bob"));
    let caller = Sipp::caller("caller_ended", &[], server.udp, "bob");
    callee.succeeds();
    caller.succeeds();
    becomes_idle(&server);
}

/// All contacts ring, the first answer wins, the other gets CANCEL, and its 487 an ACK.
#[test]
fn the_first_phone_that_answers_wins() {
    let server = Server::start("");
    let loser = Sipp::callee("callee_cancelled", &[], register_elsewhere(server.udp, "bob"));
    let winner = Sipp::callee("callee_answers", &[], register_elsewhere(server.udp, "bob"));
    let caller = Sipp::caller("caller", &[], server.udp, "bob");
    caller.succeeds();
    winner.succeeds();
    let loser = loser.succeeds();
    assert!(loser.contains("Call completed elsewhere"), "{loser}");
    becomes_idle(&server);
}

/// SER-13: a 200 that crosses the CANCEL is acknowledged and ended; the caller talks to the first one and notices
/// nothing.
#[test]
fn an_answer_that_crosses_the_cancel_is_ended() {
    let server = Server::start("");
    let late = Sipp::callee("callee_crosses", &[], register_elsewhere(server.udp, "bob"));
    let winner = Sipp::callee("callee_answers", &[], register_elsewhere(server.udp, "bob"));
    let caller = Sipp::caller("caller", &[], server.udp, "bob");
    caller.succeeds();
    winner.succeeds();
    late.succeeds();
    becomes_idle(&server);
}

/// The caller's CANCEL: 200 and 487 for him, CANCEL for every phone that rings.
#[test]
fn a_caller_who_gives_up_stops_the_ringing() {
    let server = Server::start("");
    let phones: Vec<_> = (0..2)
        .map(|_| Sipp::callee("callee_cancelled", &[], register_elsewhere(server.udp, "bob")))
        .collect();
    Sipp::caller("caller_cancels", &[], server.udp, "bob").succeeds();
    for phone in phones {
        phone.succeeds();
    }
    becomes_idle(&server);
}

/// The caller's CANCEL crosses the only phone's answer: that is acknowledged and ended.
#[test]
fn a_caller_who_gives_up_while_it_is_answered_leaves_no_ghost() {
    let server = Server::start("");
    let phone = Sipp::callee("callee_crosses", &[], register_elsewhere(server.udp, "bob"));
    Sipp::caller("caller_cancels", &[], server.udp, "bob").succeeds();
    phone.succeeds();
    becomes_idle(&server);
}

/// SEMS-VM-4, SEMS-VM-5: nobody is registered, and voicemail answers the same call.
#[test]
fn a_call_to_an_offline_account_goes_to_voicemail() {
    let server = Server::start("");
    let caller = Sipp::caller("caller_to_app", &[], server.udp, "bob");
    eventually("voicemail's taking the call", PATIENCE, || {
        server.get("/api/v1/calls").1.contains("voicemail").then_some(())
    });
    let heard = caller.succeeds();
    assert_eq!(received(&heard, "SIP/2.0 100"), 1, "{heard}");
    becomes_idle(&server);
}

/// SEMS-VM-4: busy, declined in two ways, and a phone that fails: voicemail on the same call.
#[test]
fn a_call_that_is_refused_goes_to_voicemail() {
    for status in ["486", "603", "500"] {
        let server = Server::start("");
        let callee =
            Sipp::callee("callee_refuses", &[("STATUS", status)], register_elsewhere(server.udp, "carol"));
        let caller = Sipp::caller("caller", &[], server.udp, "carol");
        callee.succeeds();
        caller.succeeds();
        becomes_idle(&server);
    }
}

/// SEMS-VM-4: nobody answers within `[calls] ring_timeout`: the phone gets CANCEL, voicemail the call.
#[test]
fn a_call_that_nobody_answers_goes_to_voicemail() {
    let server = Server::start("[calls]\nring_timeout = \"1s\"\n");
    let callee = Sipp::callee("callee_cancelled", &[], register_elsewhere(server.udp, "bob"));
    let caller = Sipp::caller("caller", &[], server.udp, "bob");
    callee.succeeds();
    caller.succeeds();
    becomes_idle(&server);
}

/// With no route for it, the callee's own answer is the caller's.
#[test]
fn without_voicemail_the_refusal_is_passed_on() {
    let server = Server::start("[[route]]\nuser = \"echo\"\napp = \"echo\"\n");
    for (user, status) in [("alice", "486"), ("bob", "603")] {
        let port = register_elsewhere(server.udp, user);
        let callee = Sipp::callee("callee_refuses", &[("STATUS", status)], port);
        Sipp::caller("caller_refused", &[("STATUS", status)], server.udp, user).succeeds();
        callee.succeeds();
    }
    Sipp::caller("caller_refused", &[("STATUS", "480")], server.udp, "carol").succeeds();
    Sipp::caller("caller_refused", &[("STATUS", "404")], server.udp, "nobody").succeeds();
    becomes_idle(&server);
}

/// SER-M8: a route that relays to a given server.
#[test]
fn a_call_is_relayed_to_another_server() {
    let port = field::free_port();
    let route = format!("[[route]]\nuser = \"9*\"\nrelay = \"sip:127.0.0.1:{port}\"\n");
    let stranger = Server::start(&route);
    Sipp::caller("caller_refused", &[("STATUS", "403")], stranger.udp, "9001").succeeds();
    let dir = tempfile::tempdir().expect("a folder");
    let server = Server::start_with(dir, "trusted = [\"127.0.0.1\"]", &route);
    let callee = Sipp::callee("callee_answers", &[], port);
    Sipp::caller("caller", &[], server.udp, "9001").succeeds();
    let heard = callee.succeeds();
    assert!(heard.contains("INVITE sip:9001@"), "{heard}");
    let callee = Sipp::callee("callee_refuses", &[("STATUS", "486")], port);
    Sipp::caller("caller_refused", &[("STATUS", "486")], server.udp, "9002").succeeds();
    callee.succeeds();
    becomes_idle(&server);
}

/// An application over TCP, and the ladder with the caller on TCP and the callee on UDP.
#[test]
fn calls_come_over_tcp() {
    let server = Server::start("");
    Sipp::caller_over("t1", "caller_to_app", &[], server.tcp, "echo").succeeds();
    let callee = Sipp::callee("callee_answers", &[], register_elsewhere(server.udp, "bob"));
    Sipp::caller_over("t1", "caller", &[], server.tcp, "bob").succeeds();
    callee.succeeds();
    Sipp::caller_over("t1", "caller_holds", &[], server.tcp, "echo").succeeds();
    becomes_idle(&server);
}

/// The same over IPv6, where the machine has it.
#[test]
fn calls_come_over_ipv6() {
    if std::net::UdpSocket::bind("[::1]:0").is_err() {
        eprintln!("no IPv6 on this machine: nothing is tested");
        return;
    }
    let server = Server::start_at("[::1]", "");
    let heard = Sipp::caller("caller_to_app", &[], server.udp, "echo").succeeds();
    assert!(heard.contains("c=IN IP6 ::1"), "{heard}");
    Sipp::caller_over("t1", "caller_to_app", &[], server.tcp, "bob").succeeds();
    let phone = std::net::SocketAddr::new(server.udp.ip(), register_elsewhere(server.udp, "bob"));
    let callee = Sipp::callee_at(phone, "callee_answers", &[]);
    Sipp::caller("caller", &[], server.udp, "bob").succeeds();
    callee.succeeds();
    becomes_idle(&server);
}

/// Each change to a call that SIPp can ask for.
#[test]
fn a_call_is_held_and_resumed() {
    let server = Server::start("");
    Sipp::caller("caller_holds", &[], server.udp, "echo").succeeds();
    becomes_idle(&server);
}

/// The same between two phones: we hold on behalf of nobody, the other side stays as it is.
#[test]
fn a_call_between_two_phones_is_held_and_resumed() {
    let server = Server::start("");
    let callee = Sipp::callee("callee_answers", &[], register_elsewhere(server.udp, "bob"));
    Sipp::caller("caller_holds", &[], server.udp, "bob").succeeds();
    callee.succeeds();
    becomes_idle(&server);
}

/// RFC 3264: an INVITE without SDP gets our offer in the 200, and its answer in the ACK; for an application and for
/// another phone.
#[test]
fn a_late_offer_is_served() {
    let server = Server::start("");
    Sipp::caller("caller_late_offer", &[], server.udp, "echo").succeeds();
    let callee = Sipp::callee("callee_answers", &[], register_elsewhere(server.udp, "bob"));
    Sipp::caller("caller_late_offer", &[], server.udp, "bob").succeeds();
    callee.succeeds();
    becomes_idle(&server);
}

/// RFC 3262: early media is sent reliably to whom requires it, and then the call is refused as the route says.
#[test]
fn early_media_is_acknowledged() {
    let route = "[[route]]\nuser = \"closed\"\napp = \"announcement\"\nfile = \"sounds/en/vm/unavailable.wav\"\n\
                 early = true\nstatus = 480\n";
    let server = Server::start(route);
    let heard = Sipp::caller("caller_100rel", &[("STATUS", "480")], server.udp, "closed").succeeds();
    assert_eq!(received(&heard, "SIP/2.0 183"), 1, "{heard}");
    becomes_idle(&server);
}

/// RFC 4028: the session timer is agreed on and refreshed.
#[test]
fn a_session_is_refreshed() {
    let server = Server::start("");
    Sipp::caller("caller_session_timer", &[], server.udp, "echo").succeeds();
    becomes_idle(&server);
}

/// INFO, OPTIONS, UPDATE and an unknown method within a call, of an application and of two phones.
#[test]
fn requests_within_a_call_are_answered() {
    let server = Server::start("");
    Sipp::caller("caller_inside", &[], server.udp, "echo").succeeds();
    let callee = Sipp::callee("callee_answers", &[], register_elsewhere(server.udp, "bob"));
    Sipp::caller("caller_inside", &[], server.udp, "bob").succeeds();
    callee.succeeds();
    becomes_idle(&server);
}

/// A phone that registered over TCP is called on its own connection; SEMS-VM-4: when that is gone, it is offline.
#[test]
fn a_phone_is_called_on_the_connection_it_registered_with() {
    let server = Server::start("[calls]\nring_timeout = \"3s\"\n");
    let mut phone = Stream::new(server.tcp);
    let mut ask = Ask::new("REGISTER", "sip:localhost").claiming("bob");
    "<sip:bob@localhost>".clone_into(&mut ask.to);
    ask = ask.line(format!("Contact: <sip:bob@{};transport=tcp>", phone.local()));
    let first = ask.text("TCP", phone.local());
    phone.send(&first);
    let challenge = phone.message();
    ask.cseq = 2;
    let second = ask.text("TCP", phone.local());
    phone.send(authorized(&first, &second, &challenge, "bob", "bob-secret", Knows::Sha256));
    assert_eq!(phone.message().status(), 200);
    let caller = Sipp::caller("caller_to_app", &[], server.udp, "bob");
    let invite = phone.message();
    assert!(invite.0.starts_with("INVITE sip:bob@"), "{}", invite.0);
    assert!(invite.header("Via").starts_with("SIP/2.0/TCP "), "{}", invite.0);
    let busy = ["Via", "From", "Call-ID", "CSeq"].map(|name| format!("{name}: {}", invite.header(name)));
    let to = invite.header("To");
    phone.send(format!(
        "SIP/2.0 486 Busy Here\r\n{}\r\nTo: {to};tag=b\r\nContent-Length: 0\r\n\r\n",
        busy.join("\r\n")
    ));
    assert!(phone.message().0.starts_with("ACK "));
    caller.succeeds();
    drop(phone);
    Sipp::caller("caller_to_app", &[], server.udp, "bob").succeeds();
    becomes_idle(&server);
}

/// SEMS-VM-4: a phone that was switched off without a word is no-answer or offline, and voicemail takes the call.
#[test]
fn a_phone_that_is_gone_does_not_keep_the_caller_from_voicemail() {
    let server = Server::start("[calls]\nring_timeout = \"2s\"\n");
    register_elsewhere(server.udp, "bob");
    Sipp::caller("caller_to_app", &[], server.udp, "bob").succeeds();
    becomes_idle(&server);
}
