//! All UDP listeners as one source of datagrams, read by the signalling task itself: no hop, no lock.

use std::{
    future::poll_fn,
    io,
    net::SocketAddr,
    task::{Context, Poll},
};

use bytes::Bytes;
use sems_sip::{Flow, Transport};
use socket2::{Protocol, Type};
use tokio::{io::ReadBuf, net::UdpSocket};

use super::{Listener, LocalAddresses, bind};

/// The largest UDP payload.
const DATAGRAM: usize = 65_535;

/// The UDP sockets that SIP listens on.
#[derive(Debug)]
pub(crate) struct UdpSockets {
    sockets: Vec<(SocketAddr, UdpSocket)>,
    buffer: Box<[u8]>,
    /// The socket to ask first, so that a busy one does not starve the others.
    next: usize,
    local: LocalAddresses,
}

impl UdpSockets {
    pub(crate) fn new() -> Self {
        Self {
            sockets: Vec::new(),
            buffer: vec![0; DATAGRAM].into(),
            next: 0,
            local: LocalAddresses::default(),
        }
    }

    pub(crate) fn listen(&mut self, address: SocketAddr) -> io::Result<Listener> {
        let socket = bind(address, Type::DGRAM, Protocol::UDP)?;
        let socket = UdpSocket::from_std(socket.into())?;
        let address = socket.local_addr()?;
        self.sockets.push((address, socket));
        Ok(Listener { transport: Transport::Udp, address })
    }

    /// The next datagram. Pending for ever without sockets.
    pub(crate) async fn receive(&mut self) -> (Flow, Bytes) {
        poll_fn(|cx| self.poll_receive(cx)).await
    }

    /// A datagram that is already here.
    pub(crate) fn try_receive(&mut self) -> Option<(Flow, Bytes)> {
        for turn in 0..self.sockets.len() {
            let at = (self.next + turn) % self.sockets.len();
            if let Ok((length, remote)) = self.sockets[at].1.try_recv_from(&mut self.buffer) {
                return Some(self.received(at, length, remote));
            }
        }
        None
    }

    fn poll_receive(&mut self, cx: &mut Context<'_>) -> Poll<(Flow, Bytes)> {
        for turn in 0..self.sockets.len() {
            let at = (self.next + turn) % self.sockets.len();
            loop {
                let mut buffer = ReadBuf::new(&mut self.buffer);
                match self.sockets[at].1.poll_recv_from(cx, &mut buffer) {
                    Poll::Ready(Ok(remote)) => {
                        let length = buffer.filled().len();
                        return Poll::Ready(self.received(at, length, remote));
                    }
                    // An ICMP error of an earlier send is reported here; the socket goes on.
                    Poll::Ready(Err(error)) => tracing::debug!(%error, "UDP receive"),
                    Poll::Pending => break,
                }
            }
        }
        Poll::Pending
    }

    fn received(&mut self, at: usize, length: usize, remote: SocketAddr) -> (Flow, Bytes) {
        self.next = (at + 1) % self.sockets.len();
        let bound = self.sockets[at].0;
        let local = self.local.towards(bound, remote.ip());
        let bytes = Bytes::copy_from_slice(&self.buffer[..length]);
        (Flow::udp(local, remote), bytes)
    }

    /// Sends a datagram from the socket of the flow's local port. UDP may lose it: so a full socket does too,
    /// and the transaction's retransmission mends that.
    pub(crate) fn send(&self, flow: &Flow, bytes: &[u8]) -> io::Result<()> {
        let socket = self
            .sockets
            .iter()
            .find(|(bound, _)| {
                bound.port() == flow.local.port()
                    && bound.is_ipv6() == flow.remote.is_ipv6()
                    && (bound.ip().is_unspecified() || bound.ip() == flow.local.ip())
            })
            .map(|(_, socket)| socket)
            .ok_or(io::ErrorKind::AddrNotAvailable)?;
        match socket.try_send_to(bytes, flow.remote) {
            Err(error) if error.kind() != io::ErrorKind::WouldBlock => Err(error),
            _ => Ok(()),
        }
    }

    /// The flow on which a datagram to `remote` leaves; none without a socket of that family.
    pub(crate) fn flow_to(&mut self, remote: SocketAddr) -> Option<Flow> {
        let (bound, _) = self.sockets.iter().find(|(bound, _)| {
            bound.is_ipv6() == remote.is_ipv6()
                && (bound.ip().is_unspecified() || bound.ip().is_loopback() == remote.ip().is_loopback())
        })?;
        let bound = *bound;
        let local = self.local.towards(bound, remote.ip());
        Some(Flow::udp(local, remote))
    }
}
