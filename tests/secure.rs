//! SIP over TLS: who proves what to whom, and what `sips` demands.

mod field;

use std::{
    fs,
    io::Write,
    net::{SocketAddr, TcpListener},
    process::{Command, Output, Stdio},
};

use field::{
    ALICE, PATIENCE, Program, Server,
    baresip::Baresip,
    certificates::{Authority, Identity},
    eventually, heard, total,
    wire::{Ask, Stream, Wire, accept},
};
use tempfile::TempDir;

struct Secured {
    server: Server,
    authority: Authority,
}

/// A server with a certificate for localhost and 127.0.0.1, which believes the same authority.
fn secured(extra: &str) -> Secured {
    let dir = TempDir::new().expect("a folder");
    let authority = Authority::new();
    let ca = authority.write(dir.path());
    let identity = authority.issue(dir.path(), "server", &["localhost", "127.0.0.1"]);
    let table = format!("{}authorities = \"{}\"\n{extra}", identity.table(), ca.display());
    let server = Server::start_listening(dir, &["tls:127.0.0.1:0"], "", &table);
    Secured { server, authority }
}

impl Secured {
    fn address(&self) -> SocketAddr {
        self.server.address("tls")
    }

    /// A connection of a client that believes the authority.
    fn connect(&self) -> Stream {
        let stream = self.authority.connect(self.address(), "localhost").expect("a greeting");
        let local = stream.sock.local_addr().expect("an address");
        Stream::over(Box::new(stream), local, "TLS")
    }
}

fn options() -> Ask {
    Ask::new("OPTIONS", "sip:x@localhost")
}

fn home() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").expect("a port")
}

/// `openssl s_client` against the server, given some input: what it said.
fn openssl(address: SocketAddr, arguments: &[&str], input: &str) -> Output {
    let mut command = Command::new("openssl");
    command.args(["s_client", "-connect", &address.to_string()]).args(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut program = Program::start(&mut command);
    let mut stdin = program.0.stdin.take().expect("standard input");
    stdin.write_all(input.as_bytes()).expect("written");
    // Long enough for an answer; then the end of the input ends it.
    std::thread::sleep(std::time::Duration::from_secs(2));
    drop(stdin);
    let status = program.wait(PATIENCE).expect("it ends");
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    std::io::Read::read_to_end(&mut program.0.stdout.take().expect("output"), &mut stdout).expect("read");
    std::io::Read::read_to_end(&mut program.0.stderr.take().expect("output"), &mut stderr).expect("read");
    Output { status, stdout, stderr }
}

/// NET-4: a phone registers over TLS and is called on that connection; Via and Contact say so. When the connection is
/// gone, a new one leads to its Contact, which has to prove itself; to one that cannot nothing is sent.
#[test]
fn a_phone_registers_and_is_called_over_tls() {
    let secured = secured("");
    let server = &secured.server;
    let home = home();
    let at = home.local_addr().expect("an address");
    let mut phone = secured.connect();
    phone.register("bob", &format!("<sip:bob@{at};transport=tls>"));
    let call = || {
        let alice = Wire::new(server.udp);
        let ask = Ask::invite(&server.uri("bob"));
        alice.send(ask.text("UDP", alice.local()));
        alice
    };
    let alice = call();
    let invite = phone.request("INVITE");
    assert!(invite.header("Via").starts_with("SIP/2.0/TLS "), "{}", invite.0);
    assert!(invite.header("Contact").contains(";transport=tls"), "{}", invite.0);
    phone.send(invite.answer("603 Decline", &[], ""));
    phone.request("ACK");
    drop((phone, alice));

    let connections = || server.get("/metrics").1.contains("sems_connections 0\n").then_some(());
    eventually("the end of the connection", PATIENCE, connections);
    let elsewhere = Authority::new().issue(server.dir.path(), "stranger", &["127.0.0.1"]);
    let alice = call();
    elsewhere.greet(accept(&home)).expect_err("not by an authority that the server believes");
    alice.final_response();
    server.logged("no TLS connection", PATIENCE);

    let proved = secured.authority.issue(server.dir.path(), "bob", &["127.0.0.1"]);
    let _alice = call();
    let (stream, _) = proved.greet(accept(&home)).expect("a greeting");
    let mut phone = Stream::over(Box::new(stream), at, "TLS");
    let invite = phone.request("INVITE");
    phone.send(invite.answer("603 Decline", &[], ""));
    phone.request("ACK");
}

/// NET-4: nothing older than TLS 1.2 is spoken; whoever verifies the certificate can.
#[test]
fn openssl_verifies_and_finds_nothing_old() {
    let secured = secured("");
    let ca = secured.server.dir.path().join("ca.pem");
    let ca = ca.to_str().expect("text");
    let question = options().text("TLS", "127.0.0.1:5061".parse().expect("an address"));
    for version in ["-tls1_2", "-tls1_3"] {
        let verify = [version, "-servername", "localhost", "-verify_return_error", "-CAfile", ca];
        let output = openssl(secured.address(), &verify, &question);
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(said.contains("Verify return code: 0 (ok)"), "{version}: {said}");
        assert!(said.contains("SIP/2.0 200 OK"), "{version}: {said}");
    }
    let output = openssl(secured.address(), &["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "");
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && said.contains("SSL alert number"), "{said}");
}

/// NET-4: SIGHUP shows a new certificate to new connections; one that cannot be read changes nothing.
#[test]
fn certificates_are_read_anew() {
    let secured = secured("");
    let dir = secured.server.dir.path();
    let shown = || {
        let stream = secured.authority.connect(secured.address(), "localhost").expect("a greeting");
        stream.conn.peer_certificates().expect("a certificate")[0].clone()
    };
    let mut open = secured.connect();
    let first = shown();
    assert_eq!(shown(), first);
    secured.authority.issue(dir, "server", &["localhost"]);
    secured.server.signal("HUP");
    secured.server.logged("were read anew", PATIENCE);
    let second = shown();
    assert_ne!(second, first);
    fs::write(dir.join("server.pem"), "nonsense").expect("written");
    secured.server.signal("HUP");
    let line = secured.server.logged("stays as it was", PATIENCE);
    assert!(line.contains("tls.certificate") && line.contains("server.pem"), "{line}");
    assert_eq!(shown(), second);
    assert_eq!(open.ask(&options()).status(), 200, "what is open goes on");
}

/// NET-4: a file that is missing, or a key of another certificate, is told at the start.
#[test]
fn a_start_without_a_usable_certificate_says_why() {
    let authority = Authority::new();
    let cases = ["missing", "pair", "empty"];
    for case in cases {
        let dir = TempDir::new().expect("a folder");
        let Identity { certificate, key } = authority.issue(dir.path(), "server", &["localhost"]);
        let reason = match case {
            "missing" => {
                fs::remove_file(&key).expect("removed");
                "tls.key: "
            }
            "pair" => {
                authority.issue(dir.path(), "other", &["localhost"]);
                fs::copy(dir.path().join("other.key"), &key).expect("copied");
                "is not the key of "
            }
            _ => {
                fs::write(&certificate, "").expect("written");
                "holds no certificate"
            }
        };
        let config = dir.path().join("sems.toml");
        let text = format!(
            "[sip]\nlisten = [\"tls:127.0.0.1:0\"]\n[http]\nlisten = \"127.0.0.1:0\"\n{}",
            Identity { certificate, key }.table()
        );
        fs::write(&config, text).expect("written");
        let mut command = Command::new(env!("CARGO_BIN_EXE_sems"));
        command.args(["serve", "--config"]).arg(&config).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut program = Program::start(&mut command);
        let status = program.wait(PATIENCE).expect("it ends by itself");
        let mut said = String::new();
        let mut stderr = program.0.stderr.take().expect("standard error");
        std::io::Read::read_to_string(&mut stderr, &mut said).expect("text");
        assert!(!status.success() && said.contains(reason), "{case}: {said}");
        assert!(said.contains(dir.path().to_str().expect("text")), "{case}: {said}");
    }
}

/// NET-4: a `sips` URI is refused where the way is not TLS; over TLS its dialog stays `sips`, and it reaches only
/// phones that TLS leads to (RFC 5630).
#[test]
fn sips_is_tls_all_the_way() {
    let secured = secured("");
    let server = &secured.server;
    let alice = Wire::new(server.udp);
    let got = alice.ask(&Ask::invite(&format!("sips:echo@{}", server.udp)));
    assert_eq!(got.status(), 403, "{}", got.0);
    let mut caller = secured.connect();
    let echo = Ask::invite(&format!("sips:echo@{}", secured.address()));
    let ok = caller.ask(&echo);
    assert_eq!(ok.status(), 200, "{}", ok.0);
    assert!(ok.header("Contact").starts_with("<sips:"), "{}", ok.0);
    // bob has a phone, but no way to it is TLS.
    let bob = Wire::new(server.udp);
    bob.register("sip:localhost", "bob");
    let ask = Ask::invite(&format!("sips:bob@{}", secured.address()));
    caller.send(ask.text("TLS", caller.local()));
    caller.response(200); // voicemail
    assert!(bob.try_receive(std::time::Duration::from_millis(300)).is_none());
    let mut phone = secured.connect();
    phone.register("bob", &format!("<sips:bob@{}>", phone.local()));
    let ask = Ask::invite(&format!("sips:bob@{}", secured.address()));
    caller.send(ask.text("TLS", caller.local()));
    let invite = phone.request("INVITE");
    assert!(invite.0.starts_with("INVITE sips:"), "{}", invite.0);
    assert!(invite.header("Contact").starts_with("<sips:"), "{}", invite.0);
}

/// NET-4: baresip, believing our authority alone, registers over TLS and hears its echo.
#[test]
fn baresip_calls_over_tls() {
    let secured = secured("");
    let mut phone = Baresip::start_over("tls", secured.server.dir.path(), &ALICE, secured.address(), 440.0);
    phone.call("sip:echo@localhost");
    eventually("its echo", PATIENCE, || {
        let (samples, rate) = phone.heard();
        (total(&heard(&samples, rate, 440.0, field::LOUD)) > 1.0).then_some(())
    });
    phone.hang_up();
    let (_, registrations) = secured.server.get("/api/v1/registrations");
    assert!(registrations.contains("\"tls:127.0.0.1:"), "{registrations}");
}
