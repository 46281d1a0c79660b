//! What a worker lends to each leg it serves: buffers, counts, and what all legs share.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use sems_media::{EncodedPrompt, Frame};

use super::{
    Audio,
    recording::Outlet,
    socket::{Connection, Found, Ring, Ticket, Udp},
    watch::Watch,
};

/// The longest datagram taken or sent: an Ethernet frame's worth. Longer ones are no RTP of a telephone.
pub(crate) const DATAGRAM: usize = 1500;

/// What a worker counted; published once a tick.
#[derive(Debug, Default, Clone, Copy)]
pub(crate) struct Tally {
    pub(crate) packets_in: u64,
    pub(crate) packets_out: u64,
    pub(crate) send_errors: u64,
    pub(crate) late_ticks: u64,
    pub(crate) dropped_events: u64,
}

/// How a worker receives and sends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum MediaIo {
    /// By io_uring where the system permits it, else by plain system calls.
    #[default]
    Auto,
    /// By io_uring; where the system does not permit it, plainly, with a warning.
    Uring,
    /// A system call for each datagram.
    Plain,
}

/// The packet being written, and the counts.
#[derive(Debug)]
pub(crate) struct Wire {
    plain: [u8; DATAGRAM],
    ring: Option<Box<Ring>>,
    pub(crate) tally: Tally,
}

impl Wire {
    pub(crate) fn new() -> Self {
        Self { plain: [0; DATAGRAM], ring: None, tally: Tally::default() }
    }

    /// Receives and sends by io_uring from now on, on the calling thread only.
    pub(crate) fn open_ring(&mut self) -> std::io::Result<()> {
        self.ring = Some(Box::new(Ring::new()?));
        Ok(())
    }

    /// Where the next packet is to be written.
    pub(crate) fn out(&mut self) -> &mut [u8; DATAGRAM] {
        match self.ring.as_mut().and_then(|ring| ring.out()) {
            Some(out) => out,
            None => &mut self.plain,
        }
    }

    /// Sends the first `length` bytes of what was written into [`out`](Self::out), at the latest with the next
    /// [`flush`](Self::flush).
    pub(crate) fn send(&mut self, socket: &Connection, length: usize, to: SocketAddr) {
        let address = (socket.peer() != Some(to)).then_some(to);
        match &mut self.ring {
            Some(ring) => {
                if ring.send(socket, length, address) {
                    return;
                }
                // The ring is full: it makes room, and this one goes alone.
                let sent = ring
                    .out()
                    .and_then(|out| out.get(..length))
                    .is_some_and(|packet| socket.send(packet, to));
                ring.note(sent);
            }
            None => {
                let sent = self.plain.get(..length).is_some_and(|packet| socket.send(packet, to));
                self.count(u64::from(sent), u64::from(!sent));
            }
        }
        self.flush();
    }

    /// Sends what waits to be sent, and receives what was asked for.
    pub(crate) fn flush(&mut self) {
        if let Some(ring) = &mut self.ring {
            let gone = ring.go();
            let broken = ring.is_broken();
            self.count(gone.sent, gone.failed);
            if broken {
                tracing::error!("io_uring takes no more; this media worker goes on with plain system calls");
                self.ring = None;
            }
        }
    }

    fn count(&mut self, sent: u64, failed: u64) {
        self.tally.packets_out += sent;
        self.tally.send_errors += failed;
    }

    /// The next receives are asked for, and those of before forgotten.
    pub(crate) fn begin_receives(&mut self) {
        if let Some(ring) = &mut self.ring {
            ring.begin();
        }
    }

    /// Asks for one datagram of a socket that hears its peer only. None when it has to be received plainly.
    pub(crate) fn ask(&mut self, socket: &Connection) -> Option<Ticket> {
        self.ring.as_mut().filter(|_| socket.is_settled())?.ask(socket)
    }

    /// What came of it.
    pub(crate) fn found(&self, ticket: Ticket) -> Found<'_> {
        self.ring.as_ref().map_or(Found::Error, |ring| ring.found(ticket))
    }
}

/// All of it.
#[derive(Debug)]
pub(crate) struct Io {
    pub(crate) inbound: [u8; DATAGRAM],
    pub(crate) frame: Frame,
    /// The digits that came in the last [`intake`](super::stream::Stream::intake).
    pub(crate) pressed: Vec<char>,
    pub(crate) wire: Wire,
    pub(crate) watch: Watch,
    pub(crate) outlet: Outlet,
    pub(crate) rtp_timeout: Duration,
    /// 20 ms of silence for each codec.
    pub(crate) silence: Arc<[Arc<EncodedPrompt>]>,
    /// Warns of the end of a recording.
    pub(crate) beep: Arc<Audio>,
}
