//! Scanners: whoever fails too often is not answered any more, and who has a share gets no more.

mod field;

use std::{process::Command, time::Duration};

use field::{
    Server, dial, dialling, eventually, hung_up,
    wire::{Ask, Knows, Wire},
};

/// Long enough for an answer, on a machine that compiles.
const SILENCE: Duration = Duration::from_millis(700);

/// The loopback is limited here as any other network.
const STRICT: &str = "[abuse]\nexempt = []\nfailures = 3\n";

fn register(user: &str) -> Ask {
    let mut ask = Ask::new("REGISTER", "sip:localhost").claiming(user);
    ask.to = format!("<sip:{user}@localhost>");
    ask
}

/// An answer to OPTIONS within a moment.
fn is_heard(wire: &Wire) -> bool {
    wire.send(Ask::new("OPTIONS", "sip:localhost").text("UDP", wire.local()));
    wire.try_receive(SILENCE).is_some()
}

fn ctl(server: &Server, arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO_BIN_EXE_sems"))
        .arg("ctl")
        .args(arguments)
        .args(["--http", &server.http.to_string()])
        .current_dir(server.dir.path())
        .output()
        .expect("sems ctl runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn a_scanner_is_answered_with_silence_until_the_ban_is_lifted() {
    let server = Server::start(STRICT);
    let wire = Wire::new(server.udp);
    for guess in ["1234", "alice"] {
        assert_eq!(wire.ask_as(&mut register("alice"), "alice", guess, Knows::Sha256).1.status(), 403);
    }
    assert!(is_heard(&wire), "two mistakes are mistakes");
    assert_eq!(wire.ask(&register("nobody")).status(), 404);
    assert!(!is_heard(&wire));
    assert!(!is_heard(&Wire::new(server.udp)), "another port is the same source");
    let (_, bans) = server.get("/api/v1/bans");
    assert!(bans.contains("\"source\":\"127.0.0.1\",\"reason\":\"unknown accounts\""), "{bans}");
    assert!(ctl(&server, &["bans"]).contains("127.0.0.1"));
    let (_, metrics) = server.get("/metrics");
    assert!(
        metrics.contains("\nsems_bans 1\n") && metrics.contains("\nsems_sip_ignored_total 2\n"),
        "{metrics}"
    );
    server.logged("banned", Duration::from_secs(5));
    ctl(&server, &["unban", "127.0.0.1"]);
    assert!(is_heard(&wire));
}

#[test]
fn whoever_has_an_account_is_not_banned_for_a_forgotten_password_beside_him() {
    let server = Server::start(STRICT);
    let wire = Wire::new(server.udp);
    wire.register("sip:localhost", "bob");
    for _ in 0..10 {
        assert_eq!(wire.ask_as(&mut register("alice"), "alice", "old", Knows::Sha256).1.status(), 403);
    }
    assert!(is_heard(&wire));
}

#[test]
fn a_stranger_who_asks_too_often_is_heard_at_his_rate() {
    let server = Server::start("[abuse]\nexempt = []\nrequests_per_second = 5\n");
    let wire = Wire::new(server.udp);
    for _ in 0..50 {
        wire.send(Ask::new("OPTIONS", "sip:localhost").text("UDP", wire.local()));
    }
    let answers = std::iter::from_fn(|| wire.try_receive(SILENCE)).count();
    assert!((10..25).contains(&answers), "{answers} answers");
}

#[test]
fn a_source_has_no_more_than_its_share_of_the_calls() {
    let server = Server::start("[abuse]\nexempt = []\n[calls]\nmax_per_source = 1\n");
    let first = dialling(&[&server.uri("echo"), "--for", "8s"]);
    eventually("the first call", Duration::from_secs(30), || {
        server.get("/api/v1/calls").1.contains("talking").then_some(())
    });
    let wire = Wire::new(server.udp);
    let refused = wire.ask(&Ask::invite(&server.uri("echo")));
    assert_eq!(refused.status(), 503);
    assert!(!refused.header("Retry-After").is_empty());
    assert!(hung_up(first).success);
    eventually("a share that is given back", Duration::from_secs(30), || {
        (server.get("/api/v1/calls").1 == "[]").then_some(())
    });
    assert_eq!(dial(&[&server.uri("echo"), "--for", "1s"]).status(), 200);
}

/// Another guess in the same Call-ID and CSeq is another guess; the same message again is not.
#[test]
fn attempts_are_told_apart_whatever_their_call_id() {
    let server = Server::start(STRICT);
    let wire = Wire::new(server.udp);
    let text = Ask::invite("sip:nobody1@localhost").text("UDP", wire.local());
    for _ in 0..5 {
        assert_eq!(wire.ask_text(&text).status(), 404);
    }
    assert!(is_heard(&wire), "one call, sent five times");
    assert_eq!(wire.ask_text(&text.replace("nobody1", "nobody2")).status(), 404);
    assert_eq!(wire.ask_text(&text.replace("nobody1", "nobody3")).status(), 404);
    assert!(!is_heard(&wire), "three numbers in one Call-ID");
}

#[test]
fn each_offence_counts() {
    let server = Server::start(STRICT);
    let wire = Wire::new(server.udp);
    for (uri, claiming) in [
        ("sip:nobody@localhost", None),
        ("sip:bob@elsewhere.invalid", None),
        ("sip:echo@localhost", Some("alice")),
    ] {
        for _ in 0..3 {
            assert!(is_heard(&wire), "{uri}");
            match claiming {
                None => assert!(wire.ask(&Ask::invite(uri)).status() >= 400),
                Some(user) => {
                    let mut ask = Ask::invite(uri).claiming(user);
                    assert_eq!(wire.ask_as(&mut ask, user, "guess", Knows::Sha256).1.status(), 403);
                }
            }
        }
        assert!(!is_heard(&wire), "{uri}");
        ctl(&server, &["unban", "127.0.0.1"]);
    }
}

/// Whose address is forged is not flooded by us: one answer, not much longer than what asked, and no other unless asked
/// again.
#[test]
fn a_call_that_is_refused_is_answered_once() {
    let server = Server::start("");
    let wire = Wire::new(server.udp);
    for (uri, claiming, status) in
        [("sip:nobody@localhost", None, 404), ("sip:echo@localhost", Some("alice"), 407)]
    {
        let mut ask = Ask::invite(uri);
        if let Some(user) = claiming {
            ask = ask.claiming(user);
        }
        let text = ask.text("UDP", wire.local());
        for _ in 0..2 {
            wire.send(&text);
            let answers: Vec<_> = std::iter::from_fn(|| wire.try_receive(2 * SILENCE)).collect();
            let [answer] = &answers[..] else { panic!("one answer: {answers:?}") };
            assert_eq!(answer.status(), status);
            assert!(answer.0.len() <= 2 * text.len(), "{} bytes for {}", answer.0.len(), text.len());
        }
    }
}
