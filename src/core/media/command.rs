//! What a handle asks of a worker, and what workers ask of each other.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize},
    },
};

use sems_media::{Negotiated, Session};
use tokio::sync::oneshot;

use super::{
    Audio, JoinSpec, LegId, LegStats, PlayId, PlayOptions, RecordSpec, room::RoomSeat, stream::Stream,
};

/// Orders that may wait for a worker, which looks every few milliseconds: those of some hundred calls that all
/// change at once. Who sends more waits until the worker has looked.
pub(crate) const ORDERS: usize = 4096;

/// What a leg's handle and its worker share.
#[derive(Debug)]
pub(crate) struct LegShared {
    pub(crate) id: LegId,
    pub(crate) address: SocketAddr,
    /// Set when the handle is dropped; the worker closes the leg when it comes to it.
    pub(crate) closed: AtomicBool,
    /// The worker that has the leg, or had it last: that one passes on what comes for it until the next one has it.
    pub(crate) home: AtomicUsize,
}

/// What a worker is told.
#[derive(Debug)]
pub(crate) enum Order {
    /// A new leg.
    Open(Box<Stream>),
    /// A leg that comes from another worker, and why.
    Adopt(Box<Stream>, Box<Action>),
    /// For one leg.
    Leg(Arc<LegShared>, Box<Action>),
    /// The end of the engine.
    Stop,
}

/// What is to be done with one leg.
#[derive(Debug)]
pub(crate) enum Action {
    Start(Box<Session>),
    Configure(Box<Negotiated>),
    Play {
        id: PlayId,
        audio: Arc<Audio>,
        options: PlayOptions,
    },
    StopPlay(PlayId),
    Record(RecordSpec),
    StopRecord,
    Echo(bool),
    /// `hops` counts how often the other leg was found to have moved on.
    Bridge {
        other: Arc<LegShared>,
        hops: u8,
        reply: oneshot::Sender<()>,
    },
    Unbridge,
    Join {
        seat: RoomSeat,
        spec: Box<JoinSpec>,
        reply: oneshot::Sender<()>,
    },
    Leave,
    SendDigits(Box<str>),
    InfoDigit(char),
    Stats(oneshot::Sender<Option<LegStats>>),
    /// Panics at once, or when the leg is served.
    #[cfg(test)]
    Panic {
        at_once: bool,
    },
}
