//! What each source of SIP may do: how fast a stranger may ask, and who is not listened to any more.
//!
//! A source is an IPv4 address or an IPv6 network of 64 bits, as one machine has a whole one of those. A source from
//! which an account was proved is trusted further for [`PROVED`]: behind one address may be an office, some phones of
//! which have an old password, and whoever forges the address of a user must not be able to lock that user out.

mod bans;

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr},
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

pub(crate) use bans::Bans;

use crate::config::{Abuse, Cidr};

/// Sources of which something is kept: some MiB.
const SOURCES: usize = 65_536;
/// Entries that are looked at for one to be replaced when the table is full.
const LOOKED_AT: usize = 16;
/// How long an account's proof speaks for its source.
const PROVED: Duration = Duration::from_secs(3600);
/// Sources that did nothing for so long are forgotten; looked for no more often.
const SWEEP: Duration = Duration::from_secs(60);
/// From a source that has proved an account so many times as many wrong passwords are mistakes; nothing else counts.
const OFFICE: u32 = 10;
/// How many seconds' worth of messages may come at once.
const BURST: f64 = 2.0;

/// An address, as far as it tells one sender from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Source(IpAddr);

impl Source {
    pub(crate) fn of(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(address) => IpAddr::V6(Ipv6Addr::from_bits(address.to_bits() >> 64 << 64)),
            address => address,
        })
    }
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.0 {
            IpAddr::V4(address) => address.fmt(f),
            IpAddr::V6(address) => write!(f, "{address}/64"),
        }
    }
}

/// Why a request counts against its source.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Offence {
    /// A wrong password.
    Credentials,
    /// An account that is not there.
    Account,
    /// A number that nobody has.
    Number,
    /// A call through us to somewhere else.
    Relay,
}

impl Offence {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Credentials => "wrong credentials",
            Self::Account => "unknown accounts",
            Self::Number => "unknown numbers",
            Self::Relay => "calls to foreign domains",
        }
    }
}

#[derive(Debug)]
struct State {
    /// Messages that may come now.
    tokens: f64,
    last: Instant,
    /// Offences since `since`.
    offences: u32,
    since: Instant,
    proved: Option<Instant>,
    /// The request of the last offence: what is sent again because its refusal was lost is no other one.
    request: u64,
}

/// All sources; owned by the signalling task.
#[derive(Debug)]
pub(crate) struct Sources {
    settings: Abuse,
    trusted: Vec<Cidr>,
    states: HashMap<Source, State>,
    swept: Instant,
    bans: Arc<Bans>,
}

impl Sources {
    pub(crate) fn new(now: Instant, settings: &Abuse, trusted: &[Cidr], bans: Arc<Bans>) -> Self {
        let (settings, trusted) = (settings.clone(), trusted.to_vec());
        Self { settings, trusted, states: HashMap::new(), swept: now, bans }
    }

    /// Goes by these settings from now on. Bans stay.
    pub(crate) fn reload(&mut self, settings: &Abuse, trusted: &[Cidr]) {
        settings.clone_into(&mut self.settings);
        trusted.clone_into(&mut self.trusted);
    }

    fn is_exempt(&self, address: IpAddr) -> bool {
        self.settings.exempt.iter().chain(&self.trusted).any(|block| block.contains(address))
    }

    /// Whether a message is looked at. Nothing is answered to one that is not.
    pub(crate) fn admit(&mut self, now: Instant, address: IpAddr) -> bool {
        let source = Source::of(address);
        if self.bans.stops(source, SystemTime::now()) {
            return false;
        }
        let limit = f64::from(self.settings.requests_per_second);
        if limit == 0.0 || self.is_exempt(address) {
            return true;
        }
        let Some(state) = self.state(now, source) else { return true };
        let passed = now.saturating_duration_since(state.last);
        state.last = now;
        state.tokens = passed.as_secs_f64().mul_add(limit, state.tokens).min(limit * BURST);
        if state.is_proved(now) {
            return true;
        }
        let admitted = state.tokens >= 1.0;
        if admitted {
            state.tokens -= 1.0;
        } else {
            self.bans.count_ignored();
        }
        admitted
    }

    /// The source against whose share of calls one from here counts; none for sources without limits.
    pub(crate) fn share(&self, address: IpAddr, most: usize) -> Option<(Source, usize)> {
        (most > 0 && !self.is_exempt(address)).then(|| (Source::of(address), most))
    }

    /// An account was proved from here.
    pub(crate) fn proved(&mut self, now: Instant, address: IpAddr) {
        if let Some(state) = self.state(now, Source::of(address)) {
            state.proved = Some(now);
        }
    }

    /// Something was tried from here, by this request, that only happens by mistake, or on purpose. Whether it was once
    /// too often.
    pub(crate) fn offended(&mut self, now: Instant, address: IpAddr, request: u64, offence: Offence) -> bool {
        let Abuse { failures, within, ban, .. } = self.settings;
        if failures == 0 || self.is_exempt(address) {
            return false;
        }
        let source = Source::of(address);
        let Some(state) = self.state(now, source) else { return false };
        let failures = match (state.is_proved(now), offence) {
            (false, _) => failures,
            (true, Offence::Credentials) => failures.saturating_mul(OFFICE),
            (true, _) => return false,
        };
        if std::mem::replace(&mut state.request, request) == request {
            return false;
        }
        if now.saturating_duration_since(state.since) > within {
            (state.since, state.offences) = (now, 0);
        }
        state.offences += 1;
        if state.offences < failures {
            return false;
        }
        state.offences = 0;
        tracing::warn!(%source, reason = offence.as_str(), for_seconds = ban.as_secs(), "banned");
        self.bans.insert(source, offence, SystemTime::now(), ban);
        true
    }

    fn state(&mut self, now: Instant, source: Source) -> Option<&mut State> {
        if self.states.len() >= SOURCES && !self.states.contains_key(&source) {
            self.sweep(now);
            if self.states.len() >= SOURCES {
                // Whoever fills the table with forged addresses must not empty it of those that matter.
                let harmless = |(source, state): (&Source, &State)| {
                    (state.offences == 0 && !state.is_proved(now)).then_some(*source)
                };
                let place = self.states.iter().take(LOOKED_AT).find_map(harmless)?;
                self.states.remove(&place);
            }
        }
        let tokens = f64::from(self.settings.requests_per_second) * BURST;
        let new = || State { tokens, last: now, offences: 0, since: now, proved: None, request: 0 };
        Some(self.states.entry(source).or_insert_with(new))
    }

    /// Forgets whom nothing is held against.
    fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.swept) < SWEEP {
            return;
        }
        self.swept = now;
        let within = self.settings.within;
        self.states.retain(|_, state| {
            let idle = now.saturating_duration_since(state.last) < SWEEP;
            let counted = state.offences > 0 && now.saturating_duration_since(state.since) <= within;
            idle || counted || state.is_proved(now)
        });
    }
}

impl State {
    fn is_proved(&self, now: Instant) -> bool {
        self.proved.is_some_and(|at| now.saturating_duration_since(at) < PROVED)
    }
}

#[cfg(test)]
mod tests;
