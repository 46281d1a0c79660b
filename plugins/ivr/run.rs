//! Scripts on threads of their own, and how a script of either kind is stopped.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use pyo3::prelude::*;
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use crate::{
    interpreter,
    lane::{Ended, Lane},
    line::{LegParts, STOPS},
    scripts::Script,
    wire::Wire,
};

/// A script under way.
pub(crate) struct Run {
    /// How it ends.
    pub(crate) end: oneshot::Receiver<Ended>,
    /// What stops it.
    pub(crate) stop: Stop,
    /// How long it may go on when its call is over.
    pub(crate) patience: Duration,
}

/// What stops a script. It may take its time over it, or go on regardless.
pub(crate) enum Stop {
    /// Raises `TooLong` on its thread.
    Thread(u64),
    /// Cancels its task.
    Task(Arc<Lane>, u64),
}

impl Stop {
    pub(crate) fn stop(&self) {
        match self {
            Self::Task(lane, number) => lane.cancel(*number),
            Self::Thread(number) => interrupt(*number),
        }
    }
}

/// Attaching may take as long as busy scripts like, so no task of the server waits for it.
fn interrupt(number: u64) {
    let interrupt = move || Python::attach(|py| interpreter::call(py, "interrupt_run", (number,)).map(drop));
    drop(std::thread::Builder::new().name("ivr-interrupt".to_owned()).spawn(interrupt));
}

/// `caller`, `callee`, `messages_path` and `wav_path` of a classic script.
pub(crate) type Names = (String, String, String, String);

/// A script for a thread of its own: a classic one if it has names, else a plain one.
pub(crate) struct Threaded {
    pub(crate) script: Arc<Script>,
    pub(crate) parts: LegParts,
    pub(crate) names: Option<Names>,
    pub(crate) permit: OwnedSemaphorePermit,
}

impl Threaded {
    /// Runs it; the receiver learns how it ends.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(crate) fn start(self) -> std::io::Result<(Stop, oneshot::Receiver<Ended>)> {
        static NUMBERS: AtomicU64 = AtomicU64::new(0);
        let number = NUMBERS.fetch_add(1, Relaxed);
        let (ended, end) = oneshot::channel();
        let run = move || {
            let Self { script, parts, names, permit } = self;
            let how = Python::attach(|py| run(py, number, &script, parts, names));
            // Before the attendant lets the next call in.
            drop(permit);
            // The attendant may be gone: the call has ended meanwhile.
            drop(ended.send(how));
        };
        std::thread::Builder::new().name("ivr-call".to_owned()).spawn(run)?;
        Ok((Stop::Thread(number), end))
    }
}

fn run(py: Python<'_>, number: u64, script: &Script, parts: LegParts, names: Option<Names>) -> Ended {
    let wire = Wire::new(parts, None);
    let ran = match names {
        Some(names) => interpreter::call(py, "run_classic", (number, script.object(py), wire, names)),
        None => interpreter::call(py, "run_plain", (number, script.object(py), wire)),
    };
    // An interruption may come so late that it hits this instead of the script.
    for _ in 0..=STOPS {
        if interpreter::call(py, "forget_run", (number,)).is_ok() {
            break;
        }
    }
    match ran.and_then(|end| end.extract::<(String, String, u16)>()) {
        Ok((kind, traceback, status)) => Ended::read(&kind, traceback, status),
        Err(error) => Ended::Raised { traceback: error.to_string(), status: 500 },
    }
}
