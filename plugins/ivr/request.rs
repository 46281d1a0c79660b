//! What a script asks of its call, read from Python and waiting for an answer.

use std::{path::PathBuf, sync::Arc, time::Duration};

use pyo3::{
    exceptions::{PyTypeError, PyValueError},
    prelude::*,
    types::PyTuple,
};
use sems_app::{Call, CallError, Mailbox, MessageId, Mode, Prompt, Room, Uri, command::DigitsOptions};
use tokio::sync::{mpsc, oneshot};

use crate::{
    lane::Lane,
    value::{Opened, Outcome, prompt_of, seconds_of},
    wire::Wire,
};

/// How many verbs of one call may wait for their turn. A script awaits each; more can only come from tasks
/// that it begins side by side.
pub(crate) const REQUESTS: usize = 16;

/// To the task that attends a call.
pub(crate) enum Request {
    /// Do this, and answer.
    Verb(Ask, Waiter),
    /// Give the call away, to be bridged.
    Surrender(oneshot::Sender<Call>),
}

/// One verb with its arguments.
pub(crate) enum Ask {
    Ringing,
    Early,
    Answer,
    Reject(u16),
    Redirect(Vec<Uri>),
    Play { prompt: Prompt, stop_on: String, repeat: bool },
    Record(Recording),
    Digits(DigitsOptions),
    Question { prompt: Prompt, options: DigitsOptions },
    Echo { stop_on: String },
    Join { room: Room, stop_on: String },
    Dial { to: Uri, timeout: Duration, from: Option<Uri> },
    Bridge(mpsc::Sender<Request>),
    Refer(Uri),
    SendDigits(String),
    HangUp,
    Mailbox(Option<Uri>),
    Messages(Mailbox),
    Audio(Mailbox, MessageId),
    MarkHeard(Mailbox, MessageId),
    Delete(Mailbox, MessageId),
    VerifyPin(Mailbox, String),
    Greeting(Mailbox),
    Leave { mailbox: Mailbox, mode: Mode, recording: Recording, least: Duration },
}

/// How to record.
pub(crate) struct Recording {
    /// Where to; a temporary file when none is given.
    pub(crate) path: Option<PathBuf>,
    pub(crate) max: Duration,
    pub(crate) warn: Duration,
    pub(crate) silence: Duration,
    pub(crate) stop_on: String,
}

/// Who waits for the answer. One that is dropped was not answered, and is told that the call is over.
pub(crate) struct Waiter(Option<Waiting>);

enum Waiting {
    /// A coroutine, by its ticket on its lane; the receiver resolves when it no longer waits.
    Coroutine { lane: Arc<Lane>, ticket: u64, gone: oneshot::Receiver<()> },
    /// A thread.
    Thread(oneshot::Sender<Outcome>),
}

impl Waiter {
    /// A coroutine of `lane`, until `gone` resolves.
    pub(crate) fn coroutine(lane: Arc<Lane>, ticket: u64, gone: oneshot::Receiver<()>) -> Self {
        Self(Some(Waiting::Coroutine { lane, ticket, gone }))
    }

    /// A thread at the other end of this channel.
    pub(crate) fn thread(reply: oneshot::Sender<Outcome>) -> Self {
        Self(Some(Waiting::Thread(reply)))
    }

    /// Hands over the answer.
    pub(crate) fn answer(mut self, outcome: Outcome) {
        self.hand_over(outcome);
    }

    fn hand_over(&mut self, outcome: Outcome) {
        match self.0.take() {
            Some(Waiting::Coroutine { lane, ticket, .. }) => lane.deliver(ticket, outcome),
            // A thread that waits no more has nothing to be told.
            Some(Waiting::Thread(reply)) => drop(reply.send(outcome)),
            None => {}
        }
    }

    /// Resolves when nobody waits any longer.
    pub(crate) async fn gone(&mut self) {
        match &mut self.0 {
            Some(Waiting::Coroutine { gone, .. }) => drop(gone.await),
            Some(Waiting::Thread(reply)) => reply.closed().await,
            None => {}
        }
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        self.hand_over(Err(CallError::HungUp));
    }
}

impl Ask {
    /// Reads a verb and its arguments; `domain` completes a bare user name to a URI.
    ///
    /// # Errors
    /// `TypeError` and `ValueError`, in words for the author of the script.
    pub(crate) fn read(verb: &str, args: &Bound<'_, PyTuple>, domain: &str) -> PyResult<Self> {
        let uri = |text: &str| uri_of(text, domain);
        Ok(match verb {
            "ringing" => Self::Ringing,
            "early" => Self::Early,
            "answer" => Self::Answer,
            "reject" => Self::Reject(refusal(args.extract::<(u16,)>()?.0)?),
            "redirect" => {
                let (to,): (Vec<String>,) = args.extract()?;
                Self::Redirect(to.iter().map(|to| uri(to)).collect::<PyResult<_>>()?)
            }
            "play" => {
                let (prompt, stop_on, repeat): (Bound<'_, PyAny>, String, bool) = args.extract()?;
                Self::Play { prompt: prompt_of(&prompt)?, stop_on: digits(stop_on)?, repeat }
            }
            "record" => Self::Record(recording(args)?),
            "digits" | "ask" => input(verb, args)?,
            "echo" => Self::Echo { stop_on: digits(args.extract::<(String,)>()?.0)? },
            "join" => {
                let (room, max_members, stop_on): (String, usize, String) = args.extract()?;
                let room = Room { max_members, ..Room::named(room) };
                Self::Join { room, stop_on: digits(stop_on)? }
            }
            "dial" => {
                let (to, timeout, from): (String, f64, Option<String>) = args.extract()?;
                let from = from.as_deref().map(uri).transpose()?;
                Self::Dial { to: uri(&to)?, timeout: seconds_of(timeout)?, from }
            }
            "bridge" => Self::Bridge(args.extract::<(Bound<'_, Wire>,)>()?.0.get().requests()),
            "refer" => Self::Refer(uri(&args.extract::<(String,)>()?.0)?),
            "send_digits" => Self::SendDigits(tones(args.extract::<(String,)>()?.0)?),
            "hang_up" => Self::HangUp,
            "mailbox" => {
                Self::Mailbox(args.extract::<(Option<String>,)>()?.0.as_deref().map(uri).transpose()?)
            }
            _ => Self::read_mailbox(verb, args)?,
        })
    }

    fn read_mailbox(verb: &str, args: &Bound<'_, PyTuple>) -> PyResult<Self> {
        let mailbox = args.get_item(0)?.cast::<Opened>()?.get().0.clone();
        let text = |at: usize| args.get_item(at)?.extract::<String>();
        let id = || text(1).map(|id| MessageId(id.into()));
        Ok(match verb {
            "messages" => Self::Messages(mailbox),
            "audio" => Self::Audio(mailbox, id()?),
            "mark_heard" => Self::MarkHeard(mailbox, id()?),
            "delete" => Self::Delete(mailbox, id()?),
            "verify_pin" => Self::VerifyPin(mailbox, text(1)?),
            "greeting" => Self::Greeting(mailbox),
            "leave" => {
                let least = seconds_of(args.get_item(1)?.extract()?)?;
                let mode = mode(&text(2)?)?;
                let recording = recording(&args.get_slice(3, args.len()))?;
                Self::Leave { mailbox, mode, recording, least }
            }
            _ => return Err(PyTypeError::new_err(format!("no such verb: {verb}"))),
        })
    }
}

fn recording(args: &Bound<'_, PyTuple>) -> PyResult<Recording> {
    let (path, max, silence, stop_on, warn): (Option<PathBuf>, f64, f64, String, f64) = args.extract()?;
    let max = seconds_of(max)?;
    if max.is_zero() {
        return Err(PyValueError::new_err("a recording of no length"));
    }
    Ok(Recording {
        path,
        max,
        warn: seconds_of(warn)?,
        silence: seconds_of(silence)?,
        stop_on: digits(stop_on)?,
    })
}

fn input(verb: &str, args: &Bound<'_, PyTuple>) -> PyResult<Ask> {
    let (prompt, max, first, between, finish_on): (Bound<'_, PyAny>, usize, f64, f64, String) =
        args.extract()?;
    if max == 0 {
        return Err(PyValueError::new_err("at least one digit"));
    }
    let options = DigitsOptions {
        max,
        finish_on: digits(finish_on)?,
        first: seconds_of(first)?,
        between: seconds_of(between)?,
    };
    Ok(match verb {
        "digits" => Ask::Digits(options),
        _ => Ask::Question { prompt: prompt_of(&prompt)?, options },
    })
}

fn mode(text: &str) -> PyResult<Mode> {
    match text {
        "mail" => Ok(Mode::Mail),
        "box" => Ok(Mode::Box),
        "both" => Ok(Mode::Both),
        _ => Err(PyValueError::new_err(format!("{text:?} is none of \"mail\", \"box\" and \"both\""))),
    }
}

fn refusal(status: u16) -> PyResult<u16> {
    match status {
        400..=699 => Ok(status),
        _ => Err(PyValueError::new_err(format!("{status} is no status of refusal (400 to 699)"))),
    }
}

fn is_digit(c: char) -> bool {
    matches!(c, '0'..='9' | '*' | '#' | 'A'..='D')
}

fn digits(text: String) -> PyResult<String> {
    match text.chars().find(|c| !is_digit(*c)) {
        None => Ok(text),
        Some(other) => Err(PyValueError::new_err(format!("{other:?} is no digit (0-9, *, #, A-D)"))),
    }
}

fn tones(text: String) -> PyResult<String> {
    match text.chars().find(|c| !is_digit(*c) && *c != ',') {
        None => Ok(text),
        Some(other) => {
            Err(PyValueError::new_err(format!("{other:?} is no digit (0-9, *, #, A-D) and no pause (,)")))
        }
    }
}

/// A URI from its text, from `user@domain`, or from a user of our domain.
fn uri_of(text: &str, domain: &str) -> PyResult<Uri> {
    let parsed =
        if ["sip:", "sips:", "tel:"].iter().any(|scheme| text.to_ascii_lowercase().starts_with(scheme)) {
            text.parse()
        } else if text.contains('@') {
            format!("sip:{text}").parse()
        } else if text.is_empty() {
            return Err(PyValueError::new_err("an empty address"));
        } else {
            Ok(Uri::sip(text, domain))
        };
    parsed.map_err(|error: sems_app::UriError| {
        PyValueError::new_err(format!("{text:?} is no address: {error}"))
    })
}
