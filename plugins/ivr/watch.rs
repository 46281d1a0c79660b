//! The watch over the loop: a coroutine that holds it is interrupted, a loop that cannot be is replaced.

use std::{
    sync::{Arc, Mutex, PoisonError, Weak},
    time::Duration,
};

use pyo3::prelude::*;

use crate::{interpreter, lane::Lane};

/// How often in a budget the loop says that it runs, and the watch looks.
const LOOKS: u32 = 4;
/// A loop held this many budgets, interrupted in vain after each, is abandoned.
const STRIKES: u32 = 5;
/// A loop that is late for as many budgets and runs no task is abandoned.
const STARVED: u32 = 30;

/// The loop that takes new calls, and the watch over it.
pub(crate) struct Lanes {
    current: Mutex<Arc<Lane>>,
    budget: Duration,
}

impl Lanes {
    /// Starts a loop and its watch, each on a thread of its own.
    pub(crate) fn begin(budget: Duration) -> std::io::Result<Arc<Self>> {
        let lane = Arc::new(Lane::new(budget / LOOKS)?);
        lane.run()?;
        let lanes = Arc::new(Self { current: Mutex::new(lane), budget });
        let watched = Arc::downgrade(&lanes);
        let watch = move || watch(&watched, budget);
        std::thread::Builder::new().name("ivr-watch".to_owned()).spawn(watch)?;
        Ok(lanes)
    }

    /// The loop that takes new calls.
    pub(crate) fn current(&self) -> Arc<Lane> {
        self.current.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Puts a new loop in the place of one that is lost: first the new one, for those who call again at once.
    fn replace(&self, lost: &Lane) {
        let lane = Lane::new(self.budget / LOOKS).map(Arc::new).and_then(|lane| lane.run().map(|()| lane));
        match lane {
            Ok(lane) => *self.current.lock().unwrap_or_else(PoisonError::into_inner) = lane,
            // Calls to coroutines fail until the next look finds the resources.
            Err(error) => tracing::error!(%error, "no new loop for the scripts"),
        }
        lost.abandon();
    }
}

impl Drop for Lanes {
    fn drop(&mut self) {
        self.current().abandon();
    }
}

fn watch(lanes: &Weak<Lanes>, budget: Duration) {
    let mut suspicion = Suspicion::default();
    loop {
        std::thread::sleep(budget / LOOKS);
        let Some(lanes) = lanes.upgrade() else { return };
        let lane = lanes.current();
        if lane.is_closed() {
            lanes.replace(&lane);
            continue;
        }
        match suspicion.look(lane.late(), budget, || running(&lane)) {
            Verdict::Fine => {}
            Verdict::Interrupt => {
                tracing::warn!("a script holds the loop for longer than {budget:?}: interrupted");
                interrupt(&lane);
            }
            Verdict::Abandon => {
                tracing::error!("a script cannot be interrupted: its loop is abandoned, a new one begins");
                suspicion = Suspicion::default();
                lanes.replace(&lane);
            }
        }
    }
}

/// The task that the loop runs, as a number; 0 for none. Waits for the interpreter.
fn running(lane: &Lane) -> u64 {
    Python::attach(|py| {
        interpreter::call(py, "running", (lane.thread(),)).and_then(|task| task.extract()).unwrap_or(0)
    })
}

fn interrupt(lane: &Lane) {
    let interrupted = Python::attach(|py| interpreter::call(py, "interrupt", (lane.thread(),)).map(drop));
    if let Err(error) = interrupted {
        tracing::error!(%error, "a script could not be interrupted");
    }
}

/// What the watch has seen of a loop that is late.
#[derive(Debug, Default)]
struct Suspicion {
    /// The task that ran when the loop was first found late, and the strikes it has had since.
    held_by: Option<(u64, u32)>,
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Fine,
    Interrupt,
    Abandon,
}

impl Suspicion {
    /// Judges a loop that is `late`. A loop with much to do is late as well, but runs another task at each
    /// look; only one task seen over half a budget is to blame.
    fn look(&mut self, late: Duration, budget: Duration, running: impl FnOnce() -> u64) -> Verdict {
        if late < budget / 2 {
            self.held_by = None;
            return Verdict::Fine;
        }
        let task = running();
        if task == 0 {
            // Nothing to interrupt: a callback holds the loop, or other threads keep the interpreter from it.
            self.held_by = None;
            return if late >= budget * STARVED { Verdict::Abandon } else { Verdict::Fine };
        }
        match &mut self.held_by {
            Some((held_by, strikes)) if *held_by == task => {
                if late >= budget * STRIKES {
                    return Verdict::Abandon;
                }
                if late < budget * (*strikes + 1) {
                    return Verdict::Fine;
                }
                *strikes += 1;
                Verdict::Interrupt
            }
            held_by => {
                *held_by = Some((task, 0));
                Verdict::Fine
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_secs(1);

    fn verdicts(looks: &[(u64, u64)]) -> Vec<Verdict> {
        let mut suspicion = Suspicion::default();
        let look = |&(late, task): &(u64, u64)| suspicion.look(Duration::from_millis(late), BUDGET, || task);
        looks.iter().map(look).collect()
    }

    #[test]
    fn a_task_that_holds_the_loop_is_interrupted_at_each_budget_and_then_abandoned() {
        use Verdict::{Abandon, Fine, Interrupt};
        let looks =
            [(0, 1), (500, 1), (750, 1), (1000, 1), (1500, 1), (2000, 1), (3000, 1), (4000, 1), (5000, 1)];
        let expected = [Fine, Fine, Fine, Interrupt, Fine, Interrupt, Interrupt, Interrupt, Abandon];
        assert_eq!(verdicts(&looks), expected);
    }

    #[test]
    fn a_starved_loop_is_not_interrupted() {
        let verdict = verdicts(&[(500, 0), (1000, 0), (5000, 0), (29_000, 0), (30_000, 0)]);
        assert_eq!(verdict[..4], [const { Verdict::Fine }; 4]);
        assert_eq!(verdict[4], Verdict::Abandon);
    }

    #[test]
    fn a_loop_with_much_to_do_is_left_alone() {
        let looks = [(500, 1), (1000, 2), (1500, 3), (2000, 4), (0, 1)];
        assert!(verdicts(&looks).iter().all(|verdict| *verdict == Verdict::Fine));
    }
}
