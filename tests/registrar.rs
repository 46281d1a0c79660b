//! The registrar on the wire: digest, contacts, expiry, order, restart.
//!
//! By hand and not by SIPp: Debian's SIPp 3.6.1 reads the first challenge only and gives up on SHA-256, which stands
//! before MD5 here.

mod field;

use field::{
    Server, eventually,
    wire::{Ask, Got, Knows, PATIENCE, Wire},
};

/// A REGISTER of an account of `localhost`.
fn registration(user: &str) -> Ask {
    let mut ask = Ask::new("REGISTER", "sip:localhost").claiming(user);
    ask.to = format!("<sip:{user}@localhost>");
    ask
}

/// Registers as alice on the call-id and number of `ask`; the final answer.
fn as_alice(wire: &Wire, ask: &mut Ask) -> Got {
    let (challenge, got) = wire.ask_as(ask, "alice", "alice-secret", Knows::Md5);
    assert_eq!(challenge.status(), 401, "{}", challenge.0);
    got
}

/// The contacts that the registrar tells, without their parameters.
fn contacts(wire: &Wire) -> Vec<String> {
    let got = as_alice(wire, &mut registration("alice"));
    assert_eq!(got.status(), 200, "{}", got.0);
    let mut contacts: Vec<String> = got
        .headers("Contact")
        .iter()
        .map(|c| format!("{}>", c.split('>').next().unwrap_or_default()))
        .collect();
    contacts.sort();
    contacts
}

/// SER-M3: 401 with the domain as realm and qop, SHA-256 before MD5; SER-M2 and SER-01: either digest is taken, and
/// 200 tells the contact and what is left of it.
#[test]
fn an_account_registers_with_md5_or_sha256() {
    let server = Server::start("");
    for (knows, user) in [(Knows::Md5, "alice"), (Knows::Sha256, "bob")] {
        let wire = Wire::new(server.udp);
        let contact = format!("<sip:{user}@{}>", wire.local());
        let mut ask = registration(user).line(format!("Contact: {contact}")).line("Expires: 600");
        let (challenge, got) = wire.ask_as(&mut ask, user, &format!("{user}-secret"), knows);
        assert_eq!(challenge.status(), 401);
        let challenges = challenge.headers("WWW-Authenticate");
        assert_eq!(challenges.len(), 2, "{}", challenge.0);
        assert!(challenges.iter().all(|c| c.contains(r#"realm="localhost""#) && c.contains(r#"qop="auth""#)));
        assert!(challenges[0].contains("algorithm=SHA-256") && challenges[1].contains("algorithm=MD5"));
        assert_eq!(got.status(), 200, "{}", got.0);
        assert_eq!(got.headers("Contact"), [format!("{contact};expires=600")]);
    }
    let (_, registrations) = server.get("/api/v1/registrations");
    assert!(registrations.contains("alice@localhost") && registrations.contains("bob@localhost"));
}

/// SER-01: a wrong password is 403 and leaves no binding; so does another account's password, and an unknown account.
#[test]
fn a_wrong_password_binds_nothing() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let with_contact = |user: &str| registration(user).line(format!("Contact: <sip:x@{}>", wire.local()));
    for (user, login, password) in
        [("alice", "alice", "wrong"), ("alice", "bob", "bob-secret"), ("alice", "alice", "bob-secret")]
    {
        for knows in [Knows::Md5, Knows::Sha256] {
            let (challenge, got) = wire.ask_as(&mut with_contact(user), login, password, knows);
            assert_eq!((challenge.status(), got.status()), (401, 403), "{login} {password}: {}", got.0);
        }
    }
    assert_eq!(wire.ask(&with_contact("nobody")).status(), 404);
    assert!(contacts(&wire).is_empty());
}

/// A digest is good for one request: sent once more by somebody else it is challenged again, as stale; for another
/// URI or method it is refused.
#[test]
fn a_digest_cannot_be_used_by_who_overheard_it() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let mut ask = registration("alice");
    let first = ask.text("UDP", wire.local());
    let challenge = wire.ask_text(&first);
    ask.cseq = 2;
    let second = ask.text("UDP", wire.local());
    let good = field::wire::authorized(&first, &second, &challenge, "alice", "alice-secret", Knows::Sha256);
    assert_eq!(wire.ask_text(&good).status(), 200);
    let replayed = good.replace("CSeq: 2", "CSeq: 3").replace("z9hG4bK", "z9hG4bKreplay");
    let got = Wire::new(server.udp).ask_text(&replayed);
    assert_eq!(got.status(), 401, "{}", got.0);
    assert!(got.header("WWW-Authenticate").contains("stale=true"), "{}", got.0);
    let elsewhere = good.replace("CSeq: 2", "CSeq: 4").replace("z9hG4bK", "z9hG4bKuri");
    let got = wire.ask_text(&elsewhere.replace("REGISTER sip:localhost ", "REGISTER sip:127.0.0.1 "));
    assert_eq!(got.status(), 403, "{}", got.0);
}

/// SER-01: `expires=0` removes one contact, `*` all of them.
#[test]
fn contacts_come_and_go() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let (one, two) = ("<sip:alice@127.0.0.1:31001>", "<sip:alice@127.0.0.1:31002;transport=udp>");
    let got = as_alice(&wire, &mut registration("alice").line(format!("Contact: {one}, {two}")));
    assert_eq!(got.status(), 200, "{}", got.0);
    assert_eq!(got.headers("Contact").len(), 2, "{}", got.0);
    assert!(got.headers("Contact").iter().all(|c| c.ends_with("expires=3600")), "{}", got.0);
    let got =
        as_alice(&wire, &mut registration("alice").line("Contact: <sip:a@127.0.0.1:31003>;expires=120"));
    assert_eq!(got.headers("Contact").len(), 3, "{}", got.0);
    assert!(got.headers("Contact").contains(&"<sip:a@127.0.0.1:31003>;expires=120"), "{}", got.0);
    let got = as_alice(&wire, &mut registration("alice").line(format!("Contact: {one};expires=0")));
    assert_eq!(got.status(), 200);
    assert_eq!(contacts(&wire), ["<sip:a@127.0.0.1:31003>", two]);
    let wrong = registration("alice").line("Contact: *").line("Expires: 60");
    assert_eq!(as_alice(&wire, &mut wrong.clone()).status(), 400);
    let all = registration("alice").line("Contact: *").line("Expires: 0");
    assert_eq!(as_alice(&wire, &mut all.clone()).status(), 200);
    assert!(contacts(&wire).is_empty());
}

/// SER-01: less than 60 s is 423 with Min-Expires; more than an hour becomes an hour.
#[test]
fn an_expiry_has_limits() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    for line in ["Expires: 59", "X: y"] {
        let own = if line == "X: y" { ";expires=30" } else { "" };
        let mut brief =
            registration("alice").line(format!("Contact: <sip:a@127.0.0.1:31000>{own}")).line(line);
        let got = as_alice(&wire, &mut brief);
        assert_eq!(got.status(), 423, "{}", got.0);
        assert_eq!(got.header("Min-Expires"), "60");
    }
    assert!(contacts(&wire).is_empty());
    let mut long = registration("alice").line("Contact: <sip:a@127.0.0.1:31000>").line("Expires: 4294967295");
    let got = as_alice(&wire, &mut long);
    assert_eq!(got.headers("Contact"), ["<sip:a@127.0.0.1:31000>;expires=3600"], "{}", got.0);
}

/// No more contacts than `registrar.max_contacts`, and none of a REGISTER that asks for too many.
#[test]
fn an_account_has_so_many_contacts_and_no_more() {
    let server = Server::start("[registrar]\nmax_contacts = 2\n");
    let wire = Wire::new(server.udp);
    let contact = |port: u16| format!("Contact: <sip:a@127.0.0.1:{port}>");
    assert_eq!(as_alice(&wire, &mut registration("alice").line(contact(31001))).status(), 200);
    let mut two_more = registration("alice").line(contact(31002)).line(contact(31003));
    assert_eq!(as_alice(&wire, &mut two_more).status(), 403);
    assert_eq!(contacts(&wire), ["<sip:a@127.0.0.1:31001>"]);
}

/// RFC 3261 section 10.3: a REGISTER that was overtaken by a later one of its Call-ID changes nothing.
#[test]
fn an_overtaken_register_is_refused() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let mut ask = registration("alice").line("Contact: <sip:a@127.0.0.1:31001>");
    ask.cseq = 100;
    assert_eq!(as_alice(&wire, &mut ask).status(), 200);
    let mut late = ask.clone();
    late.cseq = 49;
    late.more = vec!["Contact: <sip:a@127.0.0.1:31001>;expires=0".to_owned()];
    let got = as_alice(&wire, &mut late);
    assert_eq!(got.status(), 500, "{}", got.0);
    assert_eq!(contacts(&wire), ["<sip:a@127.0.0.1:31001>"]);
}

/// SER-M7, SER-12: a registration outlives the server, ended politely or not, and one that was removed stays so.
#[test]
fn registrations_survive_a_restart() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    let lines = ["Contact: <sip:a@127.0.0.1:31001>, <sip:a@127.0.0.1:31002>", "Expires: 1800"];
    let mut ask = registration("alice").line(lines[0]).line(lines[1]);
    assert_eq!(as_alice(&wire, &mut ask).status(), 200);
    let mut gone = registration("alice").line("Contact: <sip:a@127.0.0.1:31002>;expires=0");
    assert_eq!(as_alice(&wire, &mut gone).status(), 200);
    let (dir, status) = server.stop();
    assert!(status.success());

    let server = Server::start_in(dir, "");
    let wire = Wire::new(server.udp);
    assert_eq!(contacts(&wire), ["<sip:a@127.0.0.1:31001>"]);
    let got = as_alice(&wire, &mut registration("alice"));
    let left: u32 = got.header("Contact").rsplit('=').next().and_then(|s| s.parse().ok()).expect("seconds");
    assert!((1000..=1800).contains(&left), "{}", got.0);
    let mut another = registration("alice").line("Contact: <sip:a@127.0.0.1:31003>");
    assert_eq!(as_alice(&wire, &mut another).status(), 200);
    eventually("the registration's reaching the disk", PATIENCE, || {
        let kept = ["sems.db", "sems.db-wal"].map(|file| std::fs::read(server.data().join(file)));
        let text = kept.into_iter().flatten().map(|bytes| String::from_utf8_lossy(&bytes).into_owned());
        text.collect::<String>().contains("127.0.0.1:31003").then_some(())
    });
    let server = Server::start_in(server.kill(), "");
    let wire = Wire::new(server.udp);
    assert_eq!(contacts(&wire), ["<sip:a@127.0.0.1:31001>", "<sip:a@127.0.0.1:31003>"]);
}

/// SER-M7: one user name in two domains is two accounts with two realms.
#[test]
fn the_same_user_of_two_domains_is_two_accounts() {
    let dir = tempfile::TempDir::new().expect("a temporary folder");
    let account = "[[account]]\nuser = \"alice\"\ndomain = \"other.test\"\npassword = \"other-secret\"\n";
    let server = Server::start_serving(dir, r#""localhost", "other.test""#, account);
    let wire = Wire::new(server.udp);
    let mut ask = Ask::new("REGISTER", "sip:other.test").line("Contact: <sip:a@127.0.0.1:31009>");
    ask.from = "<sip:alice@other.test>;tag=x".to_owned();
    ask.to = "<sip:alice@other.test>".to_owned();
    let (challenge, got) = wire.ask_as(&mut ask.clone(), "alice", "other-secret", Knows::Sha256);
    assert!(challenge.header("WWW-Authenticate").contains(r#"realm="other.test""#), "{}", challenge.0);
    assert_eq!(got.status(), 200, "{}", got.0);
    ask.call_id.push('2');
    let (_, got) = wire.ask_as(&mut ask, "alice", "alice-secret", Knows::Sha256);
    assert_eq!(got.status(), 403, "{}", got.0);
    assert!(contacts(&wire).is_empty(), "alice@localhost has none of it");
    eventually("the registration's showing", PATIENCE, || {
        server.get("/api/v1/registrations").1.contains("alice@other.test").then_some(())
    });
}
