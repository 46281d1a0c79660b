//! The engine: starts the workers, opens legs on them, knows the rooms.

use std::{io, net::IpAddr, ops::RangeInclusive, path::PathBuf, sync::Arc, time::Duration};

use tokio::sync::mpsc;

use super::{Library, MediaEvent, MediaLeg};

/// How the engine is set up.
#[derive(Debug, Clone)]
pub struct EngineConfig {
    /// Worker threads, at least 1; usually one a core.
    pub workers: usize,
    /// The ports for media: an even one for RTP and the next for RTCP each.
    pub rtp_ports: RangeInclusive<u16>,
    /// Pin the workers and run them under SCHED_FIFO, where the system permits it.
    pub realtime: bool,
    /// Nothing received for this long is reported as [`MediaEvent::Silent`].
    pub rtp_timeout: Duration,
    /// A freed port is given out again when nothing arrived at it for this long (2 s).
    pub quarantine: Duration,
    /// Folders with sounds, looked up in order.
    pub sounds: Vec<PathBuf>,
    /// The language of prompts: the name of a folder below those of `sounds`.
    pub language: String,
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EngineError {
    /// No pair of ports in the range.
    #[error("the range of RTP ports holds no even/odd pair")]
    NoPorts,
    /// The system gave no thread.
    #[error("cannot start a media thread: {0}")]
    Thread(#[source] io::Error),
}

/// Why no leg could be opened.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PortError {
    /// All ports are taken or rest.
    #[error("all media ports are taken")]
    Exhausted,
    /// The system refused the socket for another reason than a taken port.
    #[error("cannot open a media socket: {0}")]
    Socket(#[source] io::Error),
    /// The engine is shut down.
    #[error("the media engine is stopped")]
    Stopped,
}

/// A room, as the API shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RoomInfo {
    /// Its name.
    pub name: String,
    /// Who is in it, in number.
    pub members: usize,
    /// The rate it is mixed at, in Hz.
    pub rate: u32,
}

/// What the engine counted since its start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counters {
    /// RTP and RTCP packets received.
    pub packets_in: u64,
    /// RTP and RTCP packets sent.
    pub packets_out: u64,
    /// Packets the kernel would not take.
    pub send_errors: u64,
    /// Ticks served more than 5 ms late.
    pub late_ticks: u64,
    /// Events lost because their receiver did not keep up.
    pub dropped_events: u64,
    /// Legs open now.
    pub legs: u64,
}

/// The media engine; cheap to clone.
#[derive(Debug, Clone)]
pub struct Engine {
    shared: Arc<()>,
}

impl Engine {
    /// Starts the workers and the recorder.
    pub fn start(config: EngineConfig) -> Result<Self, EngineError> {
        let _ = config;
        todo!()
    }

    /// Stops everything: recordings are finished, legs closed, threads joined. Blocks for as long as the disk needs.
    pub fn shutdown(&self) {
        let _ = &self.shared;
        todo!()
    }

    /// Opens a leg with an RTP and an RTCP port at `address`, on the worker with the fewest legs.
    pub fn open(&self, address: IpAddr, events: mpsc::Sender<MediaEvent>) -> Result<MediaLeg, PortError> {
        let _ = (address, events);
        todo!()
    }

    /// The sounds.
    pub fn library(&self) -> &Library {
        todo!()
    }

    /// The rooms that have members.
    pub fn rooms(&self) -> Vec<RoomInfo> {
        todo!()
    }

    /// The counts since the start.
    pub fn counters(&self) -> Counters {
        todo!()
    }
}
