//! Sockets from which little comes: the kernel says when there is something, so that nobody asks them in vain.
//!
//! A socket that receives in every service is better asked than watched, as an event costs more than a receive.
//! RTCP, and the RTP of a leg that has been silent for a while, cost nothing here until something comes.

use std::{mem::MaybeUninit, os::fd::OwnedFd};

use rustix::event::{
    Timespec,
    epoll::{self, CreateFlags, Event, EventData, EventFlags},
};

use super::socket::Connection;

/// Events taken at once; more are taken in the next go.
const BATCH: usize = 64;

/// What a socket is to a leg.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Port {
    Rtp,
    Rtcp,
}

/// The watched sockets of a worker.
#[derive(Debug)]
pub(crate) struct Watch {
    /// None where the system gave none: then every socket is asked.
    epoll: Option<OwnedFd>,
}

impl Watch {
    pub(crate) fn new() -> Self {
        let epoll = epoll::create(CreateFlags::CLOEXEC).inspect_err(
            |error| tracing::warn!(%error, "no epoll: silent sockets are asked again and again"),
        );
        Self { epoll: epoll.ok() }
    }

    /// Watches a socket of the leg at `place`. False when it cannot be watched.
    pub(crate) fn add(&self, socket: &Connection, place: usize, port: Port) -> bool {
        let data = EventData::new_u64((place as u64) << 1 | u64::from(port == Port::Rtcp));
        // By edge: what is there already, and each that comes, is told once.
        let flags = EventFlags::IN | EventFlags::ET;
        self.epoll.as_ref().is_some_and(|epoll| epoll::add(epoll, socket, data, flags).is_ok())
    }

    /// Watches a socket no longer.
    pub(crate) fn remove(&self, socket: &Connection) {
        if let Some(epoll) = &self.epoll {
            // One that was not watched needs no removal.
            let _ = epoll::delete(epoll, socket);
        }
    }

    /// Tells to which sockets something came since the last time.
    pub(crate) fn look(&self, mut came: impl FnMut(usize, Port)) {
        let Some(epoll) = &self.epoll else { return };
        let mut room = [MaybeUninit::<Event>::uninit(); BATCH];
        while let Ok((events, _)) = epoll::wait(epoll, &mut room[..], Some(&Timespec::default())) {
            for event in &*events {
                let data = { event.data }.u64();
                came((data >> 1) as usize, if data & 1 == 1 { Port::Rtcp } else { Port::Rtp });
            }
            if events.len() < BATCH {
                return;
            }
        }
    }
}

/// So many services in which a watched socket had something make it one that is asked ...
const BUSY: u8 = 5;
/// ... and so many in which it had nothing one that is watched.
const VAIN: u8 = 25;

/// How a leg's RTP socket is attended to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Attention {
    /// It is asked in every service: so often at a stretch in vain.
    Asked { vain: u8 },
    /// It is asked when something came: so often at a stretch something did.
    Watched { ready: bool, busy: u8 },
}

impl Attention {
    /// That of a socket which is new to this worker.
    pub(crate) fn begin(watch: &Watch, socket: &Connection, place: usize) -> Self {
        if watch.add(socket, place, Port::Rtp) {
            Self::Watched { ready: true, busy: 0 }
        } else {
            Self::Asked { vain: 0 }
        }
    }

    /// Whether there may be something.
    pub(crate) fn is_due(self) -> bool {
        matches!(self, Self::Asked { .. } | Self::Watched { ready: true, .. })
    }

    /// Something came.
    pub(crate) fn rouse(&mut self) {
        if let Self::Watched { ready, .. } = self {
            *ready = true;
        }
    }

    /// Has the socket watched for a while, where it can be: for when packets come.
    pub(crate) fn look(&mut self, watch: &Watch, socket: &Connection, place: usize) {
        if matches!(self, Self::Asked { .. }) && watch.add(socket, place, Port::Rtp) {
            *self = Self::Watched { ready: true, busy: 0 };
        }
    }

    /// Learns from a service: whether something was `found`, and whether the socket may hold `more`.
    pub(crate) fn learn(
        &mut self,
        found: bool,
        more: bool,
        watch: &Watch,
        socket: &Connection,
        place: usize,
    ) {
        *self = match *self {
            Self::Asked { .. } if found => Self::Asked { vain: 0 },
            Self::Asked { vain } if vain < VAIN => Self::Asked { vain: vain + 1 },
            Self::Asked { .. } if watch.add(socket, place, Port::Rtp) => {
                Self::Watched { ready: false, busy: 0 }
            }
            Self::Asked { .. } => Self::Asked { vain: 0 },
            Self::Watched { ready: true, busy } if found && busy + 1 >= BUSY => {
                watch.remove(socket);
                Self::Asked { vain: 0 }
            }
            Self::Watched { ready: true, busy } if found => Self::Watched { ready: more, busy: busy + 1 },
            Self::Watched { .. } => Self::Watched { ready: false, busy: 0 },
        };
    }
}
