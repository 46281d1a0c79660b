//! SIP over WebSocket, as a browser speaks it.

mod field;

use std::{
    io::{Read, Write},
    time::Duration,
};

use field::{
    PATIENCE, Server,
    browser::{sip, tcp, upgrade},
    certificates::Authority,
    eventually,
    wire::{Ask, OFFER, Stream, Wire},
};
use tempfile::TempDir;
use tungstenite::Message;

/// What a browser says of itself: nobody can send there.
const CONTACT: &str = "<sip:bob@kx3vq1.invalid;transport=ws>";

fn serving(extra: &str) -> Server {
    let dir = TempDir::new().expect("a folder");
    Server::start_listening(dir, &["ws:127.0.0.1:0"], "", extra)
}

fn browser(server: &Server) -> Stream {
    let stream = tcp(server.address("ws"));
    let local = stream.local_addr().expect("an address");
    sip(stream, local, "WS")
}

/// A request as a browser writes it: with a name in Via that nobody can resolve.
fn from_browser(ask: &Ask, transport: &str) -> String {
    let local = "127.0.0.1:9".parse().expect("an address");
    ask.text(transport, local).replace("127.0.0.1:9", "kx3vq1.invalid")
}

/// NET-5: a browser registers, is called by its own connection, and is no longer registered when that is gone.
#[test]
fn a_browser_is_where_its_connection_is() {
    let server = serving("");
    let mut bob = browser(&server);
    bob.register("bob", CONTACT);
    let alice = Wire::new(server.udp);
    let ask = Ask::invite(&server.uri("bob"));
    alice.send(ask.text("UDP", alice.local()));
    let invite = bob.request("INVITE");
    assert!(invite.0.starts_with("INVITE sip:bob@kx3vq1.invalid;transport=ws "), "{}", invite.0);
    assert!(invite.header("Via").starts_with("SIP/2.0/WS "), "{}", invite.0);
    assert!(invite.header("Contact").contains(";transport=ws"), "{}", invite.0);
    bob.send(invite.accept(CONTACT));
    let ok = alice.final_response();
    assert_eq!(ok.status(), 200, "{}", ok.0);
    bob.request("ACK");
    let mut bye = Ask::new("BYE", &server.uri("bob"));
    (bye.from, bye.to) = (ask.from.clone(), ok.header("To").to_owned());
    (bye.call_id, bye.cseq) = (ask.call_id.clone(), 2);
    alice.send(bye.text("UDP", alice.local()));
    // By its connection again, though its Contact leads nowhere.
    let bye = bob.request("BYE");
    bob.send(bye.answer("200 OK", &[], ""));

    drop(bob);
    let registrations = || {
        let (_, all) = server.get("/api/v1/registrations");
        (!all.contains("invalid")).then_some(())
    };
    eventually("the end of the registration", PATIENCE, registrations);
    // Voicemail takes it.
    assert_eq!(alice.ask(&Ask::invite(&server.uri("bob"))).status(), 200);
}

/// NET-5: a browser calls, and what it wrote into Via does not matter.
#[test]
fn a_browser_calls() {
    let server = serving("");
    let mut browser = browser(&server);
    let ask = Ask::invite("sip:echo@localhost").line(format!("Contact: {CONTACT}"));
    let ok = browser.ask_text(&from_browser(&ask, "WS"));
    assert_eq!(ok.status(), 200, "{}", ok.0);
    assert!(ok.header("Via").contains("kx3vq1.invalid") && ok.header("Via").contains("received=127.0.0.1"));
    let mut bye = Ask::new("BYE", "sip:echo@localhost");
    (bye.from, bye.to, bye.call_id, bye.cseq) = (ask.from, ok.header("To").to_owned(), ask.call_id, 2);
    assert_eq!(browser.ask_text(&from_browser(&bye, "WS")).status(), 200);
    assert!(OFFER.contains("m=audio"));
}

/// NET-5: only the subprotocol of SIP is served, and what is no upgrade at all is closed.
#[test]
fn an_upgrade_must_ask_for_sip() {
    let server = serving("[streams]\nhalf_open_timeout = \"2s\"\n");
    for protocols in ["", "chat"] {
        match upgrade(tcp(server.address("ws")), protocols) {
            Err(tungstenite::Error::Http(response)) => assert_eq!(response.status(), 400),
            other => panic!("{protocols:?}: {:?}", other.map(|_| ())),
        }
    }
    for noise in ["OPTIONS sip:x SIP/2.0\r\n\r\n", "", "GET / HTTP/1.1\r\nHost: x\r\n\r\n"] {
        let mut stream = tcp(server.address("ws"));
        stream.write_all(noise.as_bytes()).expect("written");
        let mut rest = Vec::new();
        stream.read_to_end(&mut rest).expect("closed");
    }
}

/// NET-5: pings are answered by pongs, double CRLF by CRLF; who answers our pings stays, who does not goes.
#[test]
fn keepalives_go_both_ways() {
    let server = serving("[streams]\nping = \"1s\"\n");
    let (mut socket, _) = upgrade(tcp(server.address("ws")), "sip").expect("an upgrade");
    socket.send(Message::Ping("abc".into())).expect("sent");
    assert_eq!(socket.read().expect("a pong"), Message::Pong("abc".into()));
    socket.send(Message::text("\r\n\r\n")).expect("sent");
    assert_eq!(socket.read().expect("a pong"), Message::text("\r\n"));
    for _ in 0..4 {
        // Reading answers it.
        assert!(matches!(socket.read().expect("a ping"), Message::Ping(_)));
    }
    socket.flush().expect("answered");
    let connections = |count: u32| {
        let line = format!("sems_connections {count}\n");
        server.get("/metrics").1.contains(&line).then_some(())
    };
    connections(1).expect("it is there");
    // Nobody reads now, and so nobody answers.
    eventually("the end of it", Duration::from_secs(10), || connections(0));
}

/// NET-5: a message that is too long ends the connection; one that may be so long does not.
#[test]
fn a_message_has_a_limit() {
    let server = serving("[streams]\nmax_message = 8192\n");
    let mut browser = browser(&server);
    let long =
        |length: usize| Ask::new("OPTIONS", "sip:x@localhost").line(format!("X: {}", "y".repeat(length)));
    assert_eq!(browser.ask(&long(7000)).status(), 200);
    browser.send(long(9000).text("WS", browser.local()));
    assert!(browser.is_closed());
}

/// NET-5: over TLS it is the same.
#[test]
fn a_browser_registers_and_is_called_over_tls() {
    let dir = TempDir::new().expect("a folder");
    let authority = Authority::new();
    let table = authority.issue(dir.path(), "server", &["localhost"]).table();
    let server = Server::start_listening(dir, &["wss:127.0.0.1:0"], "", &table);
    let stream = authority.connect(server.address("wss"), "localhost").expect("a greeting");
    let local = stream.sock.local_addr().expect("an address");
    let mut bob = sip(stream, local, "WSS");
    bob.register("bob", CONTACT);
    let alice = Wire::new(server.udp);
    let ask = Ask::invite(&server.uri("bob"));
    alice.send(ask.text("UDP", alice.local()));
    let invite = bob.request("INVITE");
    assert!(invite.header("Via").starts_with("SIP/2.0/WSS "), "{}", invite.0);
    bob.send(invite.answer("603 Decline", &[], ""));
    bob.request("ACK");
}
