//! Sockets: from bytes on the wire to messages with their [`Flow`], and back.

mod advertise;
mod connection;
mod local;
mod room;
mod stream;
pub(crate) mod stun;
mod tls;
mod udp;
mod websocket;

pub(crate) use advertise::Advertise;
pub(crate) use connection::StreamEvent;
pub(crate) use local::LocalAddresses;
pub(crate) use room::{Limits, Room};
pub(crate) use stream::{EVENTS, Entrance, Sent, Streams};
pub(crate) use tls::Tls;
pub use tls::TlsError;
pub(crate) use udp::UdpSockets;

use std::{io, net::SocketAddr};

use sems_sip::Transport;
use socket2::{Domain, Protocol, Socket, Type};

/// A bound listener, as the `ready` line shows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Listener {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
}

/// Binds a non-blocking socket. IPv6 sockets are IPv6 only, so that both families can listen on one port.
pub(crate) fn bind(address: SocketAddr, kind: Type, protocol: Protocol) -> io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), kind, Some(protocol))?;
    if address.is_ipv6() {
        socket.set_only_v6(true)?;
    }
    if kind == Type::STREAM {
        socket.set_reuse_address(true)?;
    } else {
        // A burst of 10,000 calls a second must survive a scheduling gap of some 50 ms.
        let _ = socket.set_recv_buffer_size(4 << 20);
        let _ = socket.set_send_buffer_size(1 << 20);
    }
    socket.set_nonblocking(true)?;
    socket.bind(&address.into())?;
    if kind == Type::STREAM {
        socket.listen(1024)?;
    }
    Ok(socket)
}
