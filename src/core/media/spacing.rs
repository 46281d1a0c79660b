//! When a leg is best served: after its packets arrived, not while they do.

use super::stream::SECOND;

/// Services of a second in which not one payload was passed on, but none or two, from which on the leg is served at
/// a bad time. Once is a clock that drifts by, or a lost packet.
const UNEVEN: u32 = 6;
/// So many seconds a leg stays where it is: where the network is to blame, no slot is better than another.
const PATIENCE: u32 = 10;

/// How evenly payloads are passed on: a phone that sends just when its leg is served gets none back in one service,
/// and two in the next.
#[derive(Debug, Default)]
pub(crate) struct Spacing {
    passed: u32,
    uneven: u32,
    /// Seconds to go until the leg may be moved again.
    patience: u32,
    moves: bool,
    /// The new slot comes once more in this turn of the wheel.
    waits: bool,
}

impl Spacing {
    /// Takes note of how many payloads went on in one service.
    pub(crate) fn note(&mut self, passed: u32) {
        self.passed += passed;
        self.uneven += u32::from(passed != 1);
    }

    /// Once a second.
    pub(crate) fn judge(&mut self) {
        let (passed, uneven) = (std::mem::take(&mut self.passed), std::mem::take(&mut self.uneven));
        // Other packet times than 20 ms are never even.
        let steady = passed.abs_diff(SECOND) <= SECOND / 10;
        if self.patience > 0 {
            self.patience -= 1;
        } else if steady && uneven >= UNEVEN {
            (self.moves, self.patience) = (true, PATIENCE);
        }
    }

    /// Whether the leg is to be served at another time; true once.
    pub(crate) fn is_to_move(&mut self) -> bool {
        std::mem::take(&mut self.moves)
    }

    /// The leg has another slot now.
    pub(crate) fn moved(&mut self) {
        self.waits = true;
    }

    /// Whether this service is one too many: that of the new slot in the turn in which the old one was served.
    pub(crate) fn waits(&mut self) -> bool {
        std::mem::take(&mut self.waits)
    }
}
