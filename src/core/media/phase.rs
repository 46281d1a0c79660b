//! When a leg is best served: soon after its packets arrive.
//!
//! What is passed on waits for its leg's turn: up to 20 ms when it comes at any time, a few when the turn follows
//! the packets. When they come is told by the watch on the socket, from time to time: at the beginning, once a minute,
//! since clocks drift, and when packets are not passed on evenly.

use super::{stream::SECOND, wheel::SLOTS};

/// So many packets tell when the next ones come. The first one only makes the worker look more closely.
const SURE: u8 = 4;
/// What arrives within so many slots of each other arrives at about the same time.
const ABOUT: usize = 4;
/// A leg is best served so many slots after its packets were seen to have come ...
pub(crate) const BEHIND: std::ops::RangeInclusive<usize> = 1..=2;
/// ... and stays where it is when it is served at most so many after.
const FAR: usize = 3;
/// Services of a second in which not one payload was passed on, but none or two, from which on the time is looked at
/// anew: the packets come when the leg is served.
const UNEVEN: u32 = 3;
/// So many seconds a leg is left in peace: where the network is to blame, no slot is better than another.
const PATIENCE: u32 = 10;
/// So many seconds a clock may drift.
const DRIFT: u32 = 60;

/// When packets come, and how evenly they are passed on.
#[derive(Debug)]
pub(crate) struct Phase {
    /// The latest slot in which one was seen, and how many agree with it.
    came: u8,
    agree: u8,
    /// One was seen since the last service; those behind it say nothing new.
    seen: bool,
    passed: u16,
    uneven: u16,
    /// Seconds since the last look.
    age: u16,
}

impl Default for Phase {
    fn default() -> Self {
        // Old from the beginning: the first second in which packets are passed on is looked at.
        Self { came: 0, agree: 0, seen: false, passed: 0, uneven: 0, age: DRIFT as u16 }
    }
}

impl Phase {
    /// Whether it is not known yet when packets come.
    pub(crate) fn is_unsure(&self) -> bool {
        self.agree < SURE
    }

    /// A packet was seen to have come, before `slot` was served.
    pub(crate) fn saw(&mut self, slot: usize) {
        if std::mem::replace(&mut self.seen, true) {
            return;
        }
        let came = usize::from(self.came);
        let (ahead, behind) = ((slot + SLOTS - came) % SLOTS, (came + SLOTS - slot) % SLOTS);
        if self.agree <= 1 {
            (self.came, self.agree) = (slot as u8, self.agree + 1);
        } else if ahead > ABOUT && behind > ABOUT {
            (self.came, self.agree) = (slot as u8, 1);
        } else {
            self.agree = self.agree.saturating_add(1);
            if ahead <= ABOUT {
                self.came = slot as u8;
            }
        }
    }

    /// Takes note of how many payloads went on in one service.
    pub(crate) fn note(&mut self, passed: u16) {
        self.passed = self.passed.saturating_add(passed);
        self.uneven = self.uneven.saturating_add(u16::from(passed != 1));
    }

    /// The leg was served.
    pub(crate) fn served(&mut self) {
        self.seen = false;
    }

    /// Once a second: whether the packets are to be looked at again.
    pub(crate) fn judge(&mut self) -> bool {
        let (passed, uneven) = (std::mem::take(&mut self.passed), std::mem::take(&mut self.uneven));
        // Other packet times than 20 ms are never even.
        let steady = u32::from(passed).abs_diff(SECOND) <= SECOND / 10;
        self.age = self.age.saturating_add(1);
        let age = u32::from(self.age);
        let look = steady && (age >= DRIFT || (age >= PATIENCE && u32::from(uneven) >= UNEVEN));
        if look {
            (self.agree, self.age) = (0, 0);
        }
        look
    }

    /// When they come, when a leg that is served in `slot` had better be served at another time.
    pub(crate) fn is_better_after(&self, slot: usize) -> Option<usize> {
        if self.agree < SURE {
            return None;
        }
        let came = usize::from(self.came);
        let waits = (slot + SLOTS - came) % SLOTS;
        (!(1..=FAR).contains(&waits)).then_some(came)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn packets_that_come_at_one_time_say_when_they_are_best_served() {
        let mut phase = Phase::default();
        for slot in [9, 19, 0, 19] {
            assert_eq!(phase.is_better_after(3), None, "not sure yet");
            phase.saw(slot);
            phase.saw(slot + 5);
            phase.served();
        }
        assert_eq!(phase.is_better_after(10), Some(0), "the latest one counts");
        assert_eq!(phase.is_better_after(0), Some(0), "they come just then");
        assert_eq!(phase.is_better_after(2), None, "it is well served");
    }

    #[test]
    fn packets_that_come_at_any_time_move_nobody() {
        let mut phase = Phase::default();
        for slot in [3, 12, 7, 18, 1, 10] {
            phase.saw(slot);
            phase.served();
        }
        assert_eq!(phase.is_better_after(5), None);
    }

    #[test]
    fn the_time_is_looked_at_anew_once_a_minute_and_when_it_is_uneven() {
        let second = |phase: &mut Phase, uneven: bool| {
            (0..25).for_each(|_| {
                phase.note(if uneven { 0 } else { 1 });
                phase.note(if uneven { 2 } else { 1 });
            });
            phase.judge()
        };
        let mut phase = Phase::default();
        assert_eq!((0..120).filter(|_| second(&mut phase, false)).count(), 2);
        assert_eq!((0..120).filter(|_| second(&mut phase, true)).count(), 12);
    }
}
