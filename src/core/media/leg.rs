//! The handle of a leg, what can be asked of it and what it reports.

use std::{
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use sems_media::{CodecKind, Negotiated, Session, SessionStats};
use tokio::sync::oneshot;

use super::{
    Audio,
    command::{Action, LegShared, Order},
    rooms::Rooms,
    worker::Fleet,
};

/// The capacity that a leg's event channel should have: a burst of digits, and the ends of what was begun.
pub const EVENTS: usize = 64;

/// A leg's number, unique in the life of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct LegId(pub u64);

/// Names one sound being played; chosen by whoever plays.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct PlayId(pub u64);

/// How to play.
#[derive(Debug, Clone, Copy, Default)]
pub struct PlayOptions {
    /// Again and again, until stopped.
    pub repeat: bool,
}

/// What to record, and until when.
#[derive(Debug, Clone)]
pub struct RecordSpec {
    /// The WAV file; its folder exists. A file of that name is replaced.
    pub path: PathBuf,
    /// The longest recording; zero for no limit.
    pub max: Duration,
    /// The speaker hears a beep of 200 ms this long before `max`; zero for none.
    pub warn: Duration,
    /// Ends after this much silence; zero for never.
    pub silence: Duration,
}

/// Why a recording ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RecordEnd {
    /// Nobody spoke for [`RecordSpec::silence`].
    Silence,
    /// [`RecordSpec::max`] was reached.
    Limit,
    /// It was stopped, or the leg closed.
    Stopped,
    /// The disk failed, with its words; what was written before is in the file.
    Disk(String),
}

/// What a leg reports. The channel is bounded; what does not fit is lost and counted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MediaEvent {
    /// The other side pressed a digit: `0`-`9`, `*`, `#`, `A`-`D`; once per press.
    Digit(char),
    /// A sound was played to its end.
    PlayEnded {
        /// Which.
        id: PlayId,
    },
    /// A recording is complete and synced to the disk.
    RecordEnded {
        /// How long it is in the file.
        duration: Duration,
        /// Why it ended.
        ended: RecordEnd,
    },
    /// Nothing was received for [`EngineConfig::rtp_timeout`](super::EngineConfig::rtp_timeout) though the other
    /// side may send; reported once until something is received again.
    Silent,
    /// Sound comes from, and goes to, this address from now on.
    Latched(SocketAddr),
    /// All digits of [`MediaLeg::send_digits`] are on the wire.
    DigitsSent,
    /// The engine failed at this leg, and closed it: an error of ours. Nothing more is reported but the end of a
    /// recording.
    Failed,
}

/// How to enter a room.
#[derive(Debug, Clone, Default)]
pub struct JoinSpec {
    /// Played to the others when this one comes.
    pub join_tone: Option<Arc<Audio>>,
    /// Played to those who stay when this one leaves.
    pub leave_tone: Option<Arc<Audio>>,
    /// Played to this one if he is the first, until somebody else comes.
    pub alone: Option<Arc<Audio>>,
    /// No more members than this; zero for no limit.
    pub max_members: usize,
}

/// Why a leg could not join.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum JoinError {
    /// The room has as many members as it may.
    #[error("the room is full")]
    Full,
    /// The engine is shut down.
    #[error("the media engine is stopped")]
    Stopped,
}

/// What a leg has sent and received.
#[derive(Debug, Clone)]
pub struct LegStats {
    /// The codec agreed on.
    pub codec: CodecKind,
    /// Where we send to.
    pub remote: Option<SocketAddr>,
    /// The counts of the RTP session.
    pub rtp: SessionStats,
}

/// One leg: a pair of ports and the sound that flows there. Dropping it closes the leg: a recording is finished,
/// a room or bridge is left, the ports rest until they are quiet.
#[derive(Debug)]
pub struct MediaLeg {
    shared: Arc<LegShared>,
    fleet: Arc<Fleet>,
    rooms: Arc<Rooms>,
    codec: Mutex<Option<CodecKind>>,
}

impl MediaLeg {
    pub(crate) fn new(shared: Arc<LegShared>, fleet: Arc<Fleet>, rooms: Arc<Rooms>) -> Self {
        Self { shared, fleet, rooms, codec: Mutex::new(None) }
    }

    /// The local RTP address; RTCP is one port above.
    pub fn address(&self) -> SocketAddr {
        self.shared.address
    }

    /// Its number.
    pub fn id(&self) -> LegId {
        self.shared.id
    }

    /// Tells the worker, which looks every few milliseconds.
    fn order(&self, action: Action) {
        let home = self.shared.home.load(Ordering::Acquire);
        if let Some(worker) = self.fleet.workers.get(home) {
            // An engine that is stopped has closed the leg already.
            let _ = worker.send(Order::Leg(Arc::clone(&self.shared), Box::new(action)));
        }
    }

    fn codec(&self) -> Option<CodecKind> {
        *self.codec.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Starts the RTP session as negotiated, or changes it (hold, another codec, another address).
    pub fn configure(&self, negotiated: Negotiated) {
        let codec = Some(negotiated.codec);
        let before =
            std::mem::replace(&mut *self.codec.lock().unwrap_or_else(PoisonError::into_inner), codec);
        self.order(match before {
            None => Action::Start(Box::new(Session::new(rand::random(), &negotiated))),
            Some(_) => Action::Configure(Box::new(negotiated)),
        });
    }

    /// Plays a sound, in place of what was played before. Returns when it has begun; its end is
    /// [`MediaEvent::PlayEnded`], which a sound that was stopped or replaced does not report.
    pub async fn play(&self, id: PlayId, audio: Arc<Audio>, options: PlayOptions) {
        prepare(&audio, self.codec(), false).await;
        self.order(Action::Play { id, audio, options });
    }

    /// Stops that sound, if it is still the one being played.
    pub fn stop_play(&self, id: PlayId) {
        self.order(Action::StopPlay(id));
    }

    /// Records what the other side says, from now. The end is [`MediaEvent::RecordEnded`].
    pub fn record(&self, spec: RecordSpec) {
        self.order(Action::Record(spec));
    }

    /// Ends the recording; [`MediaEvent::RecordEnded`] follows when the file is safe.
    pub fn stop_record(&self) {
        self.order(Action::StopRecord);
    }

    /// Sends what the other side says back to it, payload for payload, or stops doing so.
    pub fn echo(&self, on: bool) {
        self.order(Action::Echo(on));
    }

    /// Connects this leg's sound with another's, both ways. This leg moves to the other's worker. A bridge or room
    /// that either of them was in is left.
    pub async fn bridge(&self, other: &Self) {
        let (reply, done) = oneshot::channel();
        self.order(Action::Bridge { other: Arc::clone(&other.shared), hops: 0, reply });
        // Without an answer one of the two is closed: there is nothing to connect.
        let _ = done.await;
    }

    /// Ends a bridge.
    pub fn unbridge(&self) {
        self.order(Action::Unbridge);
    }

    /// Enters a room, leaving the one it was in. This leg moves to the room's worker.
    pub async fn join(&self, room: &str, spec: JoinSpec) -> Result<(), JoinError> {
        for tone in [&spec.join_tone, &spec.leave_tone].into_iter().flatten() {
            prepare(tone, None, true).await;
        }
        if let Some(alone) = &spec.alone {
            prepare(alone, self.codec(), false).await;
        }
        let home = self.shared.home.load(Ordering::Acquire);
        let seat = self.rooms.seat(room, spec.max_members, home)?;
        let (reply, done) = oneshot::channel();
        self.order(Action::Join { seat, spec: Box::new(spec), reply });
        done.await.map_err(|_| JoinError::Stopped)
    }

    /// Leaves the room.
    pub fn leave(&self) {
        self.order(Action::Leave);
    }

    /// Sends digits (RFC 4733), 120 ms each; `,` pauses for 500 ms. [`MediaEvent::DigitsSent`] follows. Characters
    /// that are no digit are left out, and all after the first [`DIGITS`].
    pub fn send_digits(&self, digits: &str) {
        let digits: String = digits.chars().take(DIGITS).collect();
        self.order(Action::SendDigits(digits.into()));
    }

    /// A digit that came by SIP INFO: becomes [`MediaEvent::Digit`] unless it came by RTP as well.
    pub fn info_digit(&self, digit: char) {
        self.order(Action::InfoDigit(digit));
    }

    /// The counts so far; none before [`configure`](Self::configure).
    pub async fn stats(&self) -> Option<LegStats> {
        let (reply, stats) = oneshot::channel();
        self.order(Action::Stats(reply));
        stats.await.ok().flatten()
    }
}

impl Drop for MediaLeg {
    fn drop(&mut self) {
        // The worker sees it when it serves the leg, within 20 ms.
        self.shared.closed.store(true, Ordering::Release);
    }
}

/// Encodes and resamples before the worker needs it, away from the runtime's threads.
async fn prepare(audio: &Arc<Audio>, codec: Option<CodecKind>, for_rooms: bool) {
    let codec = codec.filter(|codec| audio.wants_encoding(*codec));
    if codec.is_none() && !for_rooms {
        return;
    }
    let audio = Arc::clone(audio);
    let work = move || {
        if let Some(codec) = codec {
            audio.encode(codec);
        }
        if for_rooms {
            audio.resample_for_rooms();
        }
    };
    if tokio::task::spawn_blocking(work).await.is_err() {
        tracing::error!("encoding a sound failed");
    }
}

/// As many digits may wait to be sent: more than any number or code.
pub const DIGITS: usize = 128;
