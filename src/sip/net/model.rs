//! Two applications that do at random whatever an application may do, over a network that loses, repeats and
//! reorders, against what a call has to be: each leg ends once, both ends agree whether a call lives and on which
//! descriptions, and nothing is left of a call that is over.
//!
//! `SEMS_MODEL_STEPS` is how many messages and timers it takes in all; a million is the full proof.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha12Rng;

use super::{Net, Weather, call};
use crate::endpoint::{
    ClientId, Config, EndReason, Endpoint, Event, Invite, LegEvent, LegId, OutOfDialog, Reliable, Reply,
};
use crate::header::NameAddr;
use crate::{HeaderName, Method, Response};

/// The steps of an ordinary test run: some seconds.
const USUAL_STEPS: u64 = 40_000;
/// The longest that two ends may disagree on a good network: a session timer of 90 s and a transaction.
const RECOVERY: u64 = 140;

/// What one end knows of its leg.
#[derive(Debug, Default)]
struct Side {
    call: String,
    /// Their INVITE waits for our final answer; `Some(false)` when it carried no offer.
    ringing: Option<bool>,
    /// The answer to the offer of the first INVITE: the same in every response.
    answer: Option<String>,
    confirmed: bool,
    /// How often it ended.
    over: u32,
    /// By our own wish.
    left: bool,
    /// The last answer that was given, which names its offer.
    agreed: Option<String>,
    /// Their offer waits for us.
    pending: Option<String>,
    /// Our re-INVITE is under way.
    modifies: bool,
    /// Our UPDATE is under way.
    update: Option<ClientId>,
}

impl Side {
    fn lives(&self) -> bool {
        self.over == 0
    }

    fn is_quiet(&self) -> bool {
        self.confirmed && self.pending.is_none() && !self.modifies && self.update.is_none()
    }
}

struct Model {
    net: Net,
    dice: ChaCha12Rng,
    sides: [BTreeMap<LegId, Side>; 2],
    seed: u64,
    /// The number of the last description.
    described: u32,
}

fn text(body: &[u8]) -> Option<String> {
    (!body.is_empty()).then(|| String::from_utf8_lossy(body).into_owned())
}

fn is_reliable(response: &Response) -> bool {
    response.headers.has_token(&HeaderName::Require, "100rel")
}

impl Model {
    fn new(seed: u64) -> Self {
        let mut dice = ChaCha12Rng::seed_from_u64(seed);
        let mut config = || {
            let mut config = Config {
                session_expires: Duration::from_secs(90),
                bye_timeout: Duration::from_secs(2),
                ..Config::default()
            };
            if dice.next_u64().is_multiple_of(2) {
                config.reliable_provisionals = Reliable::WhenSupported;
            }
            if dice.next_u64().is_multiple_of(4) {
                // Refreshes go by re-INVITE then.
                config.allow.retain(|method| *method != Method::Update);
            }
            config
        };
        let configs = vec![config(), config()];
        let mut net = Net::new(seed, configs);
        net.keep_wire = false;
        Self { net, dice, sides: Default::default(), seed, described: 0 }
    }

    fn roll(&mut self, per_mille: u64) -> bool {
        self.dice.next_u64() % 1000 < per_mille
    }

    fn description(&mut self, of: &str) -> String {
        self.described += 1;
        format!("v=0 {}{of}", self.described)
    }

    fn at<R>(&mut self, end: usize, act: impl FnOnce(&mut Endpoint, std::time::Instant) -> R) -> R {
        self.net.at(end, act)
    }

    fn side(&mut self, end: usize, leg: LegId) -> &mut Side {
        let seed = self.seed;
        self.sides[end].get_mut(&leg).unwrap_or_else(|| panic!("seed {seed}: {leg:?} of {end} is unknown"))
    }

    fn place_call(&mut self) {
        let from = usize::from(self.roll(500));
        let offer = self.description("");
        let late = self.roll(150);
        let id = format!("{}-{}", self.seed, self.described);
        let body = (!late).then(|| Bytes::from(offer));
        let spec = Invite { body, call_id: Some(id.as_str().into()), ..call(from, 1 - from) };
        let leg = self.at(from, |end, now| end.invite(now, spec));
        self.sides[from].insert(leg, Side { call: id, ..Side::default() });
    }

    /// Takes all that happened.
    fn react(&mut self) {
        while self.net.events.iter().any(|events| !events.is_empty()) {
            for end in 0..2 {
                for event in std::mem::take(&mut self.net.events[end]) {
                    self.hear(end, event);
                }
            }
        }
    }

    fn hear(&mut self, end: usize, event: Event) {
        match event {
            Event::Incoming { leg, request, .. } => {
                let call = request.headers.call_id().unwrap().0.to_string();
                let ringing = Some(!request.body.is_empty());
                let answer = text(&request.body).map(|offer| self.description(&format!(" to {offer}")));
                self.sides[end].insert(leg, Side { call, ringing, answer, ..Side::default() });
            }
            Event::Leg { leg, event } => self.hear_of(end, leg, event),
            Event::Request { id, .. } => self.at(end, |end, now| end.respond(now, id, Reply::new(200))),
            Event::Response { id, response } => {
                let body = response.filter(|r| r.status.is_success()).and_then(|r| text(&r.body));
                for side in self.sides[end].values_mut().filter(|side| side.update == Some(id)) {
                    side.update = None;
                    side.agreed = body.clone().or(side.agreed.take());
                }
            }
        }
    }

    fn hear_of(&mut self, end: usize, leg: LegId, event: LegEvent) {
        let seed = self.seed;
        let side = self.side(end, leg);
        assert_eq!(side.over, 0, "seed {seed}: {event:?} after the end of {leg:?}");
        match event {
            LegEvent::Provisional { response } => {
                if is_reliable(&response) {
                    side.agreed = text(&response.body).or(side.agreed.take());
                }
            }
            LegEvent::Answered { response } => self.answered(end, leg, &response),
            LegEvent::Acked { body } => {
                side.confirmed = true;
                side.agreed = body.as_deref().and_then(text).or(side.agreed.take());
            }
            LegEvent::Trying => {}
            LegEvent::Failed { .. } | LegEvent::Cancelled { .. } => side.over += 1,
            LegEvent::Ended { why } => {
                side.over += 1;
                side.left = why == EndReason::Local;
            }
            LegEvent::Bye { id, .. } => {
                side.over += 1;
                // Nobody answers some of them: the endpoint has to.
                if !self.roll(100) {
                    self.at(end, |end, now| end.respond(now, id, Reply::new(200)));
                }
            }
            LegEvent::Offer { body, .. } => {
                assert!(side.pending.is_none(), "seed {seed}: two offers at once");
                side.pending = body.as_deref().and_then(text);
                assert!(side.pending.is_some(), "seed {seed}: an offer without description");
            }
            LegEvent::Answer { body } => {
                side.modifies = false;
                side.agreed = body.as_deref().and_then(text);
            }
            LegEvent::ModifyFailed { .. } => side.modifies = false,
            LegEvent::Refreshed { body } => side.agreed = body.as_deref().and_then(text),
            LegEvent::Request { id, .. } => {
                self.at(end, |end, now| end.respond(now, id, Reply::new(200)));
            }
        }
    }

    fn answered(&mut self, end: usize, leg: LegId, response: &Response) {
        let body = text(&response.body);
        let late = body.as_ref().is_some_and(|body| !body.contains(" to "));
        let side = self.side(end, leg);
        side.confirmed = true;
        if !late {
            side.agreed = body.or(side.agreed.take());
            return;
        }
        let answer = self.description(&format!(" to {}", body.unwrap_or_default()));
        self.side(end, leg).agreed = Some(answer.clone());
        self.at(end, |end, now| end.ack(now, leg, Some(Bytes::from(answer))));
    }

    /// Does something with a leg, or mostly nothing.
    fn act(&mut self, end: usize, leg: LegId) {
        let side = self.side(end, leg);
        if !side.lives() {
            return;
        }
        let (ringing, pending, confirmed) = (side.ringing, side.pending.is_some(), side.confirmed);
        if ringing.is_some() && self.roll(80) {
            self.ring(end, leg);
        }
        if ringing.is_some() && self.roll(80) {
            self.take(end, leg);
        } else if ringing.is_some() && self.roll(15) {
            self.at(end, |end, now| end.reject(now, leg, Reply::new(486)));
        } else if pending && self.roll(200) {
            self.answer_offer(end, leg);
        } else if confirmed && self.roll(30) {
            self.change(end, leg);
        } else if confirmed && self.roll(15) {
            self.at(end, |end, now| end.request_in(now, leg, Method::Info, Vec::new(), None));
        } else if self.roll(6) {
            self.at(end, |end, now| end.end(now, leg, Some("SIP;cause=200".to_owned())));
        }
    }

    fn ring(&mut self, end: usize, leg: LegId) {
        let described = self.roll(500);
        let body = self.side(end, leg).answer.clone().filter(|_| described);
        let status = if body.is_some() { 183 } else { 180 };
        self.at(end, |end, now| end.provisional(now, leg, status, body.map(Bytes::from)));
    }

    /// Answers an INVITE: by the answer that it always had, or by our offer.
    fn take(&mut self, end: usize, leg: LegId) {
        let offer = self.description("");
        let side = self.side(end, leg);
        side.ringing = None;
        side.agreed.clone_from(&side.answer);
        let body = side.answer.clone().unwrap_or(offer);
        self.at(end, |end, now| end.accept(now, leg, Some(Bytes::from(body))));
    }

    fn answer_offer(&mut self, end: usize, leg: LegId) {
        let Some(offer) = self.side(end, leg).pending.take() else { return };
        if self.roll(150) {
            return self.at(end, |end, now| end.reject(now, leg, Reply::new(488)));
        }
        let answer = self.description(&format!(" to {offer}"));
        self.side(end, leg).agreed = Some(answer.clone());
        self.at(end, |end, now| end.accept(now, leg, Some(Bytes::from(answer))));
    }

    /// Offers another description: by re-INVITE whenever we like, so that both may do it at once; by UPDATE only when
    /// nothing is under way, as an application has to see to that itself.
    fn change(&mut self, end: usize, leg: LegId) {
        let call = self.side(end, leg).call.clone();
        let alone = |side: &Side| side.call != call || !side.lives() || side.is_quiet();
        let still = self.sides.iter().all(|sides| sides.values().all(alone));
        let updating =
            self.sides.iter().flat_map(BTreeMap::values).any(|s| s.call == call && s.update.is_some());
        if !self.side(end, leg).is_quiet() || updating {
            return;
        }
        let offer = Bytes::from(self.description(""));
        if still && self.roll(300) {
            let body = Some(("application/sdp".to_owned(), offer));
            let id = self.at(end, |end, now| end.request_in(now, leg, Method::Update, Vec::new(), body));
            self.side(end, leg).update = Some(id);
        } else {
            self.side(end, leg).modifies = true;
            self.at(end, |end, now| end.modify(now, leg, offer));
        }
    }

    fn play(&mut self, rounds: u32) {
        let jitter = Duration::from_millis(1 + self.dice.next_u64() % 600);
        let (loss, duplicates) = (self.dice.next_u64() % 45, self.dice.next_u64() % 20);
        self.net.weather = Weather { loss, duplicates, jitter };
        for _ in 0..rounds {
            if self.roll(120) {
                self.place_call();
            }
            if self.roll(20) {
                let uri = super::uri("bob", 1);
                let (from, to) = (NameAddr::new(uri.clone()), NameAddr::new(uri.clone()));
                let spec = OutOfDialog::new(Method::Options, super::flow(0, 1), uri, from, to);
                self.at(0, |end, now| end.request(now, spec));
            }
            let pause = self.dice.next_u64() % 250;
            self.net.run_ms(pause);
            self.react();
            for end in 0..2 {
                let legs: Vec<LegId> = self.sides[end].keys().copied().collect();
                for leg in legs {
                    self.act(end, leg);
                    self.react();
                }
            }
        }
    }

    /// A good network, and applications that answer at once: in a while both ends agree.
    fn agree(&mut self) {
        self.net.weather = Weather::default();
        for _ in 0..RECOVERY * 2 {
            for end in 0..2 {
                let legs: Vec<LegId> =
                    self.sides[end].iter().filter(|(_, side)| side.lives()).map(|(leg, _)| *leg).collect();
                for leg in legs {
                    if self.side(end, leg).ringing.is_some() {
                        self.take(end, leg);
                    }
                    self.answer_offer(end, leg);
                    self.react();
                }
            }
            self.net.run_ms(500);
            self.react();
        }
        let seed = self.seed;
        let living = |end: usize| -> BTreeMap<&str, &Side> {
            self.sides[end].values().filter(|s| s.lives()).map(|s| (s.call.as_str(), s)).collect()
        };
        let [ours, theirs] = [living(0), living(1)];
        assert!(ours.keys().eq(theirs.keys()), "seed {seed}: half alive: {ours:#?} {theirs:#?}");
        for (call, side) in &ours {
            let other = theirs[call];
            assert!(side.confirmed && other.confirmed, "seed {seed}: {side:?} {other:?}");
            assert_eq!(side.agreed, other.agreed, "seed {seed}: call {call}: {side:?} {other:?}");
            assert!(side.agreed.is_some(), "seed {seed}: nothing was agreed on in {call}");
        }
    }

    /// Everybody leaves, those too whom an INVITE reached whose caller had left already: nothing remains.
    fn finish(&mut self) {
        for seconds in [100, 200] {
            for end in 0..2 {
                let legs: Vec<LegId> = self.sides[end].keys().copied().collect();
                for leg in legs {
                    self.at(end, |end, now| end.end(now, leg, None));
                }
            }
            for _ in 0..seconds {
                self.net.run_ms(1000);
                self.react();
            }
        }
        for side in self.sides.iter().flat_map(BTreeMap::values) {
            assert_eq!(side.over, 1, "seed {}: {side:?}", self.seed);
        }
        for end in &self.net.ends {
            assert_eq!(end.counts(), Default::default(), "seed {}", self.seed);
            assert_eq!(end.poll_timeout(), None, "seed {}", self.seed);
        }
    }

    /// Calls that were confirmed at both ends.
    fn completed(&self) -> usize {
        self.sides[0].values().filter(|side| side.confirmed).count()
    }
}

#[test]
fn two_ends_agree_whatever_they_and_the_network_do() {
    let wanted = std::env::var("SEMS_MODEL_STEPS").ok().and_then(|steps| steps.parse().ok());
    let (wanted, mut steps, mut seed, mut completed) = (wanted.unwrap_or(USUAL_STEPS), 0, 0, 0);
    while steps < wanted {
        let mut model = Model::new(seed);
        model.play(150);
        model.agree();
        model.play(100);
        model.finish();
        steps += model.net.steps;
        completed += model.completed();
        seed += 1;
    }
    assert!(completed as u64 > seed * 3, "{completed} calls in {seed} rounds");
}
