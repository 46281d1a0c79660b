//! Each refusal, by SIPp: what is odd in the request, and the status it gets.

mod field;

use field::{Server, dialling, sipp::Sipp};
use tempfile::TempDir;

const MEDIA: &str = "m=audio [media_port] RTP/AVP 0";

/// A good INVITE of a stranger to `user`, but for what `odd` changes; refused with `status` and `reason` (a regular
/// expression that the refusal must match).
fn refused(server: &Server, user: &str, odd: &[(&str, &str)], status: &str, reason: &str) {
    let uri = server.uri(user);
    let mut keys = vec![
        ("URI", uri.as_str()),
        ("FROM", "sip:sipp@elsewhere.invalid"),
        ("CSEQ", "INVITE"),
        ("HOPS", "70"),
        ("HEADER", "Subject: test"),
        ("TYPE", "application/sdp"),
        ("MEDIA", MEDIA),
        ("STATUS", status),
        ("REASON", reason),
    ];
    for (key, value) in odd {
        let place = keys.iter_mut().find(|(name, _)| name == key).expect("a key of the scenario");
        place.1 = value;
    }
    Sipp::caller("caller_odd", &keys, server.udp, user).succeeds();
}

#[test]
fn an_odd_invite_gets_its_status() {
    let server = Server::start("");
    for (user, odd, status, reason) in [
        ("nobody", &[][..], "404", "Not Found"),
        ("echo", &[("HEADER", "no header at all")], "400", "header field without colon"),
        ("echo", &[("HOPS", "many")], "400", "Bad Request"),
        ("echo", &[("MEDIA", "m=audio [media_port] RTP/AVP 18")], "488", "Not Acceptable Here"),
        ("echo", &[("TYPE", "text/plain")], "415", "Accept: *application/sdp"),
        ("echo", &[("URI", "urn:service:sos")], "416", "Unsupported URI Scheme"),
        ("echo", &[("HEADER", "Require: frobnicate")], "420", "Unsupported: *frobnicate"),
        ("echo", &[("HOPS", "0")], "483", "Too Many Hops"),
        ("echo", &[("URI", "sip:echo@elsewhere.invalid")], "403", "Forbidden|not allowed"),
        ("echo", &[("FROM", "sip:alice@localhost")], "407", "Proxy-Authenticate: *Digest"),
    ] {
        refused(&server, user, odd, status, reason);
    }
}

/// Methods that are unknown, not served, or meaningless without a dialog.
#[test]
fn a_method_that_is_not_served_gets_its_status() {
    let server = Server::start("");
    Sipp::caller("request_refused", &[("METHOD", "FROBNICATE"), ("STATUS", "501")], server.udp, "echo")
        .succeeds();
    Sipp::caller("request_refused", &[("METHOD", "MESSAGE"), ("STATUS", "405")], server.udp, "echo")
        .succeeds();
    Sipp::caller("request_refused", &[("METHOD", "BYE"), ("STATUS", "481")], server.udp, "echo").succeeds();
}

#[test]
fn one_call_too_many_gets_503_with_a_time() {
    let server = Server::start("[calls]\nmax = 1\n");
    let first = dialling(&[&server.uri("echo"), "--for", "60s"]);
    field::eventually("the first call", std::time::Duration::from_secs(30), || {
        server.get("/api/v1/calls").1.contains("talking").then_some(())
    });
    refused(&server, "echo", &[], "503", "Retry-After: *[0-9]+");
    drop(first);
}

/// SER-02, SER-05: who proves an account, and who does not, by digest. SIPp knows MD5 alone.
#[test]
fn a_password_is_right_or_refused() {
    let server = Server::start_with(TempDir::new().expect("a folder"), "digest = [\"MD5\"]", "");
    let attempt =
        |scenario: &str, keys: &[(&str, &str)]| Sipp::caller(scenario, keys, server.udp, "alice").succeeds();
    attempt("register_login", &[("PASSWORD", "guess"), ("STATUS", "403")]);
    attempt("register_login", &[("PASSWORD", "alice-secret"), ("STATUS", "200")]);
    attempt("login_refused", &[("PASSWORD", "guess")]);
    attempt("login_answered", &[("PASSWORD", "alice-secret")]);
}
