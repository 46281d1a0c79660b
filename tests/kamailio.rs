//! Kamailio in front, with the configuration that `docs/kamailio.md` gives to operators.

mod field;

use std::{
    net::{SocketAddr, UdpSocket},
    path::Path,
    time::Duration,
};

use field::{
    ALICE, Account, BOB, CAROL, PATIENCE, Program, Server, baresip::Baresip, dialling, eventually, free_port,
    heard, hung_up, kamailio::Kamailio, letter, linphone::Linphone, mails, tone_file, total, unbroken, wav,
};
use tempfile::TempDir;

const DAVE: Account = Account { user: "dave", password: "dave-secret", domain: "localhost" };
const ERIN: Account = Account { user: "erin", password: "erin-secret", domain: "localhost" };
const USERS: [Account; 5] = [ALICE, BOB, CAROL, DAVE, ERIN];

/// Mailboxes of users whom only the proxy registers.
const MORE_MAILBOXES: &str = r#"
[[account]]
user = "dave"
email = "dave@example.org"

[[account]]
user = "erin"
email = "erin@example.org"
"#;

/// The media server, which trusts the proxy or does not.
fn server(trusted: &str) -> Server {
    Server::start_with(TempDir::new().expect("a folder"), &format!("trusted = [{trusted}]"), MORE_MAILBOXES)
}

fn text(path: &Path) -> &str {
    path.to_str().expect("text")
}

/// `caller` calls `uri` through the proxy, says a tone of `hz` all the time, and hangs up after some seconds.
fn calls(dir: &Path, caller: &Account, uri: &str, hz: f32, seconds: u64) -> Program {
    let said = dir.join(format!("said-{hz}.wav"));
    tone_file(&said, hz, Duration::from_secs(60));
    let got = dir.join(format!("heard-{hz}.wav"));
    let from = format!("sip:{}@{}", caller.user, caller.domain);
    let time = format!("{seconds}s");
    let account = ["--from", &from, "--user", caller.user, "--password", caller.password];
    let sound = ["--play", text(&said), "--record", text(&got), "--for", &time];
    dialling(&[&[uri][..], &account, &sound].concat())
}

/// The caller heard greeting and beep, and the mail to `callee` brings what he said after it.
fn message_arrived(server: &Server, callee: &str, hz: f32) {
    let dir = server.dir.path();
    let (samples, rate) = wav(&dir.join(format!("heard-{hz}.wav")));
    let beep = total(&heard(&samples, rate, 440.0, -25.0));
    assert!(beep > 0.3, "the caller of {callee} hears a beep of {beep:.2} s");
    let sound = dir.join(format!("message-{callee}.wav"));
    let to = format!("To: {callee}@example.org");
    let mail = eventually(&format!("a mail to {callee}"), PATIENCE, || {
        let mut all = mails(&server.data().join("mail")).into_iter();
        all.find_map(|mail| Some(letter(&mail, &sound)).filter(|text| text.contains(&to)))
    });
    assert!(mail.contains("alice"), "the caller is named: {mail}");
    unbroken(&format!("the message for {callee}"), &wav(&sound), f64::from(hz), 3.0);
}

/// SEMS-VM-4, SEMS-VM-5, SEMS-X1, SER-05: the pairing of the source document. The callee of a proxy is offline,
/// busy, does not answer or declines; the failure route hands the call to us, and the callee gets the message.
#[test]
fn the_failure_route_leads_to_voicemail() {
    let server = server("\"127.0.0.1\"");
    let dir = server.dir.path();
    let proxy = Kamailio::start(dir, server.udp, &USERS, &["RING_TIMEOUT=3000"]);
    let mut busy = Baresip::ringing(dir, &CAROL, proxy.udp);
    let _silent = Baresip::ringing(dir, &DAVE, proxy.udp);
    let mut declines = Linphone::ringing(dir, &ERIN, proxy.udp);
    let callees = [("bob", 1000.0), ("carol", 1100.0), ("dave", 1200.0), ("erin", 1300.0)];
    let callers = callees.map(|(callee, hz)| calls(dir, &ALICE, &proxy.uri(callee), hz, 15));
    busy.refuse();
    declines.decline();
    for (caller, (callee, hz)) in callers.into_iter().zip(callees) {
        let call = hung_up(caller);
        assert_eq!(call.status(), 200, "{callee}: {call:?}\n{}\n{}", proxy.log(), server.log().join("\n"));
        message_arrived(&server, callee, hz);
    }
    assert_eq!(mails(&server.data().join("mail")).len(), callees.len(), "one mail for each");
}

/// SEMS-X1, SEMS-VM-5: with a pilot number for voicemail, Diversion names the mailbox; from a peer that is not
/// trusted, Diversion and P-App-Name mean nothing.
#[test]
fn diversion_names_the_mailbox_when_the_peer_is_trusted() {
    let server = server("\"127.0.0.1\"");
    let dir = server.dir.path();
    let proxy = Kamailio::start(dir, server.udp, &USERS, &["WITH_PILOT_NUMBER"]);
    let stranger = Server::start("");
    let no_trust = Kamailio::start(stranger.dir.path(), stranger.udp, &USERS, &["WITH_PILOT_NUMBER"]);
    // Nobody's From, so that neither asks for a password.
    let alice_elsewhere = Account { user: "alice", password: "x", domain: "elsewhere.invalid" };
    let here = calls(dir, &alice_elsewhere, &proxy.uri("bob"), 1000.0, 15);
    let refused = hung_up(calls(stranger.dir.path(), &alice_elsewhere, &no_trust.uri("bob"), 1100.0, 5));
    assert_eq!(refused.status(), 404, "{refused:?}\n{}", no_trust.log());
    let call = hung_up(here);
    assert_eq!(call.status(), 200, "{call:?}\n{}\n{}", proxy.log(), server.log().join("\n"));
    message_arrived(&server, "bob", 1000.0);
    assert!(mails(&stranger.data().join("mail")).is_empty(), "the other server took a message");
}

/// SEMS-IV-2, SEMS-VM-5: the owner, whom the proxy authenticates and names in P-Asserted-Identity, dials `message`
/// and hears what was left for him, without a PIN.
#[test]
fn the_owner_hears_his_message_through_the_proxy() {
    let server = server("\"127.0.0.1\"");
    let dir = server.dir.path();
    let proxy = Kamailio::start(dir, server.udp, &USERS, &[]);
    let call = hung_up(calls(dir, &ALICE, &proxy.uri("bob"), 1000.0, 15));
    assert_eq!(call.status(), 200, "{call:?}\n{}", proxy.log());
    message_arrived(&server, "bob", 1000.0);
    let got = dir.join("menu.wav");
    let call = hung_up(dialling(&[
        &proxy.uri("message"),
        "--from",
        "sip:bob@localhost",
        "--user",
        "bob",
        "--password",
        "bob-secret",
        "--digits",
        ",,,,1",
        "--record",
        text(&got),
        "--for",
        "15s",
    ]));
    assert_eq!(call.status(), 200, "{call:?}\n{}\n{}", proxy.log(), server.log().join("\n"));
    let (samples, rate) = wav(&got);
    let tone = total(&heard(&samples, rate, 1000.0, -22.0));
    assert!(tone > 3.0, "the message is heard for {tone:.2} s");
}

/// SEMS-X1: what sems believes from the proxy cannot be put in by a phone: P-App-Name of a stranger does not pass.
#[test]
fn a_phone_cannot_speak_for_the_proxy() {
    let server = server("\"127.0.0.1\"");
    let proxy = Kamailio::start(server.dir.path(), server.udp, &USERS, &[]);
    // Straight to the server, from an address that it trusts, the header counts.
    let direct = final_status(server.udp, &server.uri("echo"));
    assert_eq!(direct, 404, "there is no such application\n{}", server.log().join("\n"));
    let through = final_status(proxy.udp, &proxy.uri("echo"));
    assert_eq!(through, 200, "echo answers\n{}\n{}", proxy.log(), server.log().join("\n"));
}

/// The final status of an INVITE with `P-App-Name: nothing-like-this`.
fn final_status(to: SocketAddr, uri: &str) -> u16 {
    let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
    socket.set_read_timeout(Some(PATIENCE)).expect("a timeout");
    let local = socket.local_addr().expect("an address");
    let body = format!(
        "v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\nm=audio {} RTP/AVP 0\r\n",
        free_port()
    );
    let invite = format!(
        "INVITE {uri} SIP/2.0\r\nVia: SIP/2.0/UDP {local};branch=z9hG4bK{port};rport\r\n\
         From: <sip:mallory@elsewhere.invalid>;tag=1\r\nTo: <{uri}>\r\nCall-ID: {local}\r\nCSeq: 1 INVITE\r\n\
         Contact: <sip:mallory@{local}>\r\nMax-Forwards: 70\r\nP-App-Name: nothing-like-this\r\n\
         Content-Type: application/sdp\r\nContent-Length: {length}\r\n\r\n{body}",
        port = local.port(),
        length = body.len()
    );
    socket.send_to(invite.as_bytes(), to).expect("a request is sent");
    let mut answer = [0; 4000];
    loop {
        let (length, _) = socket.recv_from(&mut answer).expect("an answer");
        let answer = String::from_utf8_lossy(&answer[..length]);
        let status = answer.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        if status >= 200 {
            return status;
        }
    }
}
