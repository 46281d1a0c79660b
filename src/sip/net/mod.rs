//! Endpoints on one virtual clock, joined by a seeded network that loses, delays, duplicates and reorders.

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    sync::LazyLock,
    time::{Duration, Instant},
};

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use crate::{
    Text, Uri,
    endpoint::{Config, Counts, Endpoint, Event, Invite, LegEvent, LegId, Output},
    flow::Flow,
    header::NameAddr,
};

mod calls;
mod changes;
mod churn;
mod faults;
mod model;
mod outside;
mod reliable;
mod sessions;

/// The one instant that virtual time is counted from.
pub(crate) fn epoch() -> Instant {
    #[allow(clippy::disallowed_methods)]
    static EPOCH: LazyLock<Instant> = LazyLock::new(Instant::now);
    *EPOCH
}

pub(crate) const OFFER: &[u8] = b"v=0 offer";
pub(crate) const ANSWER: &[u8] = b"v=0 answer";

/// What the network does to datagrams.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Weather {
    /// Per cent lost.
    pub(crate) loss: u64,
    /// Per cent sent twice.
    pub(crate) duplicates: u64,
    /// Up to so much later, each for itself: what reorders.
    pub(crate) jitter: Duration,
}

/// The network with its endpoints, the first of which usually calls.
pub(crate) struct Net {
    pub(crate) now: Instant,
    pub(crate) ends: Vec<Endpoint>,
    pub(crate) weather: Weather,
    /// Events of each end, oldest first.
    pub(crate) events: Vec<Vec<Event>>,
    /// Every message that was sent, with the number of its sender.
    pub(crate) wire: Vec<(usize, String)>,
    /// Whether `wire` is kept.
    pub(crate) keep_wire: bool,
    /// Messages that match are lost, as often as told.
    pub(crate) losses: Vec<(&'static str, u32)>,
    air: BTreeMap<(Instant, u64), (SocketAddr, SocketAddr, Bytes)>,
    sent: u64,
    /// How many messages arrived and timers fired.
    pub(crate) steps: u64,
    rng: ChaCha12Rng,
}

pub(crate) fn address(end: usize) -> SocketAddr {
    SocketAddr::from(([10, 0, 0, u8::try_from(end).unwrap() + 1], 5060))
}

pub(crate) fn flow(from: usize, to: usize) -> Flow {
    Flow::udp(address(from), address(to))
}

pub(crate) fn uri(user: &str, end: usize) -> Uri {
    Uri::parse(&Text::from(format!("sip:{user}@{}", address(end)))).unwrap()
}

pub(crate) fn call(from: usize, to: usize) -> Invite {
    let target = uri("bob", to);
    Invite::new(flow(from, to), target.clone(), NameAddr::new(uri("alice", from)), NameAddr::new(target))
}

impl Net {
    pub(crate) fn new(seed: u64, configs: Vec<Config>) -> Self {
        let mut rng = ChaCha12Rng::seed_from_u64(seed);
        let ends: Vec<Endpoint> = configs
            .into_iter()
            .map(|config| {
                let mut seed = [0; 32];
                rng.fill_bytes(&mut seed);
                Endpoint::new(config, seed)
            })
            .collect();
        Self {
            now: epoch(),
            events: ends.iter().map(|_| Vec::new()).collect(),
            ends,
            weather: Weather::default(),
            wire: Vec::new(),
            keep_wire: true,
            losses: Vec::new(),
            air: BTreeMap::new(),
            sent: 0,
            steps: 0,
            rng,
        }
    }

    pub(crate) fn pair() -> Self {
        Self::new(1, vec![Config::default(), Config::default()])
    }

    /// Takes what an endpoint has to say.
    pub(crate) fn drain(&mut self, end: usize) {
        while let Some(output) = self.ends[end].poll_output() {
            match output {
                Output::Event(event) => self.events[end].push(event),
                Output::Transmit { flow, bytes } => self.carry(end, &flow, bytes),
            }
        }
    }

    fn carry(&mut self, end: usize, flow: &Flow, bytes: Bytes) {
        let mut dropped = false;
        if self.keep_wire {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let lost = self.losses.iter_mut().find(|(what, left)| *left > 0 && text.starts_with(what));
            dropped = lost.map(|(_, left)| *left -= 1).is_some();
            self.wire.push((end, text));
        }
        let dice = self.rng.next_u64() % 100;
        if dropped || dice < self.weather.loss {
            return;
        }
        let copies = if self.rng.next_u64() % 100 < self.weather.duplicates { 2 } else { 1 };
        for _ in 0..copies {
            let jitter = u64::try_from(self.weather.jitter.as_millis()).unwrap();
            let delay =
                Duration::from_millis(10 + if jitter == 0 { 0 } else { self.rng.next_u64() % jitter });
            self.sent += 1;
            self.air.insert((self.now + delay, self.sent), (flow.local, flow.remote, bytes.clone()));
        }
    }

    /// Hands a message to an endpoint as if it came from an address.
    pub(crate) fn inject(&mut self, end: usize, from: SocketAddr, text: &str) {
        let flow = Flow::udp(address(end), from);
        self.ends[end].handle_message(self.now, &flow, Bytes::from(text.replace('\n', "\r\n")));
        self.drain(end);
    }

    /// The next thing that happens, at `limit` at the latest.
    fn step(&mut self, limit: Instant) -> bool {
        let arrival = self.air.keys().next().map(|(at, _)| *at);
        let timer = self.ends.iter().filter_map(Endpoint::poll_timeout).min();
        let Some(next) = arrival.into_iter().chain(timer).min().filter(|at| *at <= limit) else {
            self.now = self.now.max(limit);
            return false;
        };
        self.now = self.now.max(next);
        self.steps += 1;
        if arrival == Some(next) {
            let (_, (from, to, bytes)) = self.air.pop_first().unwrap();
            if let Some(end) = (0..self.ends.len()).find(|end| address(*end) == to) {
                self.ends[end].handle_message(self.now, &Flow::udp(to, from), bytes);
                self.drain(end);
            }
        } else {
            for end in 0..self.ends.len() {
                self.ends[end].handle_timeout(self.now);
                self.drain(end);
            }
        }
        true
    }

    pub(crate) fn run(&mut self, time: Duration) {
        for end in 0..self.ends.len() {
            self.drain(end);
        }
        let limit = self.now + time;
        while self.step(limit) {}
    }

    pub(crate) fn run_ms(&mut self, ms: u64) {
        self.run(Duration::from_millis(ms));
    }

    /// Runs until nothing is left to happen but by the application.
    pub(crate) fn settle(&mut self) {
        self.run(Duration::from_secs(200));
    }

    /// Does something with an endpoint, and lets it speak.
    pub(crate) fn at<R>(&mut self, end: usize, act: impl FnOnce(&mut Endpoint, Instant) -> R) -> R {
        let result = act(&mut self.ends[end], self.now);
        self.drain(end);
        result
    }

    /// Calls from the first end to the second and brings the INVITE there.
    pub(crate) fn ring(&mut self, body: Option<&'static [u8]>) -> (LegId, LegId) {
        let spec = Invite { body: body.map(Bytes::from_static), ..call(0, 1) };
        let caller = self.at(0, |end, now| end.invite(now, spec));
        self.run_ms(20);
        (caller, self.incoming(1))
    }

    /// A call that is answered and acknowledged.
    pub(crate) fn connect(&mut self) -> (LegId, LegId) {
        let (caller, callee) = self.ring(Some(OFFER));
        self.at(1, |end, now| end.accept(now, callee, Some(Bytes::from_static(ANSWER))));
        self.run_ms(100);
        assert!(self.saw(1, |event| matches!(event, LegEvent::Acked { .. })));
        self.forget();
        (caller, callee)
    }

    /// A call whose first INVITE is refused with something to be mended.
    pub(crate) fn connect_anew(&mut self) {
        self.at(0, |end, now| {
            end.invite(now, Invite { body: Some(Bytes::from_static(OFFER)), ..call(0, 1) })
        });
        self.run_ms(100);
        let callee = self.incoming(1);
        self.at(1, |end, now| end.accept(now, callee, Some(Bytes::from_static(ANSWER))));
        self.run_ms(100);
        assert!(self.saw(1, |event| matches!(event, LegEvent::Acked { .. })));
    }

    /// The leg of the last INVITE that came.
    pub(crate) fn incoming(&self, end: usize) -> LegId {
        let leg = self.events[end].iter().rev().find_map(|event| match event {
            Event::Incoming { leg, .. } => Some(*leg),
            _ => None,
        });
        leg.expect("an INVITE")
    }

    pub(crate) fn leg_events(&self, end: usize) -> Vec<&LegEvent> {
        self.events[end]
            .iter()
            .filter_map(|event| match event {
                Event::Leg { event, .. } => Some(event),
                _ => None,
            })
            .collect()
    }

    pub(crate) fn saw(&self, end: usize, what: impl Fn(&LegEvent) -> bool) -> bool {
        self.leg_events(end).into_iter().any(what)
    }

    pub(crate) fn forget(&mut self) {
        self.events.iter_mut().for_each(Vec::clear);
        self.wire.clear();
    }

    /// How many messages an end sent that begin so.
    pub(crate) fn sent(&self, end: usize, start: &str) -> usize {
        self.wire.iter().filter(|(sender, text)| *sender == end && text.starts_with(start)).count()
    }

    /// The last message an end sent that begins so.
    pub(crate) fn last(&self, end: usize, start: &str) -> &str {
        let found = self.wire.iter().rev().find(|(sender, text)| *sender == end && text.starts_with(start));
        &found.unwrap_or_else(|| panic!("no {start} from {end}")).1
    }

    /// Answers every BYE that came and is not answered.
    pub(crate) fn answer_byes(&mut self, end: usize) {
        let byes: Vec<_> = self.events[end]
            .iter()
            .filter_map(|event| match event {
                Event::Leg { event: LegEvent::Bye { id, .. }, .. } => Some(*id),
                _ => None,
            })
            .collect();
        for id in byes {
            self.at(end, |end, now| end.respond(now, id, crate::endpoint::Reply::new(200)));
        }
    }

    pub(crate) fn assert_nothing_left(&self) {
        for (number, end) in self.ends.iter().enumerate() {
            assert_eq!(end.counts(), Counts::default(), "end {number}");
        }
    }
}
