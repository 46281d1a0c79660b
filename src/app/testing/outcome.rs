//! What happened in a call.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use super::script::Step;
use crate::{CallError, Uri, command::EndedBy};

static ORDER: AtomicU64 = AtomicU64::new(1);

/// The next number of one count over everything that happens in this process, to ask what came first.
pub(super) fn order() -> u64 {
    ORDER.fetch_add(1, Ordering::SeqCst)
}

/// Who ended a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The caller.
    Caller,
    /// The application.
    Application,
}

/// A sound that the caller heard.
#[derive(Debug, Clone, PartialEq)]
pub struct Heard {
    /// A prompt's name, a file's path, or `tone 440 Hz`.
    pub sound: String,
    /// When it began, from the begin of the call.
    pub at: Duration,
    /// How long it was heard.
    pub lasted: Duration,
    /// Whether it came to its end.
    pub whole: bool,
}

/// What an application asked for, in order.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// 180.
    Rang,
    /// 183.
    Early,
    /// 200.
    Answered,
    /// A refusal with this status.
    Rejected(u16),
    /// 302.
    Redirected(Vec<Uri>),
    /// A sound.
    Heard(Heard),
    /// The warning before a recording's limit.
    Warned,
    /// A recording, as a WAV file of 8 kHz: a tone of [`SPEECH_HZ`](super::SPEECH_HZ) where the caller spoke,
    /// silence elsewhere.
    Recorded {
        /// The file.
        path: PathBuf,
        /// Its length.
        duration: Duration,
        /// Why it ended.
        ended_by: EndedBy,
    },
    /// Digits that were collected.
    Digits(String),
    /// The caller's voice came back.
    Echoed {
        /// For how long.
        lasted: Duration,
    },
    /// Entered this room.
    Joined(String),
    /// Left it.
    Left(String),
    /// Dialled.
    Dialled(Uri),
    /// Connected with a dialled leg.
    Bridged,
    /// REFER.
    Referred(Uri),
    /// Digits sent.
    SentDigits(String),
    /// The call is over.
    HungUp(Side),
    /// The caller's BYE, held back by a recording, was answered.
    ByeAnswered,
    /// It was answered before the hold was dropped, as 5 s were over.
    ByeOverdue,
}

/// An event with its place in the order of all things.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Entry {
    pub(super) order: u64,
    pub(super) event: Event,
}

#[derive(Debug, Clone, Default)]
pub(super) struct Log(Arc<Mutex<Vec<Entry>>>);

impl Log {
    pub(super) fn entries(&self) -> MutexGuard<'_, Vec<Entry>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn push(&self, event: Event) {
        self.entries().push(Entry { order: order(), event });
    }
}

/// What became of a call.
#[derive(Debug)]
pub struct Outcome {
    /// What the application returned.
    pub result: Result<(), CallError>,
    /// The final status of the INVITE: 200 when answered, 487 when the caller gave up before.
    pub status: u16,
    /// Who hung up; none when it was never answered.
    pub ended_by: Option<Side>,
    /// What the caller did not come to do.
    pub unfinished: Vec<Step>,
    /// How long it took, in the virtual time of verbs.
    pub lasted: Duration,
    pub(super) log: Vec<Entry>,
}

impl Outcome {
    /// All that happened, in order.
    pub fn events(&self) -> impl Iterator<Item = &Event> {
        self.log.iter().map(|entry| &entry.event)
    }

    /// All sounds, with their times.
    pub fn sounds(&self) -> impl Iterator<Item = &Heard> {
        self.events().filter_map(|event| match event {
            Event::Heard(heard) => Some(heard),
            _ => None,
        })
    }

    /// The names of all sounds, in order, cut short or not.
    pub fn heard(&self) -> Vec<&str> {
        self.sounds().map(|heard| heard.sound.as_str()).collect()
    }

    /// The recordings: file, length, why they ended.
    pub fn recordings(&self) -> Vec<(PathBuf, Duration, EndedBy)> {
        self.events()
            .filter_map(|event| match event {
                Event::Recorded { path, duration, ended_by } => Some((path.clone(), *duration, *ended_by)),
                _ => None,
            })
            .collect()
    }

    /// The place of the answer to a held BYE, to compare with
    /// [`StoredMessage::order`](super::StoredMessage::order).
    pub fn bye_order(&self) -> Option<u64> {
        self.log.iter().find(|entry| entry.event == Event::ByeAnswered).map(|entry| entry.order)
    }
}
