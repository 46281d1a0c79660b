//! One whole call through the endpoint that is called: INVITE, 100, 180, 200, ACK, BYE, 200.

use std::{
    hint::black_box,
    net::SocketAddr,
    time::{Duration, Instant},
};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use sems_sip::{
    Endpoint, Flow,
    endpoint::{Config, Event, LegEvent, Output, Reply},
};

const SDP: &[u8] = b"v=0\r\no=- 1 1 IN IP4 192.0.2.2\r\ns=-\r\nc=IN IP4 192.0.2.2\r\nt=0 0\r\n\
m=audio 10000 RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n\
a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na=ptime:20\r\na=sendrecv\r\n";

/// The side that calls writes its messages by hand, so that only the endpoint is measured.
struct Caller {
    number: u64,
    flow: Flow,
}

impl Caller {
    fn message(&self, method: &str, seq: u32, tag: &str, body: &[u8]) -> Bytes {
        let n = self.number;
        let tag = if tag.is_empty() { String::new() } else { format!(";tag={tag}") };
        let mut text = format!(
            "{method} sip:echo@192.0.2.1 SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.2:5060;branch=z9hG4bK{n}{method};rport\r\n\
             Max-Forwards: 70\r\nFrom: <sip:alice@192.0.2.2>;tag=a{n}\r\nTo: <sip:echo@192.0.2.1>{tag}\r\n\
             Call-ID: {n}@192.0.2.2\r\nCSeq: {seq} {method}\r\nContact: <sip:alice@192.0.2.2:5060>\r\n\
             User-Agent: bench\r\nAllow: INVITE, ACK, CANCEL, BYE, OPTIONS\r\nSupported: timer\r\n"
        );
        if !body.is_empty() {
            text.push_str("Content-Type: application/sdp\r\n");
        }
        text.push_str(&format!("Content-Length: {}\r\n\r\n", body.len()));
        [text.as_bytes(), body].concat().into()
    }
}

/// One call; returns how many messages the endpoint sent.
fn call(endpoint: &mut Endpoint, caller: &mut Caller, now: Instant) -> u32 {
    caller.number += 1;
    let mut sent = 0;
    let mut tag = String::new();
    let mut queue = vec![caller.message("INVITE", 1, "", SDP)];
    while let Some(bytes) = queue.pop() {
        endpoint.handle_message(now, &caller.flow, bytes);
        while let Some(output) = endpoint.poll_output() {
            match output {
                Output::Transmit { bytes, .. } => {
                    sent += 1;
                    if tag.is_empty() && bytes.starts_with(b"SIP/2.0 200") {
                        let text = String::from_utf8_lossy(&bytes);
                        let at = text.find("192.0.2.1>;tag=").expect("a tag") + 15;
                        tag = text[at..at + 16].to_owned();
                        queue.push(caller.message("BYE", 2, &tag, b""));
                        queue.push(caller.message("ACK", 1, &tag, b""));
                    }
                }
                Output::Event(Event::Incoming { leg, .. }) => {
                    endpoint.provisional(now, leg, 180, None);
                    endpoint.accept(now, leg, Some(Bytes::from_static(SDP)));
                }
                Output::Event(Event::Leg { event: LegEvent::Bye { id, .. }, .. }) => {
                    endpoint.respond(now, id, Reply::new(200));
                }
                Output::Event(_) => {}
            }
        }
    }
    sent
}

fn whole_call(c: &mut Criterion) {
    let local: SocketAddr = ([192, 0, 2, 1], 5060).into();
    let remote: SocketAddr = ([192, 0, 2, 2], 5060).into();
    let mut endpoint = Endpoint::new(Config::default(), [7; 32]);
    let mut caller = Caller { number: 0, flow: Flow::udp(local, remote) };
    #[allow(clippy::disallowed_methods)]
    let mut now = Instant::now();
    assert_eq!(call(&mut endpoint, &mut caller, now), 4);
    let mut group = c.benchmark_group("endpoint");
    group.throughput(Throughput::Elements(1));
    // 10,000 calls a second of virtual time, so that the tables are as full as they would be.
    group.bench_function("uas_call", |b| {
        b.iter(|| {
            now += Duration::from_micros(100);
            if endpoint.poll_timeout().is_some_and(|at| at <= now) {
                endpoint.handle_timeout(now);
                while endpoint.poll_output().is_some() {}
            }
            black_box(call(&mut endpoint, &mut caller, now))
        });
    });
    group.finish();
}

criterion_group!(benches, whole_call);
criterion_main!(benches);
