//! The media engine: worker threads, sockets, rooms, bridges, recordings.
//!
//! Each of N operating system threads owns the legs it serves, whole: sockets, RTP session, what is played and
//! recorded. A wheel of 20 slots, one a millisecond, spreads them; a leg is served once in 20 ms: receive what
//! the kernel queued, work, send. Nothing on that path locks, allocates or waits. What is mixed together lives
//! on one worker: joining a room or a bridge moves a leg there, between two of its ticks.
//!
//! ```text
//! call actor --MediaLeg--> bounded queue --> worker --MediaEvent--> call actor
//!                                              | blocks of samples
//!                                              v
//!                                         recorder thread --RecordEnded--> call actor
//! ```
//!
//! The law: a [`MediaLeg`] is a handle, and dropping it closes the leg; a worker never waits for anybody.

mod audio;
#[doc(hidden)]
pub mod bench;
mod command;
mod engine;
mod io;
mod leg;
mod library;
mod links;
mod listeners;
mod phase;
mod playing;
mod ports;
mod recorder;
mod recording;
mod resting;
mod room;
mod rooms;
mod socket;
mod stream;
mod watch;
mod wheel;
mod worker;

pub use audio::Audio;
pub use engine::{Counters, Engine, EngineConfig, EngineError, PortError, RoomInfo};
pub use io::MediaIo;
pub use leg::{
    DIGITS, EVENTS, JoinError, JoinSpec, LegId, LegStats, MediaEvent, MediaLeg, PlayId, PlayOptions,
    RecordEnd, RecordSpec,
};
pub use library::Library;
