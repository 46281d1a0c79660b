//! The sockets of legs, one by one and many at once, and what a thread asks of the scheduler and of its processor.
//! The only unsafe code of the house.
#![allow(
    unsafe_code,
    reason = "disconnecting a socket, scheduling a thread, io_uring and prefetching have no safe interface"
)]

mod ring;

use std::{
    cell::Cell,
    io,
    net::{SocketAddr, UdpSocket},
    os::fd::{AsFd, AsRawFd, BorrowedFd},
};

use rustix::net::{RecvFlags, SendFlags};
use socket2::{Domain, Protocol, Socket, Type};

pub(crate) use ring::{Found, Ring, Ticket};

/// The traffic class of voice: DSCP EF (RFC 3246) in its place in the octet.
const EXPEDITED: u32 = 46 << 2;

/// A datagram socket that never waits. A seam: what serves many legs at once (io_uring) can stand here.
pub(crate) trait Udp {
    /// The bound address.
    fn local(&self) -> SocketAddr;
    /// Takes one datagram: its length and source. `None` when there is none.
    fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)>;
    /// Sends one datagram; false when the kernel would not take it.
    fn send(&self, packet: &[u8], to: SocketAddr) -> bool;
    /// From now on talks with this peer only; with `None`, with anybody again.
    fn connect(&mut self, peer: Option<SocketAddr>);
}

/// A plain socket, connected once its peer is known: the kernel then drops what strangers send, and a send costs
/// less than one with an address.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: UdpSocket,
    local: SocketAddr,
    peer: Option<SocketAddr>,
    /// What arrived before it was connected may be of anybody, and is still in the queue.
    mixed: Cell<bool>,
}

impl Connection {
    /// Binds `address`.
    pub(crate) fn bind(address: SocketAddr) -> io::Result<Self> {
        let socket = Socket::new(Domain::for_address(address), Type::DGRAM, Some(Protocol::UDP))?;
        socket.set_nonblocking(true)?;
        // The mark is a courtesy to the network: without it the call works as well.
        let _ = if address.is_ipv6() {
            socket.set_only_v6(true)?;
            socket.set_tclass_v6(EXPEDITED)
        } else {
            socket.set_tos_v4(EXPEDITED)
        };
        socket.bind(&address.into())?;
        let socket = UdpSocket::from(socket);
        let local = socket.local_addr()?;
        Ok(Self { socket, local, peer: None, mixed: Cell::new(false) })
    }
}

impl Connection {
    /// Whether nothing in its queue can be of anybody but its peer.
    pub(crate) fn is_settled(&self) -> bool {
        self.peer.is_some() && !self.mixed.get()
    }

    /// Whom it is connected with.
    pub(crate) fn peer(&self) -> Option<SocketAddr> {
        self.peer
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.socket.as_fd()
    }
}

impl Udp for Connection {
    fn local(&self) -> SocketAddr {
        self.local
    }

    fn receive(&self, buffer: &mut [u8]) -> Option<(usize, SocketAddr)> {
        // An error can be the port unreachable of an earlier send; behind it a datagram may wait.
        for _ in 0..2 {
            let received = match self.peer {
                // Without the C library, whose system calls are points of cancellation and cost more.
                Some(peer) if !self.mixed.get() => {
                    rustix::net::recv(&self.socket, &mut *buffer, RecvFlags::DONTWAIT)
                        .map(|(length, _)| (length, peer))
                        .map_err(io::Error::from)
                }
                Some(_) | None => self.socket.recv_from(buffer),
            };
            match received {
                Ok(received) => return Some(received),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                    self.mixed.set(false);
                    return None;
                }
                Err(_) => {}
            }
        }
        None
    }

    fn send(&self, packet: &[u8], to: SocketAddr) -> bool {
        // The first error may report an earlier packet (ICMP port unreachable): this one was not sent then.
        (0..2).any(|_| match self.peer {
            Some(peer) if peer == to => rustix::net::send(&self.socket, packet, SendFlags::DONTWAIT).is_ok(),
            Some(_) | None => rustix::net::sendto(&self.socket, packet, SendFlags::DONTWAIT, &to).is_ok(),
        })
    }

    fn connect(&mut self, peer: Option<SocketAddr>) {
        if self.peer == peer {
            return;
        }
        if self.peer.take().is_some() {
            disconnect(&self.socket);
        }
        if let Some(address) = peer
            && self.socket.connect(address).is_ok()
        {
            self.peer = Some(address);
            self.mixed.set(true);
        }
    }
}

/// Dissolves the association of a connected datagram socket (connect(2): an address of AF_UNSPEC).
fn disconnect(socket: &UdpSocket) {
    // SAFETY: a zeroed sockaddr_storage is a valid value, AF_UNSPEC is 0, and the length is that of the storage.
    unsafe {
        let address: libc::sockaddr_storage = std::mem::zeroed();
        libc::connect(
            socket.as_raw_fd(),
            std::ptr::from_ref(&address).cast(),
            size_of::<libc::sockaddr_storage>() as libc::socklen_t,
        );
    }
}

/// Begins to bring a value nearer to the processor, before it is needed: legs are many, and each is looked at once in
/// 20 ms, so that none is found in the cache.
pub(crate) fn prefetch<T>(value: &T) {
    #[cfg(target_arch = "x86_64")]
    for offset in (0..size_of::<T>()).step_by(64) {
        // SAFETY: a hint, which reads nothing that the program sees; the address is inside the value.
        unsafe {
            let line = std::ptr::from_ref(value).cast::<i8>().add(offset);
            std::arch::x86_64::_mm_prefetch::<{ std::arch::x86_64::_MM_HINT_T0 }>(line);
        }
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = value;
}

/// Runs the calling thread before all ordinary ones (SCHED_FIFO at the lowest priority) and keeps it on the
/// `index`th of the processors that this process may use.
pub(crate) fn make_realtime(index: usize) -> io::Result<()> {
    // SAFETY: both calls read a structure that lives on this stack, and concern the calling thread (pid 0).
    unsafe {
        let parameters = libc::sched_param { sched_priority: 1 };
        if libc::sched_setscheduler(0, libc::SCHED_FIFO, &raw const parameters) != 0 {
            return Err(io::Error::last_os_error());
        }
        let mut allowed: libc::cpu_set_t = std::mem::zeroed();
        if libc::sched_getaffinity(0, size_of::<libc::cpu_set_t>(), &raw mut allowed) != 0 {
            return Err(io::Error::last_os_error());
        }
        let usable: Vec<usize> =
            (0..libc::CPU_SETSIZE as usize).filter(|cpu| libc::CPU_ISSET(*cpu, &allowed)).collect();
        let Some(cpu) = usable.get(index % usable.len().max(1)) else { return Ok(()) };
        let mut one: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(*cpu, &mut one);
        if libc::sched_setaffinity(0, size_of::<libc::cpu_set_t>(), &raw const one) != 0 {
            return Err(io::Error::last_os_error());
        }
    }
    Ok(())
}

/// Asks for wake-ups of the calling thread without the 50 us of slack that ordinary threads get.
pub(crate) fn sharpen_sleep() {
    // SAFETY: PR_SET_TIMERSLACK takes a number of nanoseconds and touches nothing else.
    unsafe {
        libc::prctl(libc::PR_SET_TIMERSLACK, 1_000 as libc::c_ulong, 0, 0, 0);
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::*;

    fn receive(socket: &Connection) -> Option<(Vec<u8>, SocketAddr)> {
        let mut buffer = [0; 100];
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_millis(100) {
            if let Some((length, source)) = socket.receive(&mut buffer) {
                return Some((buffer[..length].to_vec(), source));
            }
        }
        None
    }

    fn both_ways(home: &str) {
        let mut ours = Connection::bind(format!("{home}:38200").parse().expect("address")).expect("free");
        let theirs = Connection::bind(format!("{home}:0").parse().expect("address")).expect("free");
        let stranger = Connection::bind(format!("{home}:0").parse().expect("address")).expect("free");
        assert!(theirs.send(b"first", ours.local()));
        assert_eq!(receive(&ours), Some((b"first".to_vec(), theirs.local())));
        assert!(stranger.send(b"earlier", ours.local()));
        ours.connect(Some(theirs.local()));
        assert_eq!(receive(&ours), Some((b"earlier".to_vec(), stranger.local())), "not of the peer");
        assert!(stranger.send(b"stray", ours.local()));
        assert!(theirs.send(b"second", ours.local()));
        assert_eq!(receive(&ours), Some((b"second".to_vec(), theirs.local())));
        assert!(ours.send(b"reply", theirs.local()));
        assert_eq!(receive(&theirs), Some((b"reply".to_vec(), ours.local())));
        ours.connect(None);
        assert!(stranger.send(b"welcome", ours.local()));
        assert_eq!(receive(&ours), Some((b"welcome".to_vec(), stranger.local())));
    }

    #[test]
    fn a_connected_socket_hears_its_peer_only_and_a_disconnected_one_keeps_its_port() {
        both_ways("127.0.0.1");
        both_ways("[::1]");
    }

    #[test]
    fn an_unreachable_port_does_not_hide_what_waits_behind_it() {
        let mut ours = Connection::bind("127.0.0.1:38210".parse().expect("address")).expect("free");
        let theirs = Connection::bind("127.0.0.1:38212".parse().expect("address")).expect("free");
        ours.connect(Some(theirs.local()));
        drop(theirs);
        for _ in 0..3 {
            ours.send(b"nobody", "127.0.0.1:38212".parse().expect("address"));
        }
        let theirs = Connection::bind("127.0.0.1:38212".parse().expect("address")).expect("free");
        assert!(theirs.send(b"back", ours.local()));
        assert_eq!(receive(&ours).map(|(text, _)| text), Some(b"back".to_vec()));
    }
}
