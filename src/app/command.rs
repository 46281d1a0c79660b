//! The wire between an application's verbs and the core that carries them out.
//!
//! Application authors never see this; whoever implements a core (the real one, or `testing`) does.
//! The core answers each command on its `reply`. A `reply` that is closed before it was answered means that
//! the application dropped the verb: the core stops it and answers nothing.

use std::{path::PathBuf, time::Duration};

use tokio::sync::oneshot;

use crate::{Call, CallError, Prompt, Room, Uri};

/// How many commands may wait for a call's actor. An application awaits each verb, so more than a few can
/// only come from verbs dropped and begun again while the actor is busy.
pub const COMMANDS: usize = 16;

/// Where the core answers.
pub type Reply<T> = oneshot::Sender<Result<T, CallError>>;

/// What an application asks of its call.
#[derive(Debug)]
#[non_exhaustive]
pub enum Command {
    /// Send 180.
    Ringing {
        /// Answered when sent.
        reply: Reply<()>,
    },
    /// Send 183 with our SDP, so that verbs play before the call is answered.
    Early {
        /// Answered when media can flow.
        reply: Reply<()>,
    },
    /// Send 200.
    Answer {
        /// Answered when the ACK came.
        reply: Reply<()>,
    },
    /// Refuse.
    Reject {
        /// 400..=699.
        status: u16,
        /// The reason phrase; the usual one when none is given.
        reason: Option<String>,
        /// Answered when sent.
        reply: Reply<()>,
    },
    /// Answer 302 with these contacts.
    Redirect {
        /// In order of preference.
        to: Vec<Uri>,
        /// Answered when sent.
        reply: Reply<()>,
    },
    /// Play.
    Play {
        /// What.
        prompt: Prompt,
        /// How.
        options: PlayOptions,
        /// Answered at the end of the sound, or by a digit of `stop_on`.
        reply: Reply<Played>,
    },
    /// Record what the other side says.
    Record {
        /// The WAV file to be written; its folder exists.
        path: PathBuf,
        /// How.
        options: RecordOptions,
        /// Answered when the file is complete and synced. A hang-up is a value here, and so is every other end of
        /// the call once the recording has begun (silence on the wire, shutdown): [`EndedBy::HangUp`].
        reply: Reply<Recorded>,
    },
    /// Collect digits, those typed ahead first.
    Digits {
        /// How.
        options: DigitsOptions,
        /// Answered when complete, or at a timeout with what there is.
        reply: Reply<String>,
    },
    /// Send what the other side says back to it.
    Echo {
        /// Digits that end it.
        stop_on: String,
        /// Answered by such a digit.
        reply: Reply<Option<char>>,
    },
    /// Enter a room.
    Join {
        /// Which.
        room: Room,
        /// Digits that leave it.
        stop_on: String,
        /// Answered by such a digit.
        reply: Reply<Option<char>>,
    },
    /// Call somebody else.
    Dial {
        /// Whom.
        to: Uri,
        /// How.
        options: DialOptions,
        /// Answered with the new leg when it answered.
        reply: Reply<Call>,
    },
    /// Connect the audio of this leg with another, until one of them hangs up.
    Bridge {
        /// The other leg; it is hung up when this is over.
        other: Box<Call>,
        /// Answered when the other side left; this leg stays.
        reply: Reply<()>,
    },
    /// Send the other side elsewhere (REFER, RFC 3515).
    Refer {
        /// Where.
        to: Uri,
        /// Answered with the final status of the NOTIFYs.
        reply: Reply<u16>,
    },
    /// Send digits (RFC 4733).
    SendDigits {
        /// 0-9, A-D, `*`, `#`; `,` is a pause of half a second.
        digits: String,
        /// Answered when sent.
        reply: Reply<()>,
    },
    /// End the call.
    HangUp {
        /// Answered when the BYE is on its way.
        reply: Reply<()>,
    },
}

/// How to play.
#[derive(Debug, Clone, Default)]
pub struct PlayOptions {
    /// Digits that stop the sound and are returned; where the next digit typed ahead is one of them, the sound
    /// does not even begin. Other digits are kept for [`Command::Digits`].
    pub stop_on: String,
    /// Again and again, until stopped.
    pub repeat: bool,
}

/// How playing ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Played {
    /// The digit that stopped it; none when the sound came to its end.
    pub digit: Option<char>,
}

/// How to record.
#[derive(Debug, Clone)]
pub struct RecordOptions {
    /// Digits that end the recording; they are not in the sound where the phone sends RFC 4733. Digits typed
    /// ahead do not end it, and stay typed ahead.
    pub stop_on: String,
    /// The longest take.
    pub max: Duration,
    /// A warning beep is played this long before `max`; zero for none.
    pub warn: Duration,
    /// Ends after this much silence; zero for never. Trailing silence beyond 1 s is cut off.
    pub silence: Duration,
    /// The answer to the caller's BYE waits for the [`ByeHold`] of the result (at most 5 s).
    pub hold_bye: bool,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self {
            stop_on: "#".to_owned(),
            max: Duration::from_secs(60),
            warn: Duration::ZERO,
            silence: Duration::ZERO,
            hold_bye: false,
        }
    }
}

/// Why a recording ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum EndedBy {
    /// A digit of `stop_on`.
    Digit(char),
    /// Nobody spoke for `silence`.
    Silence,
    /// `max` was reached.
    Limit,
    /// The caller hung up.
    HangUp,
    /// The disk would not take more; what there is, is kept.
    Disk,
}

/// A finished recording.
#[derive(Debug)]
pub struct Recorded {
    /// Its length, trailing silence cut.
    pub duration: Duration,
    /// Why it ended.
    pub ended_by: EndedBy,
    /// Holds back the answer to the caller's BYE, early or late, where asked for.
    pub hold: Option<ByeHold>,
}

/// While this lives (and 5 s at most), the caller's BYE is not answered. Drop it when the message is safe.
#[derive(Debug)]
pub struct ByeHold(#[allow(dead_code, reason = "dropping it is the message")] oneshot::Sender<()>);

impl ByeHold {
    /// A hold, and the receiver that resolves (with an error) when it was dropped.
    pub fn new() -> (Self, oneshot::Receiver<()>) {
        let (sender, receiver) = oneshot::channel();
        (Self(sender), receiver)
    }
}

/// How to collect digits.
#[derive(Debug, Clone)]
pub struct DigitsOptions {
    /// Complete at this many.
    pub max: usize,
    /// A digit that completes the input and is not part of it.
    pub finish_on: String,
    /// How long to wait for the first digit.
    pub first: Duration,
    /// How long to wait for each next one.
    pub between: Duration,
}

impl Default for DigitsOptions {
    fn default() -> Self {
        Self {
            max: 1,
            finish_on: "#".to_owned(),
            first: Duration::from_secs(10),
            between: Duration::from_secs(2),
        }
    }
}

/// How to dial.
#[derive(Debug, Clone)]
pub struct DialOptions {
    /// Give up after this long without an answer.
    pub timeout: Duration,
    /// The identity to show; that of the call when none is given.
    pub from: Option<Uri>,
}

impl Default for DialOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(25), from: None }
    }
}
