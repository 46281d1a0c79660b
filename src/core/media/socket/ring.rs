//! Receives and sends of many sockets in one system call (io_uring).
//!
//! Everything is asked for with MSG_DONTWAIT, so that all of it is done when [`Ring::go`] returns: no completion
//! comes later, and a buffer is free again.

use std::{
    io,
    net::SocketAddr,
    os::fd::{AsRawFd, RawFd},
};

use io_uring::{IoUring, cqueue, opcode, squeue, types};
use socket2::SockAddr;

use super::Connection;
use crate::media::io::DATAGRAM;

/// Receives that may be asked for at once: the members of a large room. What is more is received singly.
const RECEIVES: usize = 512;
/// Sends that may be under way; when there are more, the first ones go.
const SENDS: usize = 256;
/// How often the system is asked to take what waits.
const TRIES: usize = 8;
/// Marks a send among the completions.
const SEND: u64 = 1 << 32;

/// What was sent in one go.
#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Gone {
    pub(crate) sent: u64,
    pub(crate) failed: u64,
}

/// Where a receive that was asked for leaves what it finds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ticket(u16);

/// What a receive found.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Found<'a> {
    Packet(&'a [u8]),
    Nothing,
    /// Perhaps the port unreachable of an earlier send; behind it a datagram may wait.
    Error,
}

/// A packet under way.
struct Outgoing {
    packet: [u8; DATAGRAM],
    length: usize,
    descriptor: RawFd,
    /// Where to; none when the socket is connected.
    to: Option<SockAddr>,
}

/// One ring, of one thread.
pub(crate) struct Ring {
    /// Before the buffers, so that it is gone before they are.
    ring: IoUring,
    inbound: Box<[[u8; DATAGRAM]]>,
    /// What each receive found: a length, or an error.
    found: Box<[i32]>,
    asked: usize,
    outbound: Box<[Outgoing]>,
    queued: usize,
    gone: Gone,
    broken: bool,
}

impl std::fmt::Debug for Ring {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Ring")
            .field("asked", &self.asked)
            .field("queued", &self.queued)
            .finish_non_exhaustive()
    }
}

impl Ring {
    /// A ring of the calling thread, which alone may use it.
    pub(crate) fn new() -> io::Result<Self> {
        let entries = (RECEIVES + SENDS) as u32;
        let ring = IoUring::<squeue::Entry, cqueue::Entry>::builder()
            .setup_single_issuer()
            .setup_defer_taskrun()
            .setup_submit_all()
            .build(entries)?;
        Ok(Self {
            ring,
            inbound: vec![[0; DATAGRAM]; RECEIVES].into(),
            found: vec![0; RECEIVES].into(),
            asked: 0,
            outbound: (0..SENDS).map(|_| Outgoing::new()).collect(),
            queued: 0,
            gone: Gone::default(),
            broken: false,
        })
    }

    /// Forgets what was received: the next receives are asked for.
    pub(crate) fn begin(&mut self) {
        self.asked = 0;
    }

    /// Asks for one datagram of a connected socket, with the next [`go`](Self::go). None when there is no room.
    pub(crate) fn ask(&mut self, socket: &Connection) -> Option<Ticket> {
        let place = self.asked;
        let buffer = self.inbound.get_mut(place)?;
        let descriptor = types::Fd(socket.socket.as_raw_fd());
        let receive = opcode::Recv::new(descriptor, buffer.as_mut_ptr(), DATAGRAM as u32)
            .flags(libc::MSG_DONTWAIT)
            .build()
            .user_data(place as u64);
        // SAFETY: the buffer lives in `self` behind a box, is not touched until `go`, and the kernel is done with
        // it when `go` returns; the ring is dropped first.
        unsafe { self.ring.submission().push(&receive) }.ok()?;
        *self.found.get_mut(place)? = -libc::EAGAIN;
        self.asked += 1;
        u16::try_from(place).ok().map(Ticket)
    }

    /// What that receive found.
    pub(crate) fn found(&self, ticket: Ticket) -> Found<'_> {
        let place = usize::from(ticket.0);
        match (self.found.get(place), self.inbound.get(place)) {
            (Some(&length), Some(buffer)) if length >= 0 => {
                Found::Packet(buffer.get(..length as usize).unwrap_or_default())
            }
            (Some(&error), _) if error != -libc::EAGAIN => Found::Error,
            _ => Found::Nothing,
        }
    }

    /// The buffer of the next packet.
    pub(crate) fn out(&mut self) -> Option<&mut [u8; DATAGRAM]> {
        Some(&mut self.outbound.get_mut(self.queued)?.packet)
    }

    /// Sends the first `length` bytes of [`out`](Self::out) with the next [`go`](Self::go); to there the socket has to
    /// stay as it is. With `to` for a socket that is not connected with whom it is for. False when it has to be sent
    /// otherwise.
    pub(crate) fn send(&mut self, socket: &Connection, length: usize, to: Option<SocketAddr>) -> bool {
        let Some(out) = self.outbound.get_mut(self.queued).filter(|_| length <= DATAGRAM) else {
            return false;
        };
        (out.length, out.descriptor, out.to) = (length, socket.socket.as_raw_fd(), to.map(SockAddr::from));
        let send = opcode::Send::new(types::Fd(out.descriptor), out.packet.as_ptr(), length as u32)
            .flags(libc::MSG_DONTWAIT);
        let send = match &out.to {
            Some(to) => send.dest_addr(to.as_ptr().cast()).dest_addr_len(to.len()),
            None => send,
        };
        let send = send.build().flags(squeue::Flags::SKIP_SUCCESS).user_data(SEND | (self.queued as u64));
        // SAFETY: as in `ask`; `out` gives this buffer to nobody before `go`, and the address is beside it.
        if unsafe { self.ring.submission().push(&send) }.is_err() {
            return false;
        }
        self.queued += 1;
        if self.queued == SENDS {
            self.submit();
        }
        true
    }

    /// Counts a packet that was sent otherwise.
    pub(crate) fn note(&mut self, sent: bool) {
        self.gone.sent += u64::from(sent);
        self.gone.failed += u64::from(!sent);
    }

    /// Whether the system did not take what it was asked for: the ring must not be used any more, only dropped.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken
    }

    /// Does all that was asked for.
    pub(crate) fn go(&mut self) -> Gone {
        self.submit();
        std::mem::take(&mut self.gone)
    }

    fn submit(&mut self) {
        // A signal may interrupt it, and want of memory stop it half-way.
        for _ in 0..TRIES {
            if self.ring.submission().is_empty() {
                break;
            }
            // What it says is seen by what is left.
            let _ = self.ring.submit();
        }
        // What stayed behind still means buffers that are about to be used again.
        self.broken |= !self.ring.submission().is_empty();
        let mut failed = 0;
        for done in self.ring.completion() {
            let place = (done.user_data() & !SEND) as usize;
            if done.user_data() & SEND == 0 {
                if let Some(found) = self.found.get_mut(place) {
                    *found = done.result();
                }
            } else if !self.outbound.get(place).is_some_and(Outgoing::send_again) {
                failed += 1;
            }
        }
        self.gone.failed += failed;
        self.gone.sent += (self.queued as u64).saturating_sub(failed);
        self.queued = 0;
    }
}

impl Outgoing {
    fn new() -> Self {
        Self { packet: [0; DATAGRAM], length: 0, descriptor: -1, to: None }
    }

    /// The error may have been one of an earlier packet (ICMP port unreachable): this one was not sent then.
    fn send_again(&self) -> bool {
        let (address, length) = self.to.as_ref().map_or((std::ptr::null(), 0), |to| (to.as_ptr(), to.len()));
        // SAFETY: buffer and address live in `self`, and are only read.
        let sent = unsafe {
            let packet = self.packet.as_ptr().cast();
            libc::sendto(self.descriptor, packet, self.length, libc::MSG_DONTWAIT, address.cast(), length)
        };
        sent >= 0
    }
}
