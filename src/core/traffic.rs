//! SIP messages by direction, transport, method and status.

use sems_sip::Transport;

use crate::{
    counters::Count,
    snapshot::{Counter, CounterKind},
};

const TRANSPORTS: [Transport; 5] =
    [Transport::Udp, Transport::Tcp, Transport::Tls, Transport::Ws, Transport::Wss];
/// The last one stands for all others, so that nobody makes up a million of them.
const METHODS: [&str; 15] = [
    "INVITE",
    "ACK",
    "BYE",
    "CANCEL",
    "REGISTER",
    "OPTIONS",
    "INFO",
    "PRACK",
    "UPDATE",
    "REFER",
    "SUBSCRIBE",
    "NOTIFY",
    "PUBLISH",
    "MESSAGE",
    "other",
];
/// Statuses are 100 to 699.
const STATUSES: usize = 600;

/// One direction and transport.
#[derive(Debug)]
struct Way {
    requests: [Count; METHODS.len()],
    responses: Box<[Count]>,
}

/// All that came and went.
#[derive(Debug)]
pub(crate) struct Traffic {
    received: [Way; TRANSPORTS.len()],
    sent: [Way; TRANSPORTS.len()],
}

impl Default for Traffic {
    fn default() -> Self {
        let way = || Way {
            requests: Default::default(),
            responses: std::iter::repeat_with(Count::default).take(STATUSES).collect(),
        };
        let ways = || TRANSPORTS.map(|_| way());
        Self { received: ways(), sent: ways() }
    }
}

impl Traffic {
    /// A message, by its first line. What is neither request nor response is not counted.
    pub(crate) fn count(&self, sent: bool, transport: Transport, bytes: &[u8]) {
        let ways = if sent { &self.sent } else { &self.received };
        let Some(at) = TRANSPORTS.iter().position(|known| *known == transport) else { return };
        let Some(way) = ways.get(at) else { return };
        let mut words = bytes.split(|byte| *byte == b' ');
        let (Some(first), Some(second)) = (words.next(), words.next()) else { return };
        if first.eq_ignore_ascii_case(b"SIP/2.0") {
            let status = std::str::from_utf8(second).ok().and_then(|status| status.parse::<usize>().ok());
            let count = status.and_then(|status| way.responses.get(status.checked_sub(100)?));
            count.into_iter().for_each(Count::increment);
        } else {
            let at = METHODS.iter().position(|method| method.as_bytes() == first);
            way.requests[at.unwrap_or(METHODS.len() - 1)].increment();
        }
    }

    /// What has been counted so far, for `/metrics`.
    pub(crate) fn counters(&self) -> Vec<Counter> {
        let mut requests = Vec::new();
        let mut responses = Vec::new();
        for (direction, ways) in [("received", &self.received), ("sent", &self.sent)] {
            for (transport, way) in TRANSPORTS.iter().zip(ways) {
                let transport = transport.via_token().to_ascii_lowercase();
                let labels = |key, value| {
                    vec![("direction", direction.to_owned()), ("transport", transport.clone()), (key, value)]
                };
                for (method, count) in METHODS.iter().zip(&way.requests).filter(|(_, count)| count.get() > 0)
                {
                    requests.push(sample(
                        "sems_sip_requests_total",
                        "SIP requests.",
                        labels("method", (*method).to_owned()),
                        count,
                    ));
                }
                for (status, count) in (100..).zip(&way.responses).filter(|(_, count)| count.get() > 0) {
                    let labels = labels("status", i32::to_string(&status));
                    responses.push(sample("sems_sip_responses_total", "SIP responses.", labels, count));
                }
            }
        }
        requests.append(&mut responses);
        requests
    }
}

fn sample(
    name: &'static str,
    help: &'static str,
    labels: Vec<(&'static str, String)>,
    count: &Count,
) -> Counter {
    Counter { name, help, kind: CounterKind::Counter, labels, value: count.get() as f64 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_counted_by_their_first_line() {
        let traffic = Traffic::default();
        traffic.count(false, Transport::Udp, b"INVITE sip:x SIP/2.0\r\n");
        traffic.count(false, Transport::Udp, b"FROBNICATE sip:x SIP/2.0\r\n");
        traffic.count(false, Transport::Udp, b"MAKEUP sip:x SIP/2.0\r\n");
        traffic.count(true, Transport::Tcp, b"SIP/2.0 486 Busy Here\r\n");
        for odd in [&b"\r\n\r\n"[..], b"", b"SIP/2.0 99 x", b"SIP/2.0 700 x", b"SIP/2.0 xyz z", b"\xff"] {
            traffic.count(true, Transport::Udp, odd);
        }
        let shown: Vec<_> = traffic
            .counters()
            .into_iter()
            .map(|counter| {
                let labels: Vec<_> = counter.labels.into_iter().map(|(_, value)| value).collect();
                format!("{} {} {}", counter.name, labels.join(" "), counter.value)
            })
            .collect();
        let expected = [
            "sems_sip_requests_total received udp INVITE 1",
            "sems_sip_requests_total received udp other 2",
            "sems_sip_responses_total sent tcp 486 1",
        ];
        assert_eq!(shown, expected);
    }
}
