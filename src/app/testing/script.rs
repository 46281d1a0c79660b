//! What a caller does, and when.

use std::{collections::VecDeque, time::Duration};

/// How long a caller whose script is over, or waits in vain, stays on the line.
pub const PATIENCE: Duration = Duration::from_secs(3600);

/// From one digit to the next of the same input.
const BETWEEN_DIGITS: Duration = Duration::from_millis(200);

/// One thing that a caller does.
#[derive(Debug, Clone, PartialEq)]
pub enum Step {
    /// Waits until a sound of this name begins.
    Hear(String),
    /// Waits until a sound of this name has been played to its end.
    HearOut(String),
    /// Lets time pass.
    Wait(Duration),
    /// Presses a digit.
    Press(char),
    /// Begins to speak, for this long.
    Speak(Duration),
    /// Hangs up.
    HangUp,
}

/// What a caller does next by himself.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Act {
    Nothing,
    Press(char),
    Speak(Duration),
    HangUp,
}

#[derive(Debug)]
pub(super) struct Script {
    steps: VecDeque<Step>,
    due: Duration,
}

impl Script {
    pub(super) fn new(steps: Vec<Step>) -> Self {
        Self { steps: steps.into(), due: Duration::ZERO }
    }

    /// When the caller does something next, and what.
    pub(super) fn next(&self) -> (Duration, Act) {
        match self.steps.front() {
            Some(Step::Wait(time)) => (self.due + *time, Act::Nothing),
            Some(Step::Press(digit)) => (self.due, Act::Press(*digit)),
            Some(Step::Speak(time)) => (self.due, Act::Speak(*time)),
            Some(Step::HangUp) => (self.due, Act::HangUp),
            Some(Step::Hear(_) | Step::HearOut(_)) | None => (self.due + PATIENCE, Act::HangUp),
        }
    }

    /// Takes what [`next`](Self::next) announced off the script.
    pub(super) fn take(&mut self) {
        if matches!(self.steps.front(), Some(Step::Hear(_) | Step::HearOut(_))) {
            return;
        }
        let done = self.steps.pop_front();
        self.due += match (done, self.steps.front()) {
            (Some(Step::Wait(time) | Step::Speak(time)), _) => time,
            (Some(Step::Press(_)), Some(Step::Press(_))) => BETWEEN_DIGITS,
            _ => Duration::ZERO,
        };
    }

    /// A sound begins.
    pub(super) fn begins(&mut self, sound: &str, now: Duration) {
        if matches!(self.steps.front(), Some(Step::Hear(name)) if name == sound) {
            self.steps.pop_front();
            self.due = now;
        }
    }

    /// A sound came to its end.
    pub(super) fn ends(&mut self, sound: &str, now: Duration) {
        if matches!(self.steps.front(), Some(Step::HearOut(name)) if name == sound) {
            self.steps.pop_front();
            self.due = now;
        }
    }

    pub(super) fn into_rest(self) -> Vec<Step> {
        self.steps.into()
    }
}
