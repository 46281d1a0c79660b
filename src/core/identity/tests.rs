//! The table "who may do what" of callers, against the client side of digest (SER-M2, SER-M3).

use bytes::Bytes;
use sems_sip::{
    Message, Response, StatusCode, Transport,
    auth::{Algorithm, ClientAuth, ha1},
};

use super::*;
use crate::config::Config;

const SECRET: &str = "open sesame";

fn account(user: &str) -> Account {
    let hash = |algorithm| Some(ha1(user, "localhost", SECRET, algorithm));
    Account {
        user: user.to_owned(),
        domain: "localhost".to_owned(),
        ha1_md5: hash(Algorithm::Md5),
        ha1_sha256: hash(Algorithm::Sha256),
        email: None,
        display_name: None,
        has_mailbox: true,
        has_pin: false,
    }
}

fn accounts() -> Accounts {
    Accounts::of([account("alice"), account("bob")])
}

fn gate(trusted: &[&str]) -> Gate {
    Gate::new(Instant::now(), &["localhost".to_owned()], [7; 32], &sip(trusted))
}

fn sip(trusted: &[&str]) -> Sip {
    let trusted = trusted.iter().map(|block| block.parse().expect("a block")).collect();
    Sip { trusted, ..Config::default().sip }
}

fn request(method: &str, lines: &str) -> Request {
    let text = format!(
        "{method} sip:bob@localhost SIP/2.0\n\
         Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK1\n\
         From: <sip:alice@localhost>;tag=1\nTo: <sip:bob@localhost>\n\
         Call-ID: one\nCSeq: 1 {method}\n{lines}Content-Length: 0\n\n"
    );
    match Message::parse(Bytes::from(text.replace('\n', "\r\n"))) {
        Ok(Message::Request(request)) => request,
        other => panic!("no request: {other:?}"),
    }
}

fn flow(remote: &str) -> Flow {
    Flow::new(Transport::Udp, "192.0.2.9:5060".parse().expect("address"), remote.parse().expect("address"))
}

fn alice() -> Aor {
    Aor::new("alice", "localhost")
}

/// The request again, with an answer to the challenge.
fn answered(request: &Request, admission: Admission, client: &mut ClientAuth) -> Request {
    let Admission::Challenge(reply) = admission else { panic!("no challenge: {admission:?}") };
    let mut response = Response::new(StatusCode(reply.status));
    for (name, value) in &reply.headers {
        response.headers.push(name.clone(), value.clone());
    }
    client.challenged(request, &response).expect("a challenge that can be answered");
    let mut again = request.clone();
    client.authorize(&mut again, "0a4f113b");
    again
}

fn call(gate: &mut Gate, claimed: Option<&Aor>, request: &Request) -> Admission {
    gate.caller(&accounts(), claimed, &flow("198.51.100.7:5060"), request)
}

fn status(admission: &Admission) -> u16 {
    match admission {
        Admission::Known(_) => 200,
        Admission::Challenge(reply) | Admission::Refuse(reply) => reply.status,
    }
}

#[test]
fn a_caller_who_claims_an_account_must_prove_it() {
    let mut gate = gate(&[]);
    let invite = request("INVITE", "");
    let mut client = ClientAuth::new("alice", SECRET);
    let challenge = call(&mut gate, Some(&alice()), &invite);
    assert_eq!(status(&challenge), 407);
    if let Admission::Challenge(reply) = &challenge {
        // RFC 8760 section 2.3: the strongest first.
        let first = &reply.headers[0];
        assert!(first.0 == HeaderName::ProxyAuthenticate && first.1.contains("SHA-256"), "{first:?}");
    }
    let proved = answered(&invite, challenge, &mut client);
    let admission = call(&mut gate, Some(&alice()), &proved);
    assert!(
        matches!(&admission, Admission::Known(Identity::Account(uri)) if uri.user() == Some("alice")),
        "{admission:?}"
    );
    // Whoever heard it and says it again is asked anew.
    assert_eq!(status(&call(&mut gate, Some(&alice()), &proved)), 407);
}

#[test]
fn a_wrong_password_or_another_account_is_refused() {
    for (user, password) in [("alice", "open barley"), ("bob", SECRET)] {
        let mut gate = gate(&[]);
        let invite = request("INVITE", "");
        let challenge = call(&mut gate, Some(&alice()), &invite);
        let wrong = answered(&invite, challenge, &mut ClientAuth::new(user, password));
        assert_eq!(status(&call(&mut gate, Some(&alice()), &wrong)), 403, "{user}");
    }
}

#[test]
fn a_stranger_is_a_stranger_whatever_he_asserts() {
    let mut gate = gate(&["203.0.113.0/24"]);
    let invite = request("INVITE", "P-Asserted-Identity: <sip:alice@localhost>\n");
    let nobody = Aor::new("nobody", "localhost");
    for claimed in [None, Some(&nobody)] {
        let admission = call(&mut gate, claimed, &invite);
        assert!(matches!(admission, Admission::Known(Identity::Stranger)), "{admission:?}");
    }
}

#[test]
fn a_trusted_peer_names_the_account_and_is_not_challenged() {
    let mut gate = gate(&["203.0.113.0/24"]);
    let peer = flow("203.0.113.5:5060");
    let named = request("INVITE", "P-Asserted-Identity: <sip:alice@localhost>\n");
    let admission = gate.caller(&accounts(), Some(&alice()), &peer, &named);
    assert!(matches!(&admission, Admission::Known(Identity::Account(uri)) if uri.user() == Some("alice")));
    for lines in ["", "P-Asserted-Identity: <sip:mallory@localhost>\n"] {
        let admission = gate.caller(&accounts(), Some(&alice()), &peer, &request("INVITE", lines));
        assert!(matches!(admission, Admission::Known(Identity::Trusted)), "{admission:?}");
    }
}

#[test]
fn only_the_owner_registers() {
    let mut gate = gate(&["198.51.100.0/24"]);
    let register = request("REGISTER", "");
    let unknown = Aor::new("nobody", "localhost");
    assert_eq!(status(&gate.owner(&accounts(), &unknown, &register)), 404);
    let challenge = gate.owner(&accounts(), &alice(), &register);
    assert_eq!(status(&challenge), 401);
    let proved = answered(&register, challenge, &mut ClientAuth::new("alice", SECRET));
    assert_eq!(status(&gate.owner(&accounts(), &alice(), &proved)), 200);
    // The credentials of one account do not register another.
    assert_eq!(status(&gate.owner(&accounts(), &Aor::new("bob", "localhost"), &proved)), 403);
}

#[test]
fn a_reload_serves_new_domains_and_forgets_old_ones() {
    let mut gate = gate(&[]);
    let moved = Account { domain: "new.example".to_owned(), ..account("alice") };
    let (accounts, aor) = (Accounts::of([moved]), Aor::new("alice", "new.example"));
    let register = request("REGISTER", "");
    assert_eq!(status(&gate.owner(&accounts, &aor, &register)), 403);
    gate.reload(Instant::now(), &["new.example".to_owned()], &sip(&[]));
    assert_eq!(status(&gate.owner(&accounts, &aor, &register)), 401);
}

// SER-05
#[test]
fn only_the_algorithms_of_the_configuration_are_offered_and_taken() {
    let mut gate = gate(&[]);
    let domains = ["localhost".to_owned()];
    gate.reload(Instant::now(), &domains, &Sip { digest: vec![Algorithm::Md5], ..sip(&[]) });
    let invite = request("INVITE", "");
    let challenge = call(&mut gate, Some(&alice()), &invite);
    let Admission::Challenge(reply) = &challenge else { panic!("no challenge: {challenge:?}") };
    assert!(reply.headers.len() == 1 && reply.headers[0].1.contains("MD5"), "{reply:?}");
    let proved = answered(&invite, challenge, &mut ClientAuth::new("alice", SECRET));
    gate.reload(Instant::now(), &domains, &Sip { digest: vec![Algorithm::Sha256], ..sip(&[]) });
    let again = call(&mut gate, Some(&alice()), &proved);
    let Admission::Challenge(reply) = &again else { panic!("MD5 is taken: {again:?}") };
    assert!(reply.headers.len() == 1 && reply.headers[0].1.contains("SHA-256"), "{reply:?}");
    let proved = answered(&invite, again, &mut ClientAuth::new("alice", SECRET));
    assert_eq!(status(&call(&mut gate, Some(&alice()), &proved)), 200);
}

// SER-05
#[test]
fn phones_that_know_md5_alone_are_told_by_their_version() {
    for (agent, old) in [
        ("baresip v1.0.0 (x86_64/linux)", true),
        ("baresip v3.10.1 (x86_64/Linux)", true),
        ("baresip v3.11.0 (x86_64/Linux)", false),
        ("baresip v4.0", false),
        ("baresip v", false),
        ("baresip", false),
        ("LinphoneDaemon/5.1.65", false),
    ] {
        assert_eq!(knows_md5_alone(agent), old, "{agent}");
    }
}
