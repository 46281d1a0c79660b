//! Reading, printing and comparing of URIs.

use super::*;

fn uri(text: &str) -> Uri {
    text.parse().unwrap_or_else(|e| panic!("{text}: {e}"))
}

#[test]
fn the_parts_are_found() {
    let all = uri("sips:a%6Cice:pw@[2001:db8::1]:5071;transport=tcp;lr?Subject=a%20b&priority=urgent");
    let sip = all.as_sip().unwrap();
    assert_eq!(
        (all.scheme(), all.raw_user(), sip.password.as_deref()),
        ("sips", Some("a%6Cice"), Some("pw"))
    );
    assert_eq!((all.user().unwrap(), all.port()), ("alice".into(), Some(5071)));
    assert_eq!((sip.transport(), all.has_param("LR"), all.param("lr")), (Some("tcp"), true, None));
    let headers: Vec<_> = sip.headers().map(|(n, v)| format!("{n}={v}")).collect();
    assert_eq!(headers, ["Subject=a b", "priority=urgent"]);
    assert_eq!(
        all.to_string(),
        "sips:a%6Cice:pw@[2001:db8::1]:5071;transport=tcp;lr?Subject=a%20b&priority=urgent"
    );
}

#[test]
fn a_number_is_a_user() {
    let tel = uri("tel:+1-201-555-0123;phone-context=example.com");
    assert_eq!(
        (tel.user().unwrap(), tel.param("phone-context")),
        ("+12015550123".into(), Some("example.com"))
    );
    assert_eq!(uri("sip:*98#@h").raw_user(), Some("*98#"));
}

#[test]
fn what_is_no_uri_is_refused() {
    for text in [
        "",
        "sip",
        "sip:",
        "alice@example.com",
        "sip:a b@h",
        "sip:a@h:",
        "sip:a@h:65536",
        "sip:a@h:-1",
        "sip:@h",
        "sip:a@[::1",
        "sip:a@::1",
        "sip:a@h;",
        "sip:a@h;=x",
        "sip:a@h?x",
        "sip:%4@h",
        "sip:a\"@h",
        "<sip:a@h>",
        "tel:",
        "tel:abc-xyz",
        "sip:a@h>",
        "1sip:a@h",
    ] {
        assert!(text.parse::<Uri>().is_err(), "{text} was read");
    }
}

#[test]
fn uris_compare_as_rfc_3261_19_1_4_says() {
    for (a, b) in [
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on"),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
        ),
        ("tel:+1-201-555-0123", "tel:+12015550123"),
        ("sip:a@h;p=1;p=2", "sip:a@h;p=1;p=2"),
    ] {
        assert!(uri(a).is_equivalent(&uri(b)) && uri(b).is_equivalent(&uri(a)), "{a} and {b} differ");
    }
    for (a, b) in [
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off"),
        ("sip:a@h", "sips:a@h"),
        ("sip:a%3Bb@h", "sip:a;b@h"),
    ] {
        assert!(!uri(a).is_equivalent(&uri(b)) && !uri(b).is_equivalent(&uri(a)), "{a} equals {b}");
    }
}

#[test]
fn uris_of_many_parameters_are_compared_in_no_time() {
    let many = uri(&format!("sip:a@h{}", ";p=1".repeat(16_000)));
    assert!(many.is_equivalent(&many.clone()));
    assert!(!many.is_equivalent(&uri("sip:a@h")));
}

#[test]
fn a_user_is_escaped_when_built() {
    let built = Uri::sip(Host::parse(&Text::from_static("h")).unwrap()).with_user("a b@c#\u{e9}");
    assert_eq!(built.to_string(), "sip:a%20b%40c%23%C3%A9@h");
    assert_eq!(built.user().unwrap(), "a b@c#\u{e9}");
}
