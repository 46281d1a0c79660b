//! The wheel that spreads the legs of a worker over the packet interval.

use std::time::{Duration, Instant};

/// Slots of one turn.
pub(crate) const SLOTS: usize = 20;
/// The time between two slots.
pub(crate) const TICK: Duration = Duration::from_millis(1);
/// A worker that is later than this (a suspended machine) does not serve what it missed: it would only send a
/// burst that no jitter buffer keeps.
const GIVE_UP: Duration = Duration::from_millis(200);

/// Each slot in use is a wake-up in 20 ms, and what is served together shares what is in the cache: so many are
/// gathered in one slot before another is begun.
const GATHER: u32 = 64;
/// In which order slots are begun: far from each other.
const BEGUN: [usize; SLOTS] = [0, 10, 5, 15, 2, 12, 7, 17, 1, 11, 6, 16, 3, 13, 8, 18, 4, 14, 9, 19];

/// Where in the wheel, and when. Knows nothing of what is in the slots but how much it weighs.
#[derive(Debug)]
pub(crate) struct Wheel {
    origin: Instant,
    tick: u64,
    weights: [u32; SLOTS],
}

impl Wheel {
    pub(crate) fn new(now: Instant) -> Self {
        Self { origin: now, tick: 0, weights: [0; SLOTS] }
    }

    /// When the next tick is due.
    pub(crate) fn due(&self) -> Instant {
        self.origin + TICK * u32::try_from(self.tick).unwrap_or(u32::MAX)
    }

    /// The slot of the next tick.
    pub(crate) fn slot(&self) -> usize {
        (self.tick % SLOTS as u64) as usize
    }

    /// Goes on to the following tick.
    pub(crate) fn advance(&mut self) {
        self.tick += 1;
        // The origin follows, one turn at a time, so that the tick number stays small.
        if self.tick == 1_000 * SLOTS as u64 {
            self.origin = self.due();
            self.tick = 0;
        }
    }

    /// Passes over empty slots that need no service, up to `limit` ticks.
    pub(crate) fn skip_empty(&mut self, limit: u32) {
        for _ in 0..limit {
            if self.weights[self.slot()] > 0 {
                break;
            }
            self.advance();
        }
    }

    /// How late the next tick is. After a pause beyond all use, the missed ticks are dropped.
    pub(crate) fn lateness(&mut self, now: Instant) -> Duration {
        let late = now.saturating_duration_since(self.due());
        if late > GIVE_UP {
            self.restart(now);
        }
        late
    }

    /// Begins anew at `now`, in the same slot: after a pause or a time without legs.
    pub(crate) fn restart(&mut self, now: Instant) {
        let slot = self.slot();
        self.tick = slot as u64;
        self.origin = now.checked_sub(TICK * slot as u32).unwrap_or(now);
    }

    /// Takes the best slot.
    pub(crate) fn place(&mut self, weight: u32) -> usize {
        let slot = self.best(BEGUN.into_iter());
        self.add(slot, weight);
        slot
    }

    /// Which of these slots is the best: the fullest one that is not full yet, else the one with the least in it.
    pub(crate) fn best(&self, slots: impl Iterator<Item = usize>) -> usize {
        let weight = |slot: usize| self.weights.get(slot).copied().unwrap_or(u32::MAX);
        slots
            .min_by_key(|slot| match weight(*slot) {
                some @ 1..GATHER => GATHER - some,
                weight => weight.max(1).saturating_add(GATHER),
            })
            .unwrap_or(0)
    }

    /// Whether a slot holds much more than the others do.
    pub(crate) fn is_crowded(&self, slot: usize) -> bool {
        let average = self.weights.iter().sum::<u32>() / SLOTS as u32;
        self.weights.get(slot).is_none_or(|weight| *weight >= GATHER.max(2 * average))
    }

    /// Adds to a slot.
    pub(crate) fn add(&mut self, slot: usize, weight: u32) {
        self.weights[slot] += weight;
    }

    /// Takes out of a slot.
    pub(crate) fn remove(&mut self, slot: usize, weight: u32) {
        self.weights[slot] = self.weights[slot].saturating_sub(weight);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_legs_are_gathered_and_many_are_spread() {
        let mut wheel = Wheel::new(Instant::now());
        for _ in 0..100 {
            wheel.place(1);
        }
        assert_eq!((wheel.weights[0], wheel.weights[10]), (64, 36), "far from each other");
        for _ in 100..2000 {
            wheel.place(1);
        }
        assert_eq!(wheel.weights, [100; SLOTS]);
    }

    #[test]
    fn each_slot_comes_once_in_twenty_milliseconds_for_hours() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let mut last = None;
        for _ in 0..200_000 {
            if wheel.slot() == 7 {
                if let Some(last) = last {
                    assert_eq!(wheel.due() - last, TICK * SLOTS as u32);
                }
                last = Some(wheel.due());
            }
            wheel.advance();
        }
        assert_eq!(wheel.due() - start, TICK * 200_000);
    }

    #[test]
    fn a_long_pause_is_not_made_up_for_and_a_short_one_is() {
        let start = Instant::now();
        let mut wheel = Wheel::new(start);
        let late = start + Duration::from_millis(30);
        assert_eq!(wheel.lateness(late), Duration::from_millis(30));
        assert_eq!(wheel.due(), start);
        let suspended = start + Duration::from_secs(5);
        wheel.lateness(suspended);
        assert_eq!(wheel.due(), suspended);
    }
}
