//! What a worker lends to each leg it serves: buffers, counts, and what all legs share.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use sems_media::{EncodedPrompt, Frame};

use super::{
    Audio,
    recording::Outlet,
    socket::{Connection, Udp},
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

/// The packet being written, and the counts.
#[derive(Debug)]
pub(crate) struct Wire {
    pub(crate) out: [u8; DATAGRAM],
    pub(crate) tally: Tally,
}

impl Wire {
    /// Sends the first `length` bytes of `out`.
    pub(crate) fn send(&mut self, socket: &Connection, length: usize, to: SocketAddr) {
        if self.out.get(..length).is_some_and(|packet| socket.send(packet, to)) {
            self.tally.packets_out += 1;
        } else {
            self.tally.send_errors += 1;
        }
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
