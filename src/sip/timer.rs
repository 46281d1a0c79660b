//! Named timers: a small table per object, and one queue over all objects.

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    time::Instant,
};

use smallvec::SmallVec;

/// What a deadline is for. The letters are those of RFC 3261 section 17 and RFC 6026.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Timer {
    /// Retransmits an INVITE.
    A,
    /// Gives an INVITE up.
    B,
    /// Absorbs retransmitted refusals of an INVITE.
    D,
    /// Retransmits a request other than INVITE.
    E,
    /// Gives a request other than INVITE up.
    F,
    /// Says 100 to an INVITE that is not answered at once (RFC 3261 section 17.2.1).
    Trying,
    /// Retransmits the refusal of an INVITE.
    G,
    /// Stops waiting for the ACK of a refusal.
    H,
    /// Absorbs retransmitted ACKs.
    I,
    /// Absorbs retransmitted requests other than INVITE.
    J,
    /// Absorbs retransmitted responses to requests other than INVITE.
    K,
    /// Absorbs retransmitted INVITEs after a 2xx.
    L,
    /// Takes further 2xx to an INVITE.
    M,
    /// Stops waiting for the final response to a cancelled INVITE (RFC 3261 section 9.1).
    Cancel,
    /// Answers, or forgets, a request that the application leaves unanswered.
    Unanswered,
    /// Retransmits our 2xx to an INVITE (RFC 3261 section 13.3.1.4).
    Answer,
    /// Stops waiting for the ACK of our 2xx.
    Ack,
    /// Retransmits a reliable provisional response (RFC 3262 section 3).
    Provisional,
    /// Stops waiting for a PRACK.
    Prack,
    /// Repeats the last provisional response, so that proxies keep waiting (RFC 3261 section 13.3.1.1).
    Ringing,
    /// Tries a re-INVITE again after 491 (RFC 3261 section 14.1).
    Glare,
    /// Refreshes the session (RFC 4028).
    Refresh,
    /// The session has run out.
    Expiry,
}

/// The deadlines of one object: at most one for each [`Timer`].
#[derive(Debug, Default)]
pub(crate) struct Timers {
    due: SmallVec<[(Timer, Instant); 2]>,
    /// The entry of the [`Deadlines`] that speaks for this table; others are stale.
    queued: Option<Instant>,
}

impl Timers {
    /// Sets or moves a deadline.
    pub(crate) fn set(&mut self, timer: Timer, at: Instant) {
        match self.due.iter_mut().find(|(t, _)| *t == timer) {
            Some(entry) => entry.1 = at,
            None => self.due.push((timer, at)),
        }
    }

    /// Takes a deadline away.
    pub(crate) fn clear(&mut self, timer: Timer) {
        self.due.retain(|(t, _)| *t != timer);
    }

    /// Takes all deadlines away.
    pub(crate) fn clear_all(&mut self) {
        self.due.clear();
    }

    /// When a timer fires, if it is set.
    pub(crate) fn at(&self, timer: Timer) -> Option<Instant> {
        self.due.iter().find(|(t, _)| *t == timer).map(|(_, at)| *at)
    }

    /// The earliest deadline.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.due.iter().map(|(_, at)| *at).min()
    }

    /// Takes out the earliest timer that is due, the one that would have fired first.
    pub(crate) fn pop(&mut self, now: Instant) -> Option<Timer> {
        let (index, _) = self
            .due
            .iter()
            .enumerate()
            .filter(|(_, (_, at))| *at <= now)
            .min_by_key(|(_, (t, at))| (*at, *t))?;
        Some(self.due.swap_remove(index).0)
    }
}

/// How many milliseconds of deadlines are sorted at a time.
const STRETCH: u128 = 16;

/// The earliest deadlines of many objects. An object that is gone, or whose deadline moved, leaves its entry
/// behind until its time.
///
/// Most deadlines are far away, and most of them stale by then: they are only put on the pile of their stretch of
/// time, and sorted when it comes near.
#[derive(Debug)]
pub(crate) struct Deadlines<K> {
    /// What time is counted from.
    origin: Option<Instant>,
    /// The stretch that `near` has been filled from, and all before it.
    reached: u64,
    near: BinaryHeap<Reverse<(Instant, K)>>,
    far: BTreeMap<u64, Vec<(Instant, K)>>,
    len: usize,
}

impl<K: Copy + Ord> Deadlines<K> {
    /// An empty queue.
    pub(crate) fn new() -> Self {
        Self { origin: None, reached: 0, near: BinaryHeap::new(), far: BTreeMap::new(), len: 0 }
    }

    /// Notes the earliest deadline of an object, after its table changed.
    pub(crate) fn note(&mut self, key: K, timers: &mut Timers) {
        let Some(next) = timers.next() else { return };
        if timers.queued.is_some_and(|queued| next >= queued) {
            return;
        }
        timers.queued = Some(next);
        let origin = *self.origin.get_or_insert(next);
        let stretch = next.saturating_duration_since(origin).as_millis() / STRETCH;
        let stretch = u64::try_from(stretch).unwrap_or(u64::MAX);
        self.len += 1;
        if stretch <= self.reached {
            self.near.push(Reverse((next, key)));
        } else {
            self.far.entry(stretch).or_default().push((next, key));
            self.refill();
        }
    }

    /// How many entries there are, stale ones included.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Drops the entries that speak for nothing.
    pub(crate) fn retain(&mut self, mut is_live: impl FnMut(Instant, K) -> bool) {
        self.near.retain(|Reverse((at, key))| is_live(*at, *key));
        self.near.shrink_to_fit();
        self.far.retain(|_, pile| {
            pile.retain(|(at, key)| is_live(*at, *key));
            pile.shrink_to_fit();
            !pile.is_empty()
        });
        self.len = self.near.len() + self.far.values().map(Vec::len).sum::<usize>();
        self.refill();
    }

    /// When the first entry is due.
    pub(crate) fn next(&self) -> Option<Instant> {
        self.near.peek().map(|Reverse((at, _))| *at)
    }

    /// Takes out the first entry that is due. The caller finds the object and asks [`Timers::claim`].
    pub(crate) fn pop(&mut self, now: Instant) -> Option<(Instant, K)> {
        if self.next()? > now {
            return None;
        }
        let Reverse(entry) = self.near.pop()?;
        self.len -= 1;
        self.refill();
        Some(entry)
    }

    /// Sorts the next stretch when the last one is used up.
    fn refill(&mut self) {
        if self.near.is_empty() {
            let Some((stretch, pile)) = self.far.pop_first() else {
                // What a burst needed is not kept for ever.
                self.near = BinaryHeap::new();
                return;
            };
            self.reached = stretch;
            self.near = pile.into_iter().map(Reverse).collect();
        }
    }
}

impl<K: Copy + Ord> Default for Deadlines<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl Timers {
    /// Whether an entry of the queue speaks for this table.
    pub(crate) fn is_queued_at(&self, at: Instant) -> bool {
        self.queued == Some(at)
    }

    /// Whether the entry taken out of the queue is the one that speaks for this table.
    pub(crate) fn claim(&mut self, at: Instant) -> bool {
        let current = self.queued == Some(at);
        if current {
            self.queued = None;
        }
        current
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Deadlines, Timer, Timers};

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    #[test]
    fn timers_fire_in_the_order_of_their_deadlines() {
        let start = crate::net::epoch();
        let mut timers = Timers::default();
        timers.set(Timer::B, start + ms(30));
        timers.set(Timer::A, start + ms(10));
        timers.set(Timer::D, start + ms(20));
        timers.clear(Timer::D);
        assert_eq!(timers.next(), Some(start + ms(10)));
        assert_eq!(timers.pop(start + ms(9)), None);
        assert_eq!(timers.pop(start + ms(40)), Some(Timer::A));
        assert_eq!(timers.pop(start + ms(40)), Some(Timer::B));
        assert_eq!(timers.pop(start + ms(40)), None);
    }

    #[test]
    fn a_deadline_that_moved_fires_once_and_at_its_new_time() {
        let start = crate::net::epoch();
        let mut timers = Timers::default();
        let mut queue = Deadlines::new();
        timers.set(Timer::A, start + ms(50));
        queue.note(1u64, &mut timers);
        timers.set(Timer::A, start + ms(10));
        queue.note(1u64, &mut timers);
        let (at, _) = queue.pop(start + ms(10)).expect("the earlier entry");
        assert!(timers.claim(at));
        assert_eq!(timers.pop(at), Some(Timer::A));
        let (at, _) = queue.pop(start + ms(50)).expect("the stale entry");
        assert!(!timers.claim(at));
        assert_eq!(queue.next(), None);
    }
}
