//! The handle of a leg, what can be asked of it and what it reports.

use std::{net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use sems_media::{CodecKind, Negotiated, SessionStats};

use super::Audio;

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
    id: LegId,
    address: SocketAddr,
}

impl MediaLeg {
    /// The local RTP address; RTCP is one port above.
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its number.
    pub fn id(&self) -> LegId {
        self.id
    }

    /// Starts the RTP session as negotiated, or changes it (hold, another codec, another address).
    pub fn configure(&self, negotiated: Negotiated) {
        let _ = negotiated;
        todo!()
    }

    /// Plays a sound, in place of what was played before. Returns when it has begun; its end is
    /// [`MediaEvent::PlayEnded`], which a sound that was stopped or replaced does not report.
    pub async fn play(&self, id: PlayId, audio: Arc<Audio>, options: PlayOptions) {
        let _ = (id, audio, options);
        todo!()
    }

    /// Stops that sound, if it is still the one being played.
    pub fn stop_play(&self, id: PlayId) {
        let _ = id;
        todo!()
    }

    /// Records what the other side says, from now. The end is [`MediaEvent::RecordEnded`].
    pub fn record(&self, spec: RecordSpec) {
        let _ = spec;
        todo!()
    }

    /// Ends the recording; [`MediaEvent::RecordEnded`] follows when the file is safe.
    pub fn stop_record(&self) {
        todo!()
    }

    /// Sends what the other side says back to it, payload for payload, or stops doing so.
    pub fn echo(&self, on: bool) {
        let _ = on;
        todo!()
    }

    /// Connects this leg's sound with another's, both ways. This leg moves to the other's worker.
    pub async fn bridge(&self, other: &Self) {
        let _ = other;
        todo!()
    }

    /// Ends a bridge.
    pub fn unbridge(&self) {
        todo!()
    }

    /// Enters a room, leaving the one it was in. This leg moves to the room's worker.
    pub async fn join(&self, room: &str, spec: JoinSpec) -> Result<(), JoinError> {
        let _ = (room, spec);
        todo!()
    }

    /// Leaves the room.
    pub fn leave(&self) {
        todo!()
    }

    /// Sends digits (RFC 4733), 120 ms each; `,` pauses for 500 ms. [`MediaEvent::DigitsSent`] follows. Characters
    /// that are no digit are left out, and all after the first [`DIGITS`].
    pub fn send_digits(&self, digits: &str) {
        let _ = digits;
        todo!()
    }

    /// A digit that came by SIP INFO: becomes [`MediaEvent::Digit`] unless it came by RTP as well.
    pub fn info_digit(&self, digit: char) {
        let _ = digit;
        todo!()
    }

    /// The counts so far; none before [`configure`](Self::configure).
    pub async fn stats(&self) -> Option<LegStats> {
        todo!()
    }
}

/// As many digits may wait to be sent: more than any number or code.
pub const DIGITS: usize = 128;
