//! The messages of RFC 4475 and RFC 5118, each with what is to be made of it. SEMS-SIP torture corpus: a file that is
//! not in the table fails the test, so nothing is left out silently.

use std::collections::BTreeSet;
use std::path::Path;

use bytes::Bytes;
use sems_sip::header::{Contact, ContentType, Date, MaxForwards, RecordRoute, Route, Via};
use sems_sip::{Headers, Message, Uri};
use verdict::*;

mod verdict {
    /// What the parser has to make of a message.
    #[derive(Clone, Copy, Debug)]
    pub(crate) enum Verdict {
        /// It is read, and so are all its typed headers.
        Accept,
        /// It is refused, and answered with this status.
        Refuse(u16),
        /// It is refused, and not answered.
        Silence,
    }
    pub(crate) use Verdict::*;
}

const TABLE: &[(&str, Verdict)] = &[
    // RFC 4475 §3.1.1, valid
    ("wsinv", Accept),
    ("intmeth", Accept),
    ("esc01", Accept),
    ("escnull", Accept),
    ("esc02", Accept),
    ("lwsdisp", Accept),
    ("longreq", Accept),
    ("dblreq", Accept),
    ("semiuri", Accept),
    ("transports", Accept),
    ("mpart01", Accept),
    ("unreason", Accept),
    ("noreason", Accept),
    // §3.1.2, invalid
    ("badinv01", Refuse(400)),
    ("clerr", Refuse(400)),
    ("ncl", Refuse(400)),
    ("scalar02", Refuse(400)),
    ("scalarlg", Silence),
    ("quotbal", Refuse(400)),
    ("ltgtruri", Refuse(400)),
    ("lwsruri", Refuse(400)),
    ("lwsstart", Refuse(400)),
    ("trws", Refuse(400)),
    ("escruri", Refuse(400)),
    ("baddate", Refuse(400)),
    ("regbadct", Refuse(400)),
    ("badaspec", Refuse(400)),
    ("baddn", Refuse(400)),
    ("badvers", Refuse(505)),
    ("mismatch01", Refuse(400)),
    ("mismatch02", Refuse(400)),
    ("bigcode", Silence),
    // §3.2 to §3.4: well-formed, or refused above the parser
    ("badbranch", Accept),
    ("insuf", Refuse(400)),
    ("unkscm", Accept),
    ("novelsc", Accept),
    ("unksm2", Accept),
    ("bext01", Accept),
    ("invut", Accept),
    ("regaut01", Accept),
    ("multi01", Refuse(400)),
    ("mcl01", Refuse(400)),
    ("bcast", Accept),
    ("zeromf", Accept),
    ("cparam01", Accept),
    ("cparam02", Accept),
    ("regescrt", Accept),
    ("sdp01", Accept),
    ("inv2543", Accept),
    // RFC 5118 §4; the Content-Length that is printed there with its bodies is miscounted, these are true
    ("v6-good", Accept),
    ("v6-bad", Refuse(400)),
    ("port-ambiguous", Accept),
    ("port-unambiguous", Accept),
    ("via-received-param-with-delim", Accept),
    ("via-received-param-no-delim", Accept),
    ("ipv6-in-sdp", Accept),
    ("mult-ip-in-header", Accept),
    ("mult-ip-in-sdp", Accept),
    ("ipv4-mapped-ipv6", Accept),
    ("ipv6-correct-abnf-2-colons", Accept),
    ("ipv6-bug-abnf-3-colons", Accept),
];

fn directory() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/torture")
}

fn load(name: &str) -> Bytes {
    Bytes::from(std::fs::read(directory().join(format!("{name}.sip"))).expect(name))
}

fn accepted(name: &str) -> Message {
    Message::parse(load(name)).unwrap_or_else(|refused| panic!("{name}: {refused}"))
}

fn all_typed_headers_read(headers: &Headers) {
    assert!(headers.list::<Via>().is_ok_and(|vias| !vias.is_empty()));
    assert!(headers.list::<Contact>().is_ok());
    assert!(headers.list::<Route>().is_ok());
    assert!(headers.list::<RecordRoute>().is_ok());
    assert!(headers.optional::<MaxForwards>().is_ok());
}

#[test]
fn every_message_gets_its_verdict() {
    for (name, verdict) in TABLE {
        match (Message::parse(load(name)), verdict) {
            (Ok(message), Accept) => {
                all_typed_headers_read(message.headers());
                // What is printed is read to the same again.
                let printed = message.to_bytes();
                let again = Message::parse(printed.clone()).unwrap_or_else(|e| panic!("{name} printed: {e}"));
                assert_eq!(again.to_bytes(), printed, "{name}");
                if let Message::Request(request) = message {
                    let response = request.response(sems_sip::StatusCode::OK, Some("tag1"));
                    assert!(Message::parse(response.to_bytes()).is_ok(), "{name}: its response");
                }
            }
            (Err(refused), Refuse(status)) => {
                let reply = refused.reply().unwrap_or_else(|| panic!("{name} was met with silence"));
                assert_eq!(reply.status.code(), *status, "{name}: {refused}");
                assert!(reply.headers.top_is_via(), "{name}");
            }
            (Err(refused), Silence) => assert!(refused.reply().is_none(), "{name}"),
            (result, _) => panic!("{name}: {verdict:?} expected, {result:?}"),
        }
    }
}

/// Whether a response can find its way back.
trait TopIsVia {
    fn top_is_via(&self) -> bool;
}

impl TopIsVia for Headers {
    fn top_is_via(&self) -> bool {
        self.typed::<Via>().is_ok()
    }
}

#[test]
fn every_file_is_in_the_table() {
    let files: BTreeSet<String> = std::fs::read_dir(directory())
        .unwrap()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_string_lossy().into_owned())
        .collect();
    let table: BTreeSet<String> = TABLE.iter().map(|(name, _)| (*name).to_owned()).collect();
    assert_eq!(files, table);
}

#[test]
fn the_tortuous_invite_means_what_it_says() {
    let Message::Request(invite) = accepted("wsinv") else { panic!() };
    let vias: Vec<Via> = invite.headers.list().unwrap();
    let branches: Vec<_> = vias.iter().map(|via| via.branch().unwrap()).collect();
    assert_eq!(branches, ["390skdjuw", "z9hG4bK9ikj8", "z9hG4bK30239"]);
    assert_eq!(invite.headers.from().unwrap().name.as_deref(), Some("J Rosenberg \\\""));
    assert_eq!(invite.headers.from().unwrap().tag(), Some("98asjd8"));
    assert_eq!(invite.headers.cseq().unwrap().number, 9);
    assert_eq!(invite.headers.typed::<MaxForwards>().unwrap().0, 68);
    assert_eq!(invite.body.len(), 150);
    let contact: Contact = invite.headers.typed().unwrap();
    assert_eq!((contact.q(), contact.address().unwrap().params.get("newparam")), (330, Some("newvalue")));
}

#[test]
fn escapes_are_decoded_only_on_demand() {
    let Message::Request(invite) = accepted("esc01") else { panic!() };
    assert_eq!(invite.uri.user().unwrap(), "sips:user@example.com");
    assert_eq!(invite.uri.to_string(), "sip:sips%3Auser%40example.com@example.net");
    let same: Uri = "sip:user@example.com".parse().unwrap();
    assert!(invite.headers.to().unwrap().uri.is_equivalent(&same));
    let Message::Request(register) = accepted("escnull") else { panic!() };
    let users: Vec<_> = register.headers.list::<Contact>().unwrap();
    assert_eq!(users[1].uri().unwrap().user().unwrap(), "\0\0");
    let Message::Request(other) = accepted("esc02") else { panic!() };
    assert_eq!(other.method.as_str(), "RE%47IST%45R");
    assert_eq!(other.headers.list::<Contact>().unwrap().len(), 2);
}

#[test]
fn control_characters_in_a_quoted_name_survive() {
    let Message::Request(request) = accepted("intmeth") else { panic!() };
    let to = request.headers.to().unwrap();
    assert_eq!(to.name.as_deref(), Some("BEL:\u{7} NUL:\0 DEL:\u{7f}"));
    let response = request.response(sems_sip::StatusCode::OK, Some("t"));
    assert_eq!(response.headers.to().unwrap().name, to.name);
}

#[test]
fn an_unknown_scheme_is_kept_for_a_416() {
    for (name, scheme) in [("unkscm", "nobodyKnowsThisScheme"), ("novelsc", "soap.beep")] {
        let Message::Request(request) = accepted(name) else { panic!() };
        assert_eq!(request.uri.scheme(), scheme);
    }
}

#[test]
fn a_binary_part_is_kept_to_the_byte() {
    let Message::Request(message) = accepted("mpart01") else { panic!() };
    assert_eq!(message.body.len(), 553);
    let signature = message.body.windows(8).position(|w| w == b"\x30\x82\x01\x52\x06\x09\x2a\x86").unwrap();
    assert!(message.body[signature..].contains(&0));
    assert!(message.body.ends_with(b"\xbc\x99\xd0\x05\r\n--7a9cbec02ceef655--\r\n"), "{:?}", message.body);
    let Ok(Message::Request(again)) = Message::parse(message.to_bytes()) else { panic!() };
    assert_eq!(again.body, message.body);
    let kind: ContentType = message.headers.typed().unwrap();
    assert!(kind.is("multipart", "mixed") && kind.params.get("boundary") == Some("7a9cbec02ceef655"));
    assert_eq!(message.headers.optional::<Date>(), Ok(Some(Date(1_129_351_496))));
}

#[test]
fn a_length_as_rfc_5118_prints_it_is_too_long_for_its_body() {
    let printed = String::from_utf8(load("ipv6-in-sdp").to_vec()).unwrap();
    let printed = printed.replace("Content-Length: 251", "Content-Length: 268");
    let refused = Message::parse(Bytes::from(printed)).unwrap_err();
    assert_eq!(refused.reply().unwrap().status.code(), 400);
}

#[test]
fn addresses_of_both_kinds_stand_beside_each_other() {
    let Message::Request(bye) = accepted("mult-ip-in-header") else { panic!() };
    let hosts: Vec<String> =
        bye.headers.list::<Via>().unwrap().iter().map(|via| via.host.to_string()).collect();
    assert_eq!(hosts, ["[2001:db8::9:1]", "192.0.2.1", "[2001:db8::9:255]"]);
    assert_eq!(bye.headers.top_via().unwrap().port, Some(6050));
    let Message::Request(mapped) = accepted("ipv4-mapped-ipv6") else { panic!() };
    let via = mapped.headers.top_via().unwrap();
    assert_eq!((via.host.ip(), via.port), (Some("::ffff:192.0.2.10".parse().unwrap()), Some(19823)));
    let right = accepted("ipv6-correct-abnf-2-colons");
    let bug = accepted("ipv6-bug-abnf-3-colons");
    assert_eq!(right.headers().to().unwrap().uri, bug.headers().to().unwrap().uri);
}

#[test]
fn an_ambiguous_port_belongs_to_the_address() {
    let Message::Request(request) = accepted("port-ambiguous") else { panic!() };
    assert_eq!(
        (request.uri.host().unwrap().to_string().as_str(), request.uri.port()),
        ("[2001:db8::10:5070]", None)
    );
    let Message::Request(request) = accepted("port-unambiguous") else { panic!() };
    assert_eq!(request.uri.port(), Some(5070));
    for name in ["via-received-param-with-delim", "via-received-param-no-delim"] {
        let Message::Request(request) = accepted(name) else { panic!() };
        assert_eq!(request.headers.top_via().unwrap().received(), Some("2001:db8::9:255".parse().unwrap()));
    }
}
