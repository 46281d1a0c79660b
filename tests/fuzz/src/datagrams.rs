//! Sequences: a peer that sends what it likes, an application that does what it likes, and time.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use bytes::Bytes;
use sems_sip::endpoint::{Config, Event, Invite, LegEvent, LegId, Output, Reliable, Reply, RequestId};
use sems_sip::header::NameAddr;
use sems_sip::{Endpoint, Flow, Method, Uri};

/// The requests of a caller who knows how; the numbers are filled in.
const REQUESTS: [&str; 10] =
    ["INVITE", "ACK", "BYE", "CANCEL", "PRACK", "UPDATE", "INFO", "OPTIONS", "REGISTER", "SUBSCRIBE"];
const SDP: &[u8] = b"v=0\r\n";

struct Play {
    endpoint: Endpoint,
    now: Instant,
    flow: Flow,
    legs: Vec<LegId>,
    asked: Vec<RequestId>,
    /// The tag that the endpoint gave last, and the branch of its last request.
    tag: String,
    branch: String,
    cseq: u32,
    sent: usize,
}

impl Play {
    fn new() -> Self {
        let local: SocketAddr = ([192, 0, 2, 1], 5060).into();
        let remote: SocketAddr = ([192, 0, 2, 2], 5060).into();
        let config = Config {
            reliable_provisionals: Reliable::WhenSupported,
            session_expires: Duration::from_secs(90),
            ..Config::default()
        };
        Self {
            endpoint: Endpoint::new(config, [7; 32]),
            now: Instant::now(),
            flow: Flow::udp(local, remote),
            legs: Vec::new(),
            asked: Vec::new(),
            tag: String::new(),
            branch: String::new(),
            cseq: 1,
            sent: 0,
        }
    }

    /// Takes what the endpoint says, and notes what a peer would.
    fn drain(&mut self) {
        while let Some(output) = self.endpoint.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => {
                    self.sent += 1;
                    let text = String::from_utf8_lossy(&bytes);
                    if text.starts_with("SIP/2.0") {
                        let to = text.lines().find(|line| line.starts_with("To:")).unwrap_or_default();
                        if let Some((_, tag)) = to.rsplit_once(";tag=") {
                            tag.clone_into(&mut self.tag);
                        }
                    } else if let Some((_, branch)) = text.split_once(";branch=") {
                        branch.split(';').next().unwrap_or_default().clone_into(&mut self.branch);
                    }
                }
                Output::Event(Event::Incoming { leg, .. }) => self.legs.push(leg),
                Output::Event(Event::Request { id, .. })
                | Output::Event(Event::Leg { event: LegEvent::Request { id, .. }, .. })
                | Output::Event(Event::Leg { event: LegEvent::Bye { id, .. }, .. }) => self.asked.push(id),
                Output::Event(_) => {}
            }
        }
    }

    fn receive(&mut self, bytes: Vec<u8>) {
        self.endpoint.handle_message(self.now, &self.flow, Bytes::from(bytes));
        self.drain();
    }

    fn wait(&mut self, time: Duration) {
        let until = self.now + time;
        while let Some(at) = self.endpoint.poll_timeout().filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.endpoint.handle_timeout(self.now);
            self.drain();
        }
        self.now = until;
    }

    /// A request of the peer's, in the dialog of the last tag or outside, damaged by what follows.
    fn request(&self, kind: u8, damage: &[u8]) -> Vec<u8> {
        let method = REQUESTS[usize::from(kind & 15) % REQUESTS.len()];
        let tag = if kind & 16 == 0 { String::new() } else { format!(";tag={}", self.tag) };
        let (cseq, body) = (self.cseq, if kind & 32 == 0 { &b""[..] } else { SDP });
        let content = if body.is_empty() { "" } else { "Content-Type: application/sdp\r\n" };
        let text = format!(
            "{method} sip:x@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2;branch=z9hG4bK{}\r\n\
             Max-Forwards: 70\r\nFrom: <sip:a@192.0.2.2>;tag=f\r\nTo: <sip:x@192.0.2.1>{tag}\r\nCall-ID: c\r\n\
             CSeq: {cseq} {method}\r\nContact: <sip:a@192.0.2.2>\r\nSupported: 100rel, timer\r\n\
             RAck: 1 {cseq} INVITE\r\n{content}Content-Length: {}\r\n\r\n",
            cseq,
            body.len()
        );
        damaged([text.as_bytes(), body].concat(), damage)
    }

    /// A response of the peer's to the endpoint's last request.
    fn response(&self, kind: u8, damage: &[u8]) -> Vec<u8> {
        let status = [100, 180, 183, 200, 202, 302, 401, 408, 422, 481, 486, 491, 500, 503, 600, 699]
            [usize::from(kind & 15)];
        let method = REQUESTS[usize::from(kind >> 4) % REQUESTS.len()];
        let text = format!(
            "SIP/2.0 {status} X\r\nVia: SIP/2.0/UDP 192.0.2.1:5060;branch={}\r\nFrom: <sip:x@192.0.2.1>;tag=l\r\n\
             To: <sip:a@192.0.2.2>;tag=r{}\r\nCall-ID: d\r\nCSeq: 1 {method}\r\nContact: <sip:a@192.0.2.2>\r\n\
             Require: 100rel\r\nRSeq: 1\r\nContent-Length: 0\r\n\r\n",
            self.branch,
            kind >> 6,
        );
        damaged(text.into_bytes(), damage)
    }

    /// What the application does with its last leg.
    fn act(&mut self, kind: u8) {
        let now = self.now;
        let body = Some(Bytes::from_static(SDP)).filter(|_| kind & 16 == 0);
        if kind & 15 == 0 {
            let uri: Uri = "sip:a@192.0.2.2".parse().expect("a URI");
            let target = NameAddr::new(uri.clone());
            let spec = Invite { body, ..Invite::new(self.flow.clone(), uri, target.clone(), target) };
            let leg = self.endpoint.invite(now, spec);
            self.legs.push(leg);
        } else if let Some(leg) = self.legs.last().copied() {
            match kind & 15 {
                1 => self.endpoint.provisional(now, leg, 180, None),
                2 => self.endpoint.provisional(now, leg, 183, body),
                3 | 4 => self.endpoint.accept(now, leg, body),
                5 => self.endpoint.reject(now, leg, Reply::new(486)),
                6 => self.endpoint.modify(now, leg, Bytes::from_static(SDP)),
                7 => self.endpoint.ack(now, leg, body),
                8 => drop(self.endpoint.request_in(now, leg, Method::Info, Vec::new(), None)),
                9 => self.endpoint.end(now, leg, None),
                10 => self.endpoint.handle_transport_error(now, &self.flow.clone()),
                11 => drop(self.legs.pop()),
                _ => {
                    if let Some(id) = self.asked.pop() {
                        self.endpoint.respond(now, id, Reply::new(200));
                    }
                }
            }
        }
        self.drain();
    }

    /// Everything ends: nothing may be left.
    fn finish(mut self, all: &[LegId]) {
        for leg in all.iter().chain(&self.legs.clone()) {
            self.endpoint.end(self.now, *leg, None);
            self.drain();
        }
        self.wait(Duration::from_secs(300));
        let counts = self.endpoint.counts();
        assert_eq!(counts, Default::default(), "something is left");
        assert_eq!(self.endpoint.poll_timeout(), None);
    }
}

/// Sets bytes: pairs of a place, in per cents of two bytes, and a value.
fn damaged(mut bytes: Vec<u8>, damage: &[u8]) -> Vec<u8> {
    for change in damage.chunks_exact(3) {
        let at = (usize::from(change[0]) << 8 | usize::from(change[1])) % bytes.len();
        bytes[at] = change[2];
    }
    bytes
}

/// A script of steps, each a byte that says what, one that says how, and one that says how many bytes follow.
pub fn datagrams(data: &[u8]) {
    let (mut play, mut rest, mut all) = (Play::new(), data, Vec::new());
    while let [what, how, len, tail @ ..] = rest {
        let (more, next) = tail.split_at(usize::from(*len).min(tail.len()));
        rest = next;
        match what % 6 {
            0 => play.receive(more.to_vec()),
            1 => play.receive(play.request(*how, more)),
            2 => play.receive(play.response(*how, more)),
            3 => play.wait(Duration::from_millis(u64::from(*how) * 300)),
            4 => play.cseq = play.cseq.saturating_add(u32::from(*how & 3)),
            _ => play.act(*how),
        }
        for leg in &play.legs {
            if !all.contains(leg) {
                all.push(*leg);
            }
        }
    }
    play.finish(&all);
}
