//! SIP over every transport, on real sockets: connections that close, are reused, idle, flooded or not read.

mod field;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    time::{Duration, Instant},
};

use field::{
    Server, eventually,
    wire::{Ask, Got, Knows, PATIENCE, Stream, Wire},
};
use tempfile::TempDir;

/// A number of `/metrics`.
fn metric(server: &Server, name: &str) -> f64 {
    let (status, text) = server.get("/metrics");
    assert_eq!(status, 200, "{text}");
    let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
    line.and_then(|value| value.parse().ok()).unwrap_or_else(|| panic!("no {name} in {text}"))
}

fn until_connections(server: &Server, count: f64) {
    eventually(&format!("{count} connections"), PATIENCE, || {
        (metric(server, "sems_connections") == count).then_some(())
    });
}

/// A listener that a phone or a proxy has.
fn home() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

/// The next request of a method that reaches a UDP phone.
fn request(wire: &Wire, method: &str) -> Got {
    let until = Instant::now() + PATIENCE;
    while let Some(got) = wire.try_receive(until.saturating_duration_since(Instant::now())) {
        if got.0.starts_with(&format!("{method} ")) {
            return got;
        }
    }
    panic!("no {method}");
}

/// NET-1: a response finds a caller whose connection is gone: at the port of its Via, not at the port it sent from
/// (RFC 3261 section 18.2.2).
#[test]
fn a_response_finds_a_caller_whose_connection_is_gone() {
    let server = Server::start("");
    let bob = Wire::new(server.udp);
    bob.register("sip:localhost", "bob");
    let home = home();
    let at = home.local_addr().expect("an address");
    let mut caller = Stream::new(server.tcp);
    let ask = Ask::invite(&server.uri("bob")).line(format!("Contact: <sip:x@{at};transport=tcp>"));
    caller.send(ask.text("TCP", at));
    caller.response(100);
    let invite = request(&bob, "INVITE");
    drop(caller);
    until_connections(&server, 0.0);
    bob.send(invite.answer("180 Ringing", &[], ""));
    let mut caller = Stream::accept(&home);
    caller.response(180);
    bob.send(invite.accept(&format!("<sip:bob@{}>", bob.local())));
    let ok = caller.response(200);
    request(&bob, "ACK");
    let mut ack = Ask::new("ACK", &server.uri("bob"));
    (ack.from, ack.to, ack.call_id) = (ask.from, ok.header("To").to_owned(), ask.call_id);
    caller.send(ack.text("TCP", at));
    // Without a connection again: the BYE of a dialog goes to the Contact.
    drop(caller);
    until_connections(&server, 0.0);
    let mut bye = Ask::new("BYE", &format!("sip:{}", server.udp));
    bye.from = format!("{};tag=t", invite.header("To"));
    bye.to = invite.header("From").to_owned();
    bye.call_id = invite.header("Call-ID").to_owned();
    assert_eq!(bob.ask(&bye).status(), 200);
    let bye = Stream::accept(&home).request("BYE");
    assert_eq!(bye.header("Call-ID"), ack.call_id);
}

/// NET-1: a phone that registered over TCP is called by its own connection, every time; when that is gone, by a new
/// one to its Contact, which is then kept.
#[test]
fn calls_take_the_phones_own_connection_while_it_is_there() {
    let server = Server::start("");
    let home = home();
    let contact = format!("<sip:bob@{};transport=tcp>", home.local_addr().expect("an address"));
    let mut phone = Stream::new(server.tcp);
    phone.register("bob", &contact);
    let ring = |phone: &mut Stream| {
        let alice = Wire::new(server.udp);
        let mut ask = Ask::invite(&server.uri("bob"));
        ask.more.push("Max-Forwards: 9".to_owned());
        alice.send(ask.text("UDP", alice.local()));
        let invite = phone.request("INVITE");
        assert!(invite.header("Via").starts_with("SIP/2.0/TCP "), "{}", invite.0);
        phone.send(invite.answer("603 Decline", &[], ""));
        phone.request("ACK");
    };
    ring(&mut phone);
    ring(&mut phone);
    drop(phone);
    until_connections(&server, 0.0);
    let alice = Wire::new(server.udp);
    let ask = Ask::invite(&server.uri("bob"));
    alice.send(ask.text("UDP", alice.local()));
    let mut phone = Stream::accept(&home);
    let invite = phone.request("INVITE");
    phone.send(invite.answer("603 Decline", &[], ""));
    ring(&mut phone);
    assert_eq!(metric(&server, "sems_connections"), 1.0);
}

/// NET-2: one peer gets so many connections and no more, and a connection that closes makes room.
#[test]
fn one_peer_gets_so_many_connections() {
    let server = Server::start("[streams]\nmax_per_peer = 3\n");
    let mut open: Vec<Stream> = (0..3)
        .map(|_| {
            let mut stream = Stream::new(server.tcp);
            assert_eq!(stream.ask(&Ask::new("OPTIONS", &server.uri("x"))).status(), 200);
            stream
        })
        .collect();
    assert!(Stream::new(server.tcp).is_closed());
    assert_eq!(metric(&server, "sems_connections_refused_total"), 1.0);
    open.pop();
    until_connections(&server, 2.0);
    let mut again = Stream::new(server.tcp);
    assert_eq!(again.ask(&Ask::new("OPTIONS", &server.uri("x"))).status(), 200);
}

/// NET-2: who connects and sends no whole message is let go, however busily he sends; who idles too.
#[test]
fn a_connection_has_to_be_used() {
    let limits = "[streams]\nhalf_open_timeout = \"2s\"\nidle_timeout = \"3s\"\nmax_half_open = 30\n";
    let server = Server::start(limits);
    let begun = Instant::now();
    let mut dribbling = TcpStream::connect(server.tcp).expect("a connection");
    let silent = [0; 2].map(|_| Stream::new(server.tcp));
    // A tenth of max_half_open for each peer: one more is closed at once, not when its time is over.
    assert!(Stream::new(server.tcp).is_closed());
    assert!(begun.elapsed() < Duration::from_millis(1500), "{:?}", begun.elapsed());
    let written = (0..200).take_while(|_| {
        std::thread::sleep(Duration::from_millis(50));
        dribbling.write_all(b"O").is_ok()
    });
    assert!(written.count() < 200, "a connection without a message is kept");
    for mut stream in silent {
        assert!(stream.is_closed());
    }
    assert!(begun.elapsed() > Duration::from_millis(1900), "{:?}", begun.elapsed());
    let mut used = Stream::new(server.tcp);
    used.ask(&Ask::new("OPTIONS", &server.uri("x")));
    let idle = Instant::now();
    std::thread::sleep(Duration::from_millis(2500));
    assert_eq!(used.ask(&Ask::new("OPTIONS", &server.uri("x"))).status(), 200, "it is beyond half open");
    assert!(used.is_closed() && idle.elapsed() > Duration::from_millis(5400), "{:?}", idle.elapsed());
}

/// NET-3: a peer that asks and never reads is closed; others are answered all the while.
#[test]
fn who_does_not_read_blocks_nobody() {
    let server = Server::start("");
    let mut slow = TcpStream::connect(server.tcp).expect("a connection");
    let local = slow.local_addr().expect("an address");
    slow.set_nonblocking(true).expect("a socket");
    let question = Ask::new("OPTIONS", &server.uri("x"));
    let begun = Instant::now();
    let mut other = Stream::new(server.tcp);
    let mut slowest = Duration::ZERO;
    let mut rest: Vec<u8> = Vec::new();
    let closed = loop {
        assert!(begun.elapsed() < PATIENCE, "a peer that reads nothing is served for ever");
        if rest.is_empty() {
            rest = (0..50).flat_map(|_| question.text("TCP", local).into_bytes()).collect();
        }
        match slow.write(&rest) {
            Ok(length) => drop(rest.drain(..length)),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => break error,
        }
        let asked = Instant::now();
        assert_eq!(other.ask(&question).status(), 200);
        slowest = slowest.max(asked.elapsed());
    };
    assert!(slowest < Duration::from_secs(5), "another one waited {slowest:?}");
    println!("closed after {:?} with {closed}; others waited {slowest:?} at most", begun.elapsed());
    let _ = slow.read(&mut [0; 16]);
    until_connections(&server, 1.0);
}

/// NET-6: a STUN binding request on the SIP port is answered with where it came from (RFC 5626 section 4.4.2); a
/// double CRLF on a stream with CRLF, also in the midst of messages.
#[test]
fn keepalives_are_answered() {
    let server = Server::start("");
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let request = b"\x00\x01\x00\x00\x21\x12\xa4\x42abcdefghijkl";
    socket.send_to(request, server.udp).expect("sent");
    let mut answer = [0; 100];
    let (length, from) = socket.recv_from(&mut answer).expect("an answer");
    assert_eq!((length, from), (32, server.udp));
    assert_eq!(answer[..4], [0x01, 0x01, 0x00, 0x0c]);
    assert_eq!(answer[4..20], request[4..]);
    let port = u16::from_be_bytes([answer[26] ^ 0x21, answer[27] ^ 0x12]);
    assert_eq!(port, socket.local_addr().expect("an address").port());
    let ip: Vec<u8> = answer[28..32].iter().zip([0x21, 0x12, 0xa4, 0x42]).map(|(a, b)| a ^ b).collect();
    assert_eq!(ip, [127, 0, 0, 1]);
    assert_eq!(metric(&server, "sems_stun_total"), 1.0);

    let mut stream = Stream::new(server.tcp);
    let question = Ask::new("OPTIONS", &server.uri("x")).text("TCP", stream.local());
    for pieces in [&["\r\n\r\n"][..], &["\r\n", "\r\n"]] {
        assert_eq!(
            stream.ask_text(&question.replace("z9hG4bK", &format!("z9hG4bK{}", pieces.len()))).status(),
            200
        );
        for piece in pieces {
            stream.send(piece);
            std::thread::sleep(Duration::from_millis(50));
        }
        assert_eq!(stream.until("\r\n"), "\r\n");
    }
}

/// NET-7: a phone with two flows (RFC 5626) rings once, on the one it refreshed last; when that is gone, on the other.
#[test]
fn a_phone_with_two_flows_rings_on_one_that_is_there() {
    let server = Server::start("");
    let mut flows: Vec<Stream> = (1..=2)
        .map(|number| {
            let mut flow = Stream::new(server.tcp);
            let contact = format!(
                "<sip:bob@192.0.2.77:5060;transport=tcp;ob>;reg-id={number};\
                 +sip.instance=\"<urn:uuid:00000000-0000-1000-8000-AABBCCDDEEFF>\""
            );
            let ok = flow.register_with("bob", &contact, &["Supported: path, outbound"]);
            assert_eq!(ok.header("Require"), "outbound", "{}", ok.0);
            assert_eq!(ok.headers("Contact").len(), number, "{}", ok.0);
            // Expiries are whole seconds, and the later flow shall be the later.
            std::thread::sleep(Duration::from_millis(20));
            flow
        })
        .collect();
    let alice = Wire::new(server.udp);
    while let Some(mut flow) = flows.pop() {
        let ask = Ask::invite(&server.uri("bob"));
        alice.send(ask.text("UDP", alice.local()));
        let invite = flow.request("INVITE");
        assert!(invite.0.starts_with("INVITE sip:bob@192.0.2.77:5060;"), "{}", invite.0);
        for other in &mut flows {
            assert!(other.is_quiet(Duration::from_millis(200)), "both ring");
        }
        flow.send(invite.answer("603 Decline", &[], ""));
        flow.request("ACK");
        drop(flow);
        until_connections(&server, flows.len() as f64);
    }
    // No flow is left, and its Contact is not tried: voicemail.
    assert_eq!(alice.ask(&Ask::invite(&server.uri("bob"))).status(), 200);
}

/// NET-8: a request of more than 1,300 bytes goes by TCP where a datagram would go to a server that listens (RFC 3261
/// section 18.1.1), a shorter one does not, and one that nobody takes by TCP goes as a datagram after all.
#[test]
fn a_long_request_goes_by_tcp() {
    let (udp, tcp) = loop {
        let tcp = home();
        if let Ok(udp) = UdpSocket::bind(tcp.local_addr().expect("an address")) {
            break (udp, tcp);
        }
    };
    let at = udp.local_addr().expect("an address");
    let relay = format!("[[route]]\nuser = \"far\"\nrelay = \"sip:{at}\"\n");
    let server = Server::start_with(TempDir::new().expect("a folder"), "trusted = [\"127.0.0.1\"]", &relay);
    udp.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let alice = Wire::new(server.udp);
    let call = |name: &str| {
        let mut ask = Ask::invite(&server.uri("far"));
        ask.from = format!("\"{name}\" {}", ask.from);
        alice.send(ask.text("UDP", alice.local()));
    };
    let datagram = || {
        let mut buffer = vec![0; 65_536];
        let (length, from) = udp.recv_from(&mut buffer).expect("a datagram");
        (Got(String::from_utf8_lossy(&buffer[..length]).into_owned()), from)
    };
    call("Short");
    let (invite, from) = datagram();
    assert!(invite.header("Via").starts_with("SIP/2.0/UDP "), "{}", invite.0);
    udp.send_to(invite.answer("603 Decline", &[], "").as_bytes(), from).expect("sent");

    let long = "y".repeat(1000);
    call(&long);
    let mut stream = Stream::accept(&tcp);
    let invite = stream.request("INVITE");
    assert!(invite.0.len() > 1300, "{}", invite.0.len());
    assert_eq!(invite.header("Via").find("SIP/2.0/TCP "), Some(0), "{}", invite.0);
    assert!(!invite.header("Contact").contains("transport"), "{}", invite.0);
    stream.send(invite.accept(&format!("<sip:far@{at}>")));
    // What is short goes by datagrams again.
    let ack = loop {
        let (got, _) = datagram();
        if got.0.starts_with("ACK ") && got.header("Call-ID") == invite.header("Call-ID") {
            break got;
        }
    };
    assert!(ack.header("Via").starts_with("SIP/2.0/UDP "), "{}", ack.0);

    drop((stream, tcp));
    until_connections(&server, 0.0);
    call(&long);
    let invite = loop {
        let (got, _) = datagram();
        if got.0.starts_with("INVITE ") {
            break got;
        }
    };
    assert!(invite.0.len() > 1300 && invite.header("Via").starts_with("SIP/2.0/UDP "), "{}", invite.0);
}

/// NET-10: behind a NAT a phone tells addresses that lead nowhere: it is answered where it sent from (RFC 3581), and
/// its dialog and its calls go there as well, with or without `rport`.
#[test]
fn a_phone_behind_a_nat_is_reached_where_it_sends_from() {
    let server = Server::start("");
    for rport in [";rport", ""] {
        let phone = Wire::new(server.udp);
        let inside = "10.99.1.2:5060";
        let behind = |ask: &Ask| {
            let text = ask.text("UDP", phone.local()).replace(&phone.local().to_string(), inside);
            text.replace(";rport\r\n", &format!("{rport}\r\n"))
        };
        let ask = Ask::invite(&server.uri("echo"));
        let ok = phone.ask_text(&behind(&ask));
        assert_eq!(ok.status(), 200, "{}", ok.0);
        let via = ok.header("Via");
        assert!(via.contains("received=127.0.0.1"), "{via}");
        assert_eq!(via.contains(&format!("rport={}", phone.local().port())), !rport.is_empty(), "{via}");
        let mut ack = Ask::new("ACK", &server.uri("echo"));
        (ack.from, ack.to, ack.call_id) = (ask.from, ok.header("To").to_owned(), ask.call_id);
        phone.send(behind(&ack));
    }
    // It is called where its REGISTER came from, and the ACK of its answer goes there.
    let bob = Wire::new(server.udp);
    let mut ask = Ask::new("REGISTER", "sip:localhost").claiming("bob");
    ask.to = "<sip:bob@localhost>".to_owned();
    ask = ask.line("Contact: <sip:bob@10.99.1.2:5060>");
    let (_, ok) = bob.ask_as(&mut ask, "bob", "bob-secret", Knows::Md5);
    assert_eq!(ok.status(), 200, "{}", ok.0);
    let alice = Wire::new(server.udp);
    let ask = Ask::invite(&server.uri("bob"));
    alice.send(ask.text("UDP", alice.local()));
    let invite = request(&bob, "INVITE");
    bob.send(invite.accept("<sip:bob@10.99.1.2:5060>"));
    assert_eq!(alice.final_response().status(), 200);
    request(&bob, "ACK");
}

/// NET-10: what we call ourselves depends on who asks: by network, by listener, in Contact, Via and SDP alike.
#[test]
fn an_address_is_advertised_by_network_and_listener() {
    let rules = "[[advertise]]\nlisten = \"tcp:127.0.0.1:0\"\nnetwork = [\"127.0.0.0/8\"]\n\
                 address = \"198.51.100.7\"\nport = 5080\n";
    let server = Server::start(rules);
    let mut stream = Stream::new(server.tcp);
    let ok = stream.ask(&Ask::invite(&server.uri("echo")));
    assert_eq!(ok.header("Contact"), "<sip:echo@198.51.100.7:5080;transport=tcp>", "{}", ok.0);
    assert!(ok.0.contains("c=IN IP4 198.51.100.7\r\n"), "{}", ok.0);
    let wire = Wire::new(server.udp);
    let ok = wire.ask(&Ask::invite(&server.uri("echo")));
    assert_eq!(ok.header("Contact"), format!("<sip:echo@{}>", server.udp), "{}", ok.0);
    assert!(ok.0.contains("c=IN IP4 127.0.0.1\r\n"), "{}", ok.0);
    stream.register("bob", &format!("<sip:bob@{};transport=tcp>", stream.local()));
    wire.send(Ask::invite(&server.uri("bob")).text("UDP", wire.local()));
    let invite = stream.request("INVITE");
    assert!(invite.header("Via").starts_with("SIP/2.0/TCP 198.51.100.7:5080;"), "{}", invite.0);
}

/// NET-11, SER-04: an IPv4 caller and an IPv6 callee hear each other.
#[test]
fn ipv4_calls_ipv6() {
    let dir = TempDir::new().expect("a folder");
    let server = Server::start_listening(dir, &["udp:[::1]:0"], "", "");
    let bob = Wire::new(server.address_of("udp", true));
    bob.register("sip:localhost", "bob");
    let alice = Wire::new(server.udp);
    let ears = ["127.0.0.1:0", "[::1]:0"].map(|any| UdpSocket::bind(any).expect("a port"));
    let ports = ears.each_ref().map(|ear| ear.local_addr().expect("an address").port());
    let mut ask = Ask::invite(&server.uri("bob"));
    ask.body = ask.body.replace("30000", &ports[0].to_string());
    alice.send(ask.text("UDP", alice.local()));
    let invite = request(&bob, "INVITE");
    assert!(invite.header("Via").contains("UDP [::1]:") && invite.0.contains("c=IN IP6 ::1"), "{}", invite.0);
    let contact = format!("<sip:bob@{}>", bob.local());
    let answer = invite.accept(&contact);
    let (head, body) = answer.split_once("\r\n\r\n").expect("a body");
    let body = body.replace("IP4 127.0.0.1", "IP6 ::1").replace("30000", &ports[1].to_string());
    let head =
        head.lines().filter(|line| !line.starts_with("Content-Length")).collect::<Vec<_>>().join("\r\n");
    bob.send(format!("{head}\r\nContent-Length: {}\r\n\r\n{body}", body.len()));
    let ok = alice.final_response();
    assert!(ok.status() == 200 && ok.0.contains("c=IN IP4 127.0.0.1"), "{}", ok.0);
    let mut ack = Ask::new("ACK", &server.uri("bob"));
    (ack.from, ack.to, ack.call_id) = (ask.from, ok.header("To").to_owned(), ask.call_id);
    alice.send(ack.text("UDP", alice.local()));
    request(&bob, "ACK");
    let media = |got: &Got, ip: &str| -> std::net::SocketAddr {
        let line = got.0.lines().find_map(|line| line.strip_prefix("m=audio ")).expect("media");
        let port = line.split(' ').next().expect("a port");
        format!("{ip}:{port}").parse().expect("an address")
    };
    let theirs = [media(&ok, "127.0.0.1"), media(&invite, "[::1]")];
    for ear in &ears {
        ear.set_nonblocking(true).expect("a socket");
    }
    let mut heard = [0; 2];
    for number in 0..100_u16 {
        for (at, ear) in ears.iter().enumerate() {
            let [high, low] = number.to_be_bytes();
            let stamp = (u32::from(number) * 160).to_be_bytes();
            let mut packet = vec![0x80, 0, high, low, stamp[0], stamp[1], stamp[2], stamp[3], 0, 0, 0, 7];
            packet.resize(172, 0x55 + u8::try_from(at).expect("small"));
            ear.send_to(&packet, theirs[at]).expect("sent");
            let mut buffer = [0; 2048];
            while let Ok((length, _)) = ear.recv_from(&mut buffer) {
                heard[at] +=
                    usize::from(length == 172 && buffer[100] == 0x56 - u8::try_from(at).expect("small"));
            }
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    assert!(heard.iter().all(|packets| *packets > 50), "{heard:?}");
}
