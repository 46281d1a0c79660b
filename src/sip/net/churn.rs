//! Many calls, and bad networks: both ends agree in the end, and nothing is left of it.

use std::{collections::HashMap, time::Duration};

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::{ANSWER, Net, OFFER, Weather, call};
use crate::endpoint::{Config, EndReason, Event, Invite, LegEvent, LegId, Reliable, Reply};

fn answer() -> Option<Bytes> {
    Some(Bytes::from_static(ANSWER))
}

#[test]
fn ten_thousand_calls_leave_nothing_behind() {
    let mut net = Net::pair();
    net.keep_wire = false;
    for round in 0..100 {
        let spec = Invite { body: Some(Bytes::from_static(OFFER)), ..call(0, 1) };
        let callers: Vec<LegId> =
            (0..100).map(|_| net.at(0, |end, now| end.invite(now, spec.clone()))).collect();
        net.run_ms(15);
        let incoming = |net: &Net| -> Vec<LegId> {
            let leg = |event: &Event| match event {
                Event::Incoming { leg, .. } => Some(*leg),
                _ => None,
            };
            net.events[1].iter().filter_map(leg).collect()
        };
        for (index, callee) in incoming(&net).into_iter().enumerate() {
            match index % 4 {
                0 => net.at(1, |end, now| end.reject(now, callee, Reply::new(486))),
                _ => net.at(1, |end, now| end.accept(now, callee, answer())),
            }
        }
        net.run_ms(50);
        for caller in callers {
            net.at(0, |end, now| end.end(now, caller, None));
        }
        net.run_ms(15);
        net.answer_byes(1);
        net.run_ms(20);
        net.forget();
        assert_eq!(net.ends[1].counts().legs, 0, "round {round}");
    }
    assert!(net.ends[1].counts().server_transactions > 1000);
    net.settle();
    net.assert_nothing_left();
    assert_eq!(net.ends[0].poll_timeout(), None);
    assert_eq!(net.ends[1].poll_timeout(), None);
}

/// What one end knows of its leg.
#[derive(Debug, Default)]
struct Story {
    answered: bool,
    /// We ended it.
    left: bool,
    over: u32,
}

/// An application at both ends that does what it may at random times.
struct Players {
    net: Net,
    dice: ChaCha12Rng,
    stories: [HashMap<LegId, Story>; 2],
    seed: u64,
}

impl Players {
    fn new(seed: u64) -> Self {
        let reliable_provisionals =
            if seed.is_multiple_of(2) { Reliable::WhenSupported } else { Reliable::WhenRequired };
        let config = Config { reliable_provisionals, ..Config::default() };
        let mut net = Net::new(seed, vec![config.clone(), config]);
        net.weather = Weather { loss: 30, duplicates: 10, jitter: Duration::from_millis(300) };
        Self { net, dice: ChaCha12Rng::seed_from_u64(seed), stories: Default::default(), seed }
    }

    fn chance(&mut self, per_cent: u64) -> bool {
        self.dice.next_u64() % 100 < per_cent
    }

    /// Reacts to all that happened at one end.
    fn react(&mut self, end: usize) {
        for event in std::mem::take(&mut self.net.events[end]) {
            match event {
                Event::Incoming { leg, .. } => {
                    self.stories[end].insert(leg, Story::default());
                    let early = self.chance(50).then(|| Bytes::from_static(ANSWER));
                    self.net.at(end, |end, now| end.provisional(now, leg, 183, early));
                }
                Event::Leg { leg, event } => self.hear(end, leg, event),
                Event::Request { .. } | Event::Response { .. } => {}
            }
        }
    }

    fn hear(&mut self, end: usize, leg: LegId, event: LegEvent) {
        let seed = self.seed;
        let story = self.stories[end].get_mut(&leg).expect("a leg that was begun");
        assert_eq!(story.over, 0, "seed {seed}: {event:?} after the end");
        match event {
            LegEvent::Answered { .. } | LegEvent::Acked { .. } => story.answered = true,
            LegEvent::Failed { .. } | LegEvent::Cancelled { .. } => story.over += 1,
            LegEvent::Ended { why } => {
                story.over += 1;
                story.left = why == EndReason::Local;
            }
            LegEvent::Bye { id, .. } => {
                story.over += 1;
                self.net.at(end, |end, now| end.respond(now, id, Reply::new(200)));
            }
            LegEvent::Offer { .. } => self.net.at(end, |end, now| end.accept(now, leg, answer())),
            _ => {}
        }
    }

    fn play(&mut self) {
        let spec = Invite { body: Some(Bytes::from_static(OFFER)), ..call(0, 1) };
        let caller = self.net.at(0, |end, now| end.invite(now, spec));
        self.stories[0].insert(caller, Story::default());
        for _ in 0..200 {
            self.net.run_ms(50);
            for end in 0..2 {
                self.react(end);
                let legs: Vec<LegId> = self.stories[end].keys().copied().collect();
                for leg in legs {
                    self.act(end, leg);
                    self.react(end);
                }
            }
        }
        for end in 0..2 {
            let mut legs: Vec<LegId> = self.stories[end].keys().copied().collect();
            legs.sort_unstable();
            for leg in legs {
                self.net.at(end, |end, now| end.end(now, leg, None));
            }
        }
        for _ in 0..150 {
            self.net.run_ms(1000);
            self.react(0);
            self.react(1);
        }
    }

    fn act(&mut self, end: usize, leg: LegId) {
        if end == 1 && self.chance(4) {
            self.net.at(end, |end, now| end.accept(now, leg, answer()));
        }
        if self.stories[end][&leg].answered && self.chance(2) {
            self.net.at(end, |end, now| end.modify(now, leg, Bytes::from_static(OFFER)));
        }
        if self.chance(1) {
            self.net.at(end, |end, now| end.end(now, leg, None));
        }
    }
}

#[test]
fn bad_networks_leave_both_ends_agreed_and_nothing_behind() {
    let mut answered = 0;
    for seed in 0..300 {
        let mut players = Players::new(seed);
        players.net.keep_wire = false;
        players.play();
        for (end, stories) in players.stories.iter().enumerate() {
            for story in stories.values() {
                assert_eq!(story.over, 1, "seed {seed}, end {end}: {story:?}");
            }
        }
        let callee = players.stories[1].values().any(|story| story.answered);
        // The caller may have hung up while its answer was on the way, and acknowledged it all the same.
        let caller = players.stories[0].values().any(|story| story.answered || story.left);
        assert!(caller || !callee, "seed {seed}");
        answered += u32::from(callee);
        for end in &players.net.ends {
            assert_eq!(end.counts(), Default::default(), "seed {seed}");
        }
    }
    assert!(answered > 50, "{answered}");
}
