//! Servers found by name (RFC 3263), and the next one when one fails.

mod field;

use std::{
    net::{SocketAddr, TcpListener},
    time::{Duration, Instant},
};

use field::{
    PATIENCE, Server,
    certificates::Authority,
    dns::Dns,
    wire::{Ask, Got, Stream, Wire, accept},
};
use tempfile::TempDir;

/// A server whose route `far` leads to a name that `dns` knows.
fn relaying(dns: &Dns, to: &str, more: &str) -> Server {
    relaying_in(TempDir::new().expect("a folder"), dns, to, more)
}

fn relaying_in(dir: TempDir, dns: &Dns, to: &str, more: &str) -> Server {
    let sip = "trusted = [\"127.0.0.1\"]\nfailover_after = \"1s\"";
    let route = format!("[[route]]\nuser = \"far\"\nrelay = \"{to}\"\n");
    Server::start_listening(dir, &["udp:[::1]:0"], sip, &format!("{}{more}{route}", dns.table("")))
}

/// A call to `far`, whose answer is awaited elsewhere.
fn call(server: &Server) -> Wire {
    let alice = Wire::new(server.udp);
    alice.send(Ask::invite(&server.uri("far")).text("UDP", alice.local()));
    alice
}

/// A far server over UDP; it hears from anybody.
struct Far(std::net::UdpSocket);

impl Far {
    fn new() -> Self {
        Self::at("127.0.0.1:0")
    }

    fn at(address: &str) -> Self {
        let socket = std::net::UdpSocket::bind(address).expect("a port");
        socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
        Self(socket)
    }

    fn port(&self) -> u16 {
        self.0.local_addr().expect("an address").port()
    }

    /// The next INVITE of a call that it has not seen, answered.
    fn answers(&self, seen: &mut Vec<String>, status: &str) -> Got {
        loop {
            let mut buffer = vec![0; 65_536];
            let (length, from): (usize, SocketAddr) = self.0.recv_from(&mut buffer).expect("a datagram");
            let got = Got(String::from_utf8_lossy(&buffer[..length]).into_owned());
            if got.0.starts_with("INVITE ") && !seen.iter().any(|id| id == got.header("Call-ID")) {
                seen.push(got.header("Call-ID").to_owned());
                self.0.send_to(got.answer(status, &[], "").as_bytes(), from).expect("sent");
                return got;
            }
        }
    }
}

/// NET-9: NAPTR leads to SRV, SRV by priority to hosts; one that says nothing is given up for the next, and for a while
/// it is not asked first. DNS is asked again when its answers have grown old, and not before.
#[test]
fn a_silent_server_is_left_for_the_next_and_avoided() {
    let (silent, good) = (Far::new(), Far::new());
    let dns = Dns::start();
    dns.naptr("voip.test", 10, "SIP+D2U", "_sip._udp.there.test");
    // Of a later order, and so of no concern.
    dns.naptr("voip.test", 20, "SIP+D2T", "_sip._tcp.nowhere.test");
    dns.srv("_sip._udp.there.test", 10, silent.port(), "one.test");
    dns.srv("_sip._udp.there.test", 20, good.port(), "two.test");
    dns.host("one.test", 60, "127.0.0.1");
    dns.host("two.test", 2, "127.0.0.1");
    let server = relaying(&dns, "sip:voip.test", "");
    let mut seen = Vec::new();
    let begun = Instant::now();
    let alice = call(&server);
    good.answers(&mut seen, "603 Decline");
    assert_eq!(alice.final_response().status(), 603);
    let took = begun.elapsed();
    assert!((Duration::from_millis(900)..Duration::from_secs(4)).contains(&took), "{took:?}");
    silent.answers(&mut Vec::new(), "487 Request Terminated");
    assert_eq!((dns.asked("one.test"), dns.asked("two.test")), (1, 1));

    let begun = Instant::now();
    let alice = call(&server);
    good.answers(&mut seen, "603 Decline");
    assert_eq!(alice.final_response().status(), 603);
    let took = begun.elapsed();
    assert!(took < Duration::from_millis(900), "the silent one was asked again: {took:?}");
    assert_eq!((dns.asked("one.test"), dns.asked("two.test")), (1, 1));

    std::thread::sleep(Duration::from_millis(2500));
    let alice = call(&server);
    good.answers(&mut seen, "603 Decline");
    assert_eq!(alice.final_response().status(), 603);
    assert_eq!((dns.asked("one.test"), dns.asked("two.test")), (1, 2));
}

/// NET-9: 503 and a refused connection are reasons to try the next as well; a refusal of the callee is not.
#[test]
fn who_cannot_is_left_for_the_next_at_once() {
    let (busy, good) = (Far::new(), Far::new());
    let closed = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("an address").port();
    let dns = Dns::start();
    dns.srv("_sip._udp.voip.test", 10, busy.port(), "one.test");
    dns.srv("_sip._udp.voip.test", 20, good.port(), "one.test");
    dns.srv("_sip._tcp.stream.test", 10, closed, "one.test");
    let open = TcpListener::bind("127.0.0.1:0").expect("a port");
    dns.srv("_sip._tcp.stream.test", 20, open.local_addr().expect("an address").port(), "one.test");
    dns.host("one.test", 60, "127.0.0.1");
    let server = relaying(&dns, "sip:voip.test", "");
    let mut seen = Vec::new();
    let begun = Instant::now();
    let alice = call(&server);
    busy.answers(&mut Vec::new(), "503 Service Unavailable");
    good.answers(&mut seen, "486 Busy Here");
    assert_eq!(alice.final_response().status(), 486);
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());

    let server = relaying(&dns, "sip:stream.test;transport=tcp", "");
    let begun = Instant::now();
    let _alice = call(&server);
    let mut far = Stream::accept(&open);
    far.request("INVITE");
    assert!(begun.elapsed() < Duration::from_millis(900), "{:?}", begun.elapsed());
}

/// NET-9: a host of both families is tried in both; a name that is not known ends the call at once.
#[test]
fn a_host_may_have_addresses_of_both_families() {
    let six = Far::at("[::1]:0");
    let dns = Dns::start();
    dns.host("both.test", 60, "127.0.0.1");
    dns.host("both.test", 60, "::1");
    let server = relaying(&dns, &format!("sip:both.test:{}", six.port()), "");
    let _alice = call(&server);
    let invite = six.answers(&mut Vec::new(), "603 Decline");
    assert!(invite.header("Via").contains("UDP [::1]:") && invite.0.contains("c=IN IP6 ::1"), "{}", invite.0);

    let server = relaying(&dns, "sip:nobody.test", "");
    let begun = Instant::now();
    assert_eq!(call(&server).final_response().status(), 480);
    assert!(begun.elapsed() < Duration::from_secs(5), "{:?}", begun.elapsed());
    server.logged("no way leads there", PATIENCE);
}

/// NET-4, NET-9: over TLS the server is asked for the name in the URI, and must prove that name and no other, whatever
/// DNS makes of it (RFC 5922).
#[test]
fn a_server_found_by_dns_proves_the_name_that_was_asked_for() {
    let dir = TempDir::new().expect("a folder");
    let authority = Authority::new();
    let table = format!("[tls]\nauthorities = \"{}\"\n", authority.write(dir.path()).display());
    let good = authority.issue(dir.path(), "good", &["secure.test"]);
    let bad = authority.issue(dir.path(), "bad", &["host.test", "127.0.0.1"]);
    let far = TcpListener::bind("127.0.0.1:0").expect("a port");
    let dns = Dns::start();
    let port = far.local_addr().expect("an address").port();
    dns.srv("_sips._tcp.secure.test", 10, port, "host.test");
    dns.host("host.test", 60, "127.0.0.1");
    let server = relaying_in(dir, &dns, "sip:secure.test;transport=tls", &table);
    let _alice = call(&server);
    bad.greet(accept(&far)).expect_err("it proves another name");
    server.logged("no TLS connection", PATIENCE);
    let _alice = call(&server);
    let (stream, name) = good.greet(accept(&far)).expect("a greeting");
    assert_eq!(name.as_deref(), Some("secure.test"));
    let local = far.local_addr().expect("an address");
    let invite = Stream::over(Box::new(stream), local, "TLS").request("INVITE");
    assert!(invite.header("Via").starts_with("SIP/2.0/TLS "), "{}", invite.0);
}
