//! REGISTER by REGISTER, against a table of its own (SER-01).

use bytes::Bytes;
use sems_sip::{Message, Transport};
use tokio::sync::mpsc;

use super::*;
use crate::location::Change;

struct Desk {
    settings: config::Registrar,
    location: Location,
    changes: mpsc::Receiver<Change>,
    now: SystemTime,
    cseq: u32,
}

impl Desk {
    fn new() -> Self {
        let (sender, changes) = mpsc::channel(64);
        let settings = config::Registrar {
            min_expires: Duration::from_secs(60),
            max_expires: Duration::from_secs(3600),
            max_contacts: 2,
        };
        Self { settings, location: Location::new(sender), changes, now: SystemTime::now(), cseq: 0 }
    }

    /// A REGISTER with these lines, numbered one higher than the last.
    fn register(&mut self, lines: &str) -> Reply {
        self.cseq += 1;
        self.again(lines)
    }

    /// A REGISTER numbered as the last.
    fn again(&self, lines: &str) -> Reply {
        let text = format!(
            "REGISTER sip:localhost SIP/2.0\n\
             Via: SIP/2.0/UDP 192.0.2.1:5062;branch=z9hG4bK{}\n\
             From: <sip:alice@localhost>;tag=1\nTo: <sip:alice@localhost>\n\
             Call-ID: one\nCSeq: {} REGISTER\n{lines}Content-Length: 0\n\n",
            self.cseq, self.cseq
        );
        let parsed = Message::parse(Bytes::from(text.replace('\n', "\r\n")));
        let Ok(Message::Request(request)) = parsed else { panic!("no request: {text}") };
        let flow = Flow::new(
            Transport::Udp,
            "192.0.2.9:5060".parse().expect("address"),
            "198.51.100.7:40000".parse().expect("address"),
        );
        register(&self.settings, &self.location, self.now, &alice(), &flow, &request)
    }

    fn contacts(&self) -> Vec<String> {
        let mut all: Vec<_> =
            self.location.contacts(&alice(), self.now).iter().map(|b| b.contact.to_string()).collect();
        all.sort();
        all
    }

    fn written(&mut self) -> Vec<String> {
        let mut all = Vec::new();
        while let Ok(change) = self.changes.try_recv() {
            all.push(match change {
                Change::Save(_, binding) => format!("+{}", binding.contact),
                Change::Remove(_, contact) => format!("-{contact}"),
            });
        }
        all
    }
}

fn alice() -> Aor {
    Aor::new("alice", "localhost")
}

fn header<'a>(reply: &'a Reply, name: &HeaderName) -> Vec<&'a str> {
    reply.headers.iter().filter(|(n, _)| n == name).map(|(_, value)| value.as_str()).collect()
}

#[test]
fn a_contact_is_bound_told_refreshed_and_removed() {
    let mut desk = Desk::new();
    let reply = desk.register("Contact: <sip:alice@Phone.example>\nExpires: 600\n");
    assert_eq!(reply.status, 200);
    assert_eq!(header(&reply, &HeaderName::Contact), ["<sip:alice@Phone.example>;expires=600"]);
    assert_eq!(desk.written(), ["+sip:alice@Phone.example"]);
    let targets = desk.location.targets(&alice(), desk.now);
    let flow = targets[0].flow.as_ref().expect("its own");
    assert_eq!(flow.remote.port(), 40_000, "calls go where the REGISTER came from");
    // A query changes nothing.
    let reply = desk.register("");
    assert_eq!((reply.status, header(&reply, &HeaderName::Contact).len()), (200, 1));
    // The same contact written otherwise replaces the first, in the store too.
    let reply = desk.register("Contact: <sip:alice@phone.example>;expires=700\n");
    assert_eq!(header(&reply, &HeaderName::Contact), ["<sip:alice@phone.example>;expires=700"]);
    assert_eq!(desk.written(), ["+sip:alice@phone.example", "-sip:alice@Phone.example"]);
    let reply = desk.register("Contact: *\nExpires: 0\n");
    assert_eq!((reply.status, header(&reply, &HeaderName::Contact).len()), (200, 0));
    assert!(desk.contacts().is_empty());
    assert_eq!(desk.written(), ["-sip:alice@phone.example"]);
}

#[test]
fn intervals_are_kept_within_their_bounds() {
    let mut desk = Desk::new();
    let reply = desk.register("Contact: <sip:a@192.0.2.1>;expires=59\n");
    assert_eq!((reply.status, header(&reply, &HeaderName::MinExpires)), (423, vec!["60"]));
    assert!(desk.contacts().is_empty());
    let reply = desk.register("Contact: <sip:a@192.0.2.1>;expires=99999\n");
    assert_eq!(header(&reply, &HeaderName::Contact), ["<sip:a@192.0.2.1>;expires=3600"]);
    desk.now += Duration::from_secs(3600);
    assert!(desk.contacts().is_empty(), "what has expired is nowhere");
    assert!(!desk.location.is_registered(&alice(), desk.now));
}

#[test]
fn an_overtaken_register_changes_nothing() {
    let mut desk = Desk::new();
    assert_eq!(desk.register("Contact: <sip:a@192.0.2.1>\n").status, 200);
    desk.written();
    for lines in ["Contact: <sip:a@192.0.2.1>;expires=0\n", "Contact: *\nExpires: 0\n"] {
        assert_eq!(desk.again(lines).status, 500);
    }
    assert_eq!(desk.contacts(), ["sip:a@192.0.2.1"]);
    assert!(desk.written().is_empty());
}

#[test]
fn too_many_contacts_are_refused_whole() {
    let mut desk = Desk::new();
    assert_eq!(desk.register("Contact: <sip:a@192.0.2.1>, <sip:a@192.0.2.2>\n").status, 200);
    assert_eq!(desk.register("Contact: <sip:a@192.0.2.3>\n").status, 403);
    assert_eq!(desk.contacts(), ["sip:a@192.0.2.1", "sip:a@192.0.2.2"]);
    // One goes, one comes.
    let lines = "Contact: <sip:a@192.0.2.1>;expires=0, <sip:a@192.0.2.3>\n";
    assert_eq!(desk.register(lines).status, 200);
    assert_eq!(desk.contacts(), ["sip:a@192.0.2.2", "sip:a@192.0.2.3"]);
}

#[test]
fn what_makes_no_sense_is_refused() {
    let mut desk = Desk::new();
    for lines in [
        "Contact: *\n",
        "Contact: *\nExpires: 60\n",
        "Contact: *, <sip:a@192.0.2.1>\nExpires: 0\n",
        "Contact: <tel:+123>\n",
        "Contact: <mailto:a@b.example>\n",
    ] {
        assert_eq!(desk.register(lines).status, 400, "{lines}");
    }
    assert!(desk.contacts().is_empty());
}

#[test]
fn the_preferred_contact_rings_first() {
    let mut desk = Desk::new();
    desk.register("Contact: <sip:a@192.0.2.1>;q=0.3, <sip:a@192.0.2.2>;q=0.9\n");
    let targets = desk.location.targets(&alice(), desk.now);
    let hosts: Vec<_> = targets.iter().map(|target| target.uri.to_string()).collect();
    assert_eq!(hosts, ["sip:a@192.0.2.2", "sip:a@192.0.2.1"]);
}
