//! Digest authentication, both sides against each other and against the examples of the RFCs.

use std::time::{Duration, Instant};

use super::*;
use crate::header::{Authorization, Header, ProxyAuthenticate, WwwAuthenticate};
use crate::message::{Method, Request, Response, StatusCode};
use crate::uri::Uri;

const LIFETIME: Duration = Duration::from_secs(300);

// The machine's clock is only a place to start from: all other times are computed.
#[allow(clippy::disallowed_methods)]
fn start() -> Instant {
    Instant::now()
}

fn uri() -> Uri {
    "sip:example.com".parse().unwrap()
}

fn register() -> Request {
    Request::new(Method::Register, uri())
}

fn challenged(challenges: &[Challenge]) -> Response {
    let mut response = Response::new(StatusCode::UNAUTHORIZED);
    for challenge in challenges {
        response.headers.push_typed(&WwwAuthenticate::from(challenge.clone()));
    }
    response
}

fn sent(request: &Request) -> Credentials {
    request.headers.typed::<Authorization>().unwrap().digest().unwrap().clone()
}

#[test]
fn the_examples_of_rfc_7616_and_rfc_2617_come_out() {
    let nonce = "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v";
    let cnonce = "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ";
    for (algorithm, expected) in [
        (Algorithm::Md5, "8ca523f5e9506fed4657c9700eebdbec"),
        (Algorithm::Sha256, "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ] {
        let ha1 = ha1("Mufasa", "http-auth@example.org", "Circle of Life", algorithm);
        let qop = Some(QopAuth { nc: 1, cnonce });
        assert_eq!(response(algorithm, &ha1, nonce, qop, "GET", "/dir/index.html"), expected);
    }
    let ha1 = ha1("Mufasa", "testrealm@host.com", "Circle Of Life", Algorithm::Md5);
    let (nonce, qop) = ("dcd98b7102dd2f0e8b11d0f600bfb0c093", QopAuth { nc: 1, cnonce: "0a4f113b" });
    let got = response(Algorithm::Md5, &ha1, nonce, Some(qop), "GET", "/dir/index.html");
    assert_eq!(got, "6629fae49393a05397450978507c4ef1");
    let got = response(Algorithm::Md5, &ha1, nonce, None, "GET", "/dir/index.html");
    assert_eq!(got, "670fd8c2df070c60b045671b8b24ff02");
}

#[test]
fn a_client_answers_the_strongest_challenge_and_is_accepted() {
    let now = start();
    let mut server = Challenger::new(now, "example.com".into(), [7; 32], LIFETIME);
    let mut client = ClientAuth::new("alice", "secret");
    let mut request = register();
    client.challenged(&request, &challenged(&server.challenges(now, false))).unwrap();
    for nc in 1..=3 {
        client.authorize(&mut request, "cafe");
        let credentials = sent(&request);
        assert_eq!(credentials.algorithm, Some(Algorithm::Sha256));
        assert_eq!(credentials.qop_auth.as_ref().unwrap().nc, nc);
        let ha1 = ha1("alice", "example.com", "secret", Algorithm::Sha256);
        let verify = |method, uri: &str, ha1: &str, now| {
            server.verify(now, &method, &uri.parse().unwrap(), &credentials, ha1)
        };
        assert_eq!(verify(Method::Register, "sip:example.com", &ha1, now), Verdict::Accepted);
        assert_eq!(verify(Method::Register, "sip:EXAMPLE.com", &ha1, now + LIFETIME), Verdict::Accepted);
        let later = now + LIFETIME + Duration::from_secs(1);
        assert_eq!(verify(Method::Register, "sip:example.com", &ha1, later), Verdict::Stale);
        assert_eq!(verify(Method::Invite, "sip:example.com", &ha1, now), Verdict::Refused);
        assert_eq!(verify(Method::Register, "sip:example.org", &ha1, now), Verdict::Refused);
        assert_eq!(verify(Method::Register, "sip:example.com", "0123", now), Verdict::Refused);
    }
}

#[test]
fn a_client_stops_when_refused_and_goes_on_when_stale() {
    let now = start();
    let mut server = Challenger::new(now, "example.com".into(), [7; 32], LIFETIME);
    let mut client = ClientAuth::new("alice", "wrong");
    let mut request = register();
    client.challenged(&request, &challenged(&server.challenges(now, false))).unwrap();
    client.authorize(&mut request, "cafe");
    assert_eq!(client.challenged(&request, &challenged(&server.challenges(now, true))), Ok(()));
    client.authorize(&mut request, "cafe");
    let again = challenged(&server.challenges(now, false));
    assert_eq!(client.challenged(&request, &again), Err(Unanswerable::Refused));
    client.authorize(&mut request, "cafe");
    assert_eq!(sent(&request).qop_auth.unwrap().nc, 2);
    assert_eq!(client.challenged(&request, &again), Ok(()), "an old nonce without stale");
    let silent = Response::new(StatusCode::UNAUTHORIZED);
    assert_eq!(client.challenged(&register(), &silent), Err(Unanswerable::NoChallenge));
}

#[test]
fn a_nonce_of_another_key_or_a_changed_one_is_stale() {
    let now = start();
    let mut ours = Challenger::new(now, "r".into(), [1; 32], LIFETIME);
    let mut other = Challenger::new(now, "r".into(), [2; 32], LIFETIME);
    let [challenge, _] = ours.challenges(now, false);
    assert!(ours.is_fresh(now, &challenge.nonce));
    assert!(!ours.is_fresh(now, &other.challenges(now, false)[0].nonce));
    assert_ne!(ours.challenges(now, false)[0].nonce, challenge.nonce);
    let changed = challenge.nonce.replacen('0', "1", 1);
    for nonce in [
        changed.as_str(),
        "",
        "zz",
        "\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}\u{20ac}",
    ] {
        assert!(!ours.is_fresh(now, nonce), "{nonce}");
    }
}

#[test]
fn challenges_and_credentials_print_as_they_read() {
    let challenge = "Digest realm=\"a \\\"b\\\", c\", nonce=\"n\", opaque=\"o\", algorithm=SHA-256, stale=true, qop=\"auth\"";
    let read = ProxyAuthenticate::parse(&Text::from(challenge)).unwrap();
    assert_eq!(read.digest().unwrap().realm, "a \"b\", c");
    assert_eq!(read.to_string(), challenge);
    let credentials = "Digest username=\"u\", realm=\"r\", nonce=\"n\", uri=\"sip:h\", response=\"00\", algorithm=MD5, \
                       qop=auth, nc=0000001f, cnonce=\"c\"";
    let read = Authorization::parse(&Text::from(credentials)).unwrap();
    assert_eq!(read.digest().unwrap().qop_auth.as_ref().unwrap().nc, 31);
    assert_eq!(read.to_string(), credentials);
    let other = Authorization::parse(&Text::from("Bearer abc, def")).unwrap();
    assert!(other.digest().is_none() && other.to_string() == "Bearer abc, def");
    for bad in
        ["Digest", "Digest username=\"u\"", "Digest username=\"u\", username=\"v\"", "Digest realm=\"x"]
    {
        assert!(Authorization::parse(&Text::from(bad)).is_err(), "{bad}");
    }
}

#[test]
fn what_cannot_be_answered_is_known_from_the_challenge() {
    let algorithm =
        |text: &str| WwwAuthenticate::parse(&Text::from(text)).unwrap().digest().unwrap().algorithm;
    assert_eq!(algorithm("Digest realm=\"r\", nonce=\"n\""), Some(Algorithm::Md5));
    assert_eq!(algorithm("Digest realm=\"r\", nonce=\"n\", algorithm=SHA-512-256"), None);
    assert_eq!(algorithm("Digest realm=\"r\", nonce=\"n\", qop=\"auth-int\""), None);
    assert_eq!(algorithm("Digest realm=\"r\", nonce=\"n\", qop=\"auth,auth-int\""), Some(Algorithm::Md5));
}
