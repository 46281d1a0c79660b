//! The way between the tasks that attend calls and the thread of an asyncio loop.
//!
//! Whoever has something for the loop puts it into a queue, and writes one byte into a socket that the loop
//! watches if the queue was empty: one wake for whatever has gathered, and the writer never touches the
//! interpreter. The queue is bounded by what may be under way: a start, [`REQUESTS`](crate::request::REQUESTS)
//! verbs and a few cancellations for each call that the core admitted.

use std::{
    collections::HashMap,
    io::{ErrorKind, Read, Write},
    os::{fd::AsRawFd, unix::net::UnixStream},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use pyo3::{prelude::*, types::PyList};
use tokio::sync::oneshot;

use crate::{
    interpreter,
    line::LegParts,
    scripts::Script,
    value::{Outcome, outcome},
    wire::Wire,
};

/// How a script ended.
#[derive(Debug)]
pub(crate) enum Ended {
    /// It returned.
    Returned,
    /// It let [`CallError::HungUp`](sems_app::CallError::HungUp) out.
    HungUp,
    /// It raised something: the traceback, and the status for a caller who was not answered yet.
    Raised { traceback: String, status: u16 },
}

impl Ended {
    /// From what the embedded code says.
    pub(crate) fn read(kind: &str, traceback: String, status: u16) -> Self {
        match kind {
            "returned" => Self::Returned,
            "hung-up" => Self::HungUp,
            _ => Self::Raised { traceback, status },
        }
    }
}

enum Item {
    Start { script: Arc<Script>, parts: LegParts, number: u64 },
    Result { ticket: u64, outcome: Outcome },
    Cancel { number: u64 },
}

/// One loop thread and what it is owed.
pub(crate) struct Lane {
    queue: Mutex<Vec<Item>>,
    wake: UnixStream,
    woken: UnixStream,
    /// The calls on this lane, by number; dropping an entry tells its attendant that the script will not end.
    calls: Mutex<HashMap<u64, oneshot::Sender<Ended>>>,
    numbers: AtomicU64,
    closed: AtomicBool,
    born: Instant,
    /// When the loop last said that it runs, in milliseconds since `born`.
    beat: AtomicU64,
    beats: Duration,
    /// The interpreter's name of the thread.
    thread: AtomicU64,
}

impl Lane {
    /// A lane whose loop says every `beats` that it runs.
    pub(crate) fn new(beats: Duration) -> std::io::Result<Self> {
        let (wake, woken) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        woken.set_nonblocking(true)?;
        Ok(Self {
            queue: Mutex::default(),
            wake,
            woken,
            calls: Mutex::default(),
            numbers: AtomicU64::new(0),
            closed: AtomicBool::new(false),
            born: Instant::now(),
            beat: AtomicU64::new(0),
            beats,
            thread: AtomicU64::new(0),
        })
    }

    /// Runs the loop on a new thread, until [`close`](Self::close).
    pub(crate) fn run(self: &Arc<Self>) -> std::io::Result<()> {
        let lane = self.clone();
        let run = move || {
            Python::attach(|py| {
                let ran = Bound::new(py, Shared(lane.clone()))
                    .and_then(|lane| interpreter::call(py, "run", (lane,)));
                if let Err(error) = ran {
                    tracing::error!(%error, "the loop of the scripts ended");
                }
            });
            lane.abandon();
        };
        std::thread::Builder::new().name("ivr-loop".to_owned()).spawn(run).map(drop)
    }

    /// Starts a script for a call; the receiver learns how it ended, or fails when the lane was abandoned. The
    /// number names it to [`cancel`](Self::cancel).
    pub(crate) fn start(&self, script: Arc<Script>, parts: LegParts) -> (u64, oneshot::Receiver<Ended>) {
        let (ended, end) = oneshot::channel();
        let number = self.numbers.fetch_add(1, Relaxed);
        let mut calls = lock(&self.calls);
        // An abandoned lane clears its calls after it is marked, so none is added behind that.
        if !self.is_closed() {
            calls.insert(number, ended);
            drop(calls);
            self.push(Item::Start { script, parts, number });
        }
        (number, end)
    }

    /// Cancels the task of a script, if it has not ended.
    pub(crate) fn cancel(&self, number: u64) {
        self.push(Item::Cancel { number });
    }

    /// Hands the result of a verb to the coroutine that waits for it.
    pub(crate) fn deliver(&self, ticket: u64, outcome: Outcome) {
        self.push(Item::Result { ticket, outcome });
    }

    fn push(&self, item: Item) {
        let mut queue = lock(&self.queue);
        if self.is_closed() {
            return;
        }
        queue.push(item);
        if queue.len() == 1 {
            self.nudge();
        }
    }

    fn nudge(&self) {
        // A full socket has already a byte that the loop has not read.
        drop((&self.wake).write(&[1]));
    }

    /// How long ago the loop should have said that it runs, and did not.
    pub(crate) fn late(&self) -> Duration {
        let beat = Duration::from_millis(self.beat.load(Relaxed)) + self.beats;
        self.born.elapsed().saturating_sub(beat)
    }

    /// The interpreter's name of the loop's thread; 0 before it runs.
    pub(crate) fn thread(&self) -> u64 {
        self.thread.load(Relaxed)
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed.load(Relaxed)
    }

    /// Gives up the loop: the attendants of its calls learn it, and the thread ends if it ever comes back.
    pub(crate) fn abandon(&self) {
        self.closed.store(true, Relaxed);
        lock(&self.calls).clear();
        lock(&self.queue).clear();
        self.nudge();
    }
}

/// The lane as the loop's thread sees it.
#[pyclass(frozen, module = "_ivr", name = "Lane")]
pub(crate) struct Shared(Arc<Lane>);

#[pymethods]
impl Shared {
    /// The socket that is readable when there is something to [`take`](Self::take).
    fn fileno(&self) -> i32 {
        self.0.woken.as_raw_fd()
    }

    /// Seconds between two beats.
    #[getter]
    fn beats(&self) -> f64 {
        self.0.beats.as_secs_f64()
    }

    /// The loop runs, on this thread of the interpreter.
    fn beat(&self, thread: u64) {
        self.0.thread.store(thread, Relaxed);
        self.0.beat.store(u64::try_from(self.0.born.elapsed().as_millis()).unwrap_or(u64::MAX), Relaxed);
    }

    /// What has gathered: `(ticket, ok, value)` for results, `(-1, serve, wire, number)` for calls to start,
    /// `(-2, number)` for tasks to cancel. None when the lane is closed.
    fn take<'py>(&self, py: Python<'py>) -> PyResult<Option<Bound<'py, PyList>>> {
        let lane = &self.0;
        let mut bytes = [0; 64];
        // The bytes go first: what is pushed in between is taken now, and its byte wakes for nothing.
        loop {
            match (&lane.woken).read(&mut bytes) {
                Ok(0) => break,
                Ok(_) => {}
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(_) => break,
            }
        }
        if lane.is_closed() {
            return Ok(None);
        }
        let items = std::mem::take(&mut *lock(&lane.queue));
        let list = PyList::empty(py);
        for item in items {
            match item {
                Item::Start { script, parts, number } => {
                    let wire = Wire::new(parts, Some(lane.clone()));
                    list.append((-1, script.object(py), wire, number))?;
                }
                Item::Result { ticket, outcome: result } => {
                    let (ok, value) = outcome(py, result, |parts| Wire::new(parts, Some(lane.clone())))?;
                    list.append((ticket, ok, value))?;
                }
                Item::Cancel { number } => list.append((-2, number))?,
            }
        }
        Ok(Some(list))
    }

    /// A call's script has ended.
    fn finish(&self, number: u64, kind: &str, traceback: String, status: u16) {
        if let Some(ended) = lock(&self.0.calls).remove(&number) {
            // The attendant may be gone: the call has ended meanwhile.
            drop(ended.send(Ended::read(kind, traceback, status)));
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
