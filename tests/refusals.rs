//! What the server refuses, how, and that it lives on: bad input of every kind, written by hand.

mod field;

use std::time::Duration;

use field::{
    Server,
    wire::{Ask, Got, Knows, OFFER, PATIENCE, Stream, Wire},
};

/// The server still answers, which a panic of its signalling task would end.
fn lives(server: &Server) {
    assert_eq!(Wire::new(server.udp).ask(&Ask::new("OPTIONS", &server.uri("echo"))).status(), 200);
}

/// Whom a stranger may not call, and how.
#[test]
fn an_invite_that_cannot_be_served_is_refused_with_its_reason() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let echo = server.uri("echo");
    let refused = |ask: &Ask, status: u16| -> Got {
        let got = wire.ask(ask);
        assert_eq!(got.status(), status, "{}", got.0);
        got
    };
    refused(&Ask::invite(&server.uri("nobody")), 404);
    refused(&Ask::invite("sip:echo@elsewhere.example"), 403);
    refused(&Ask::invite("sip:localhost"), 404);
    refused(&Ask::invite(&format!("{echo};app=conference")).line("P-App-Name: conference"), 200);
    let unknown_codec = OFFER.replace("RTP/AVP 0 8", "RTP/AVP 3 18");
    refused(&Ask::invite(&echo).body(&unknown_codec), 488);
    let other_type = Ask::new("INVITE", &echo).line("Content-Type: text/plain").body("hello");
    assert_eq!(refused(&other_type, 415).header("Accept"), "application/sdp");
    refused(&Ask::invite("mailto:echo@localhost"), 416);
    refused(&Ask::invite("urn:service:sos"), 416);
    let demanding = Ask::invite(&echo).line("Require: 100rel, teleport").line("Supported: teleport");
    assert_eq!(refused(&demanding, 420).header("Unsupported"), "teleport");
    refused(&Ask::invite(&echo).line("Max-Forwards: 0"), 483);
    refused(&Ask::invite(&echo).line("Supported: timer").line("Session-Expires: 30"), 422);
    lives(&server);
}

/// Nobody is one of our accounts by saying so: From alone is challenged, a wrong password refused, and the right one
/// reaches the application.
#[test]
fn who_claims_an_account_must_prove_it() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let (challenge, got) =
        wire.ask_as(&mut Ask::invite(&server.uri("echo")).claiming("alice"), "alice", "wrong", Knows::Md5);
    assert_eq!((challenge.status(), got.status()), (407, 403), "{}", got.0);
    assert_eq!(challenge.headers("Proxy-Authenticate").len(), 2, "{}", challenge.0);
    for knows in [Knows::Md5, Knows::Sha256] {
        let mut ask = Ask::invite(&server.uri("echo")).claiming("alice");
        let (challenge, got) = wire.ask_as(&mut ask, "alice", "alice-secret", knows);
        assert_eq!((challenge.status(), got.status()), (407, 200), "{}", got.0);
    }
    let mut stolen = Ask::invite(&server.uri("echo")).claiming("alice");
    let (_, got) = wire.ask_as(&mut stolen, "bob", "bob-secret", Knows::Sha256);
    assert_eq!(got.status(), 403, "{}", got.0);
}

/// `[calls] max`: one call more is 503 with Retry-After, and when one has ended the next is taken.
#[test]
fn too_many_calls_are_refused_with_a_time_to_try_again() {
    let server = Server::start("[calls]\nmax = 1\n");
    let wire = Wire::new(server.udp);
    let first = Ask::invite(&server.uri("echo"));
    let answer = wire.ask(&first);
    assert_eq!(answer.status(), 200, "{}", answer.0);
    let busy = Wire::new(server.udp).ask(&Ask::invite(&server.uri("echo")));
    assert_eq!(busy.status(), 503, "{}", busy.0);
    assert!(busy.header("Retry-After").parse::<u32>().is_ok_and(|seconds| seconds > 0));
    let mut bye = Ask::new("BYE", &server.uri("echo"));
    (bye.from, bye.call_id, bye.cseq) = (first.from.clone(), first.call_id.clone(), 2);
    answer.header("To").clone_into(&mut bye.to);
    let mut ack = bye.clone();
    (ack.method, ack.cseq) = ("ACK".to_owned(), 1);
    wire.send(ack.text("UDP", wire.local()));
    assert_eq!(wire.ask(&bye).status(), 200);
    field::eventually("room for the next call", PATIENCE, || {
        (Wire::new(server.udp).ask(&Ask::invite(&server.uri("echo"))).status() == 200).then_some(())
    });
}

/// `[calls] per_second`.
#[test]
fn a_flood_of_calls_is_refused() {
    let server = Server::start("[calls]\nper_second = 2\n");
    let wire = Wire::new(server.udp);
    let statuses: Vec<u16> =
        (0..10).map(|_| wire.ask(&Ask::invite(&server.uri("nobody"))).status()).collect();
    assert_eq!(statuses[..2], [404, 404]);
    assert!(statuses.contains(&503), "{statuses:?}");
}

/// Methods that are unknown, not wanted here, or meaningless without a dialog.
#[test]
fn a_method_that_is_not_served_is_refused() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let uri = server.uri("echo");
    for (method, statuses) in [
        ("TELEPORT", &[501][..]),
        ("invite", &[501]),
        ("BYE", &[481]),
        ("UPDATE", &[481]),
        ("PRACK", &[481]),
        ("CANCEL", &[481]),
        ("NOTIFY", &[481]),
        ("SUBSCRIBE", &[405]),
        ("PUBLISH", &[405]),
        ("OPTIONS", &[200]),
    ] {
        let got = wire.ask(&Ask::new(method, &uri));
        assert!(statuses.contains(&got.status()), "{method}: {}", got.0);
        if matches!(got.status(), 501 | 405) {
            assert!(got.header("Allow").contains("INVITE"), "{}", got.0);
        }
    }
    let options = wire.ask(&Ask::new("OPTIONS", &uri));
    assert!(
        options.header("Allow").contains("INVITE") && options.header("Accept").contains("application/sdp")
    );
    assert!(options.header("Supported").contains("100rel"), "{}", options.0);
}

/// Requests that are no good SIP: 400 where there is somebody to tell, and the server lives.
#[test]
fn a_malformed_request_is_400() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let good = || Ask::invite(&server.uri("echo")).text("UDP", wire.local());
    let length = format!("Content-Length: {}", OFFER.len());
    for (what, text) in [
        ("CSeq of another method", good().replace("CSeq: 1 INVITE", "CSeq: 1 BYE")),
        ("CSeq without number", good().replace("CSeq: 1 INVITE", "CSeq: INVITE")),
        ("CSeq too big", good().replace("CSeq: 1 INVITE", "CSeq: 99999999999 INVITE")),
        ("no From", drop_line(&good(), "From:")),
        ("no To", drop_line(&good(), "To:")),
        ("no Call-ID", drop_line(&good(), "Call-ID:")),
        ("no CSeq", drop_line(&good(), "CSeq:")),
        ("body shorter than it says", good().replace(&length, "Content-Length: 5000")),
        ("length that is no number", good().replace(&length, "Content-Length: many")),
        ("two lengths", good().replace(&length, "Content-Length: 3\r\nContent-Length: 4")),
        ("broken offer", Ask::invite(&server.uri("echo")).body("v=nonsense").text("UDP", wire.local())),
    ] {
        let got = wire.ask_text(&text);
        let expected: &[u16] = if what == "broken offer" { &[400, 488] } else { &[400] };
        assert!(expected.contains(&got.status()), "{what}: {}", got.0);
    }
    lives(&server);
}

fn drop_line(text: &str, name: &str) -> String {
    text.split("\r\n").filter(|line| !line.starts_with(name)).collect::<Vec<_>>().join("\r\n")
}

/// A scanner's datagrams and noise: a 4xx or silence, and the server lives.
#[test]
fn garbage_hurts_nobody() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let good = Ask::invite(&server.uri("echo")).text("UDP", wire.local());
    let mut garbage: Vec<Vec<u8>> = vec![
        b"\0".to_vec(),
        b"\r\n\r\n".to_vec(),
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n".to_vec(),
        b"SIP/2.0 200 OK\r\n\r\n".to_vec(),
        b"SIP/2.0 999999 \xff\xfe\r\nVia: \r\n\r\n".to_vec(),
        b"INVITE sip: SIP/2.0\r\n\r\n".to_vec(),
        b"OPTIONS sip:100@1.1.1.1 SIP/2.0\r\nVia: SIP/2.0/UDP \r\nFrom: \"sipvicious\"<sip:100@1.1.1.1>;tag=\r\n\r\n".to_vec(),
        vec![0x80; 1200],
        vec![b'A'; 60_000],
        "Via: x\r\n".repeat(5000).into_bytes(),
        good.replace("sip:echo@", "sip:%00%zz%@").into_bytes(),
        good.replace("branch=z9hG4bK", "branch=\u{0}\u{7f}").into_bytes(),
        good.replace(";rport", ";rport;received=999.1.1.1;maddr=255.255.255.255;ttl=-1").into_bytes(),
        good.replace("Contact: <sip:wire@", "Contact: <sip:[:::").into_bytes(),
        good.replace("m=audio 30000", "m=audio 99999999").into_bytes(),
        good.replace("Max-Forwards: 70", &format!("Max-Forwards: 70\r\nX: {}", "a,".repeat(20_000))).into_bytes(),
    ];
    // The same request cut off at every 7th byte, and with one byte turned at each of them.
    for at in (0..good.len()).step_by(7) {
        garbage.push(good.as_bytes()[..at].to_vec());
        let mut turned = good.clone().into_bytes();
        turned[at] ^= 0x80;
        garbage.push(turned);
    }
    for datagram in &garbage {
        wire.send(datagram);
    }
    // Whatever was answered: nothing asks the peer to do anything but what SIP says.
    while let Some(got) = wire.try_receive(Duration::from_millis(300)) {
        assert!(got.0.starts_with("SIP/2.0 ") || got.0.starts_with("BYE "), "{}", got.0);
    }
    lives(&server);
    assert!(!server.log().iter().any(|line| line.contains("panicked")));
}

/// RFC 5626: CRLFCRLF on a stream is answered CRLF; messages come in pieces and several at once.
#[test]
fn a_stream_is_kept_alive_and_carries_messages_in_pieces() {
    let server = Server::start("");
    let mut stream = Stream::new(server.tcp);
    stream.send("\r\n\r\n");
    assert_eq!(stream.until("\r\n"), "\r\n");
    let uri = format!("sip:echo@{};transport=tcp", server.tcp);
    let one = Ask::new("OPTIONS", &uri).text("TCP", stream.local());
    let (head, tail) = one.split_at(one.len() / 2);
    stream.send(head);
    // The other half comes in a segment of its own.
    std::thread::sleep(Duration::from_millis(50));
    stream.send(tail);
    assert!(stream.until("\r\n\r\n").starts_with("SIP/2.0 200 "));
    let two = Ask::new("OPTIONS", &uri).text("TCP", stream.local());
    let three = Ask::new("TELEPORT", &uri).text("TCP", stream.local());
    stream.send(format!("{two}\r\n\r\n{three}"));
    let mut answers = String::new();
    while !(answers.contains("SIP/2.0 200 ") && answers.contains("SIP/2.0 501 ")) {
        answers.push_str(&stream.until("\r\n"));
    }
    // It is answered by the reader at once, and so may be ahead of them.
    assert!(answers.contains("\r\n\r\n\r\n") || answers.starts_with("\r\n"), "no keepalive: {answers:?}");
}

/// A stream that carries no SIP is closed or waits, and no other is the worse for it.
#[test]
fn a_stream_of_garbage_hurts_nobody() {
    let server = Server::start("");
    for garbage in [
        "GET / HTTP/1.1\r\nHost: x\r\n\r\n".repeat(3),
        "INVITE sip:echo@x SIP/2.0\r\nContent-Length: 99999999999999999999\r\n\r\n".to_owned(),
        "INVITE sip:echo@x SIP/2.0\r\nContent-Length: -1\r\n\r\n".to_owned(),
        "A".repeat(300_000),
        "X: y\r\n".repeat(50_000),
    ] {
        let mut stream = std::net::TcpStream::connect(server.tcp).expect("a connection");
        // It may close while we still write.
        let _ = std::io::Write::write_all(&mut stream, garbage.as_bytes());
    }
    let mut stream = Stream::new(server.tcp);
    stream.send(Ask::new("OPTIONS", &server.uri("echo")).text("TCP", stream.local()));
    assert!(stream.until("\r\n\r\n").starts_with("SIP/2.0 200 "));
    lives(&server);
    assert!(!server.log().iter().any(|line| line.contains("panicked")));
}

/// What is said twice is heard once: a retransmitted INVITE makes no second call and gets the same answer.
#[test]
fn a_retransmission_is_absorbed() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let text = Ask::invite(&server.uri("echo")).text("UDP", wire.local());
    wire.send(&text);
    wire.send(&text);
    let first = wire.final_response();
    wire.send(&text);
    let second = wire.final_response();
    assert_eq!(first.status(), 200, "{}", first.0);
    assert_eq!(first.header("To"), second.header("To"));
    let (_, calls) = server.get("/api/v1/calls");
    assert_eq!(calls.matches("\"application\"").count(), 1, "{calls}");
}
