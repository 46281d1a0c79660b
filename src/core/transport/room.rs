//! How many connections there may be, all together and of one peer.

use std::{
    collections::HashMap,
    fmt,
    net::{IpAddr, Ipv6Addr},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// One peer's share of the half-open connections: a tenth, so that no single one takes them all.
const HALF_OPEN_SHARE: usize = 10;

/// The limits of `[streams]`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Limits {
    /// Connections at once.
    pub(crate) total: usize,
    /// Connections at once of one address; an IPv6 peer has its /64.
    pub(crate) per_peer: usize,
    /// Connections at once that have not brought a message yet.
    pub(crate) half_open: usize,
    /// A connection on which nothing came for so long is closed.
    pub(crate) idle: Duration,
    /// A connection that has not brought a message by then is closed.
    pub(crate) first: Duration,
    /// How often a WebSocket is pinged.
    pub(crate) ping: Duration,
    /// The longest message, in bytes.
    pub(crate) message: usize,
}

/// Why a connection is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Full {
    Total,
    Peer,
    HalfOpen,
}

impl fmt::Display for Full {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Total => "streams.max is reached",
            Self::Peer => "streams.max_per_peer is reached",
            Self::HalfOpen => "streams.max_half_open is reached",
        })
    }
}

/// The room for connections.
#[derive(Debug)]
pub(crate) struct Room {
    pub(crate) limits: Limits,
    taken: Mutex<Taken>,
    /// Numbers tell two connections of one flow apart.
    next: AtomicU64,
    refused: AtomicU64,
}

#[derive(Debug, Default)]
struct Taken {
    total: usize,
    half_open: usize,
    peers: HashMap<IpAddr, Share>,
}

#[derive(Debug, Default, Clone, Copy)]
struct Share {
    total: usize,
    half_open: usize,
}

/// A place in the room, given back when dropped.
#[derive(Debug)]
pub(crate) struct Seat {
    pub(crate) number: u64,
    room: Arc<Room>,
    peer: IpAddr,
    half_open: bool,
}

impl Room {
    pub(crate) fn new(limits: Limits) -> Arc<Self> {
        let (taken, next, refused) = (Mutex::default(), AtomicU64::new(0), AtomicU64::new(0));
        Arc::new(Self { limits, taken, next, refused })
    }

    /// A seat for a connection that the peer opened; it is half open until [`Seat::proved`].
    pub(crate) fn admit(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, Full> {
        self.take(peer, true)
    }

    /// A seat for a connection that we open.
    pub(crate) fn leave_to(self: &Arc<Self>, peer: IpAddr) -> Result<Seat, Full> {
        self.take(peer, false)
    }

    fn take(self: &Arc<Self>, peer: IpAddr, half_open: bool) -> Result<Seat, Full> {
        let peer = network(peer);
        let mut taken = self.taken();
        let share = taken.peers.get(&peer).copied().unwrap_or_default();
        let limits = &self.limits;
        let full = if taken.total >= limits.total {
            Some(Full::Total)
        } else if share.total >= limits.per_peer {
            Some(Full::Peer)
        } else if half_open
            && (taken.half_open >= limits.half_open
                || share.half_open >= (limits.half_open / HALF_OPEN_SHARE).max(1))
        {
            Some(Full::HalfOpen)
        } else {
            None
        };
        if let Some(full) = full {
            self.refused.fetch_add(1, Ordering::Relaxed);
            return Err(full);
        }
        let one = usize::from(half_open);
        taken.total += 1;
        taken.half_open += one;
        let share = taken.peers.entry(peer).or_default();
        share.total += 1;
        share.half_open += one;
        drop(taken);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        Ok(Seat { number, room: self.clone(), peer, half_open })
    }

    /// Connections now.
    pub(crate) fn taken_now(&self) -> usize {
        self.taken().total
    }

    /// Connections that were not taken so far.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Ordering::Relaxed)
    }

    fn taken(&self) -> MutexGuard<'_, Taken> {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Seat {
    /// The connection brought a message.
    pub(crate) fn proved(&mut self) {
        if std::mem::take(&mut self.half_open) {
            let mut taken = self.room.taken();
            taken.half_open -= 1;
            if let Some(share) = taken.peers.get_mut(&self.peer) {
                share.half_open -= 1;
            }
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.room.limits
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.proved();
        let mut taken = self.room.taken();
        taken.total -= 1;
        if let Some(share) = taken.peers.get_mut(&self.peer) {
            share.total -= 1;
            if share.total == 0 {
                taken.peers.remove(&self.peer);
            }
        }
    }
}

/// One customer's network: an IPv6 host has as many addresses as it likes below its /64.
fn network(peer: IpAddr) -> IpAddr {
    match peer {
        IpAddr::V4(_) => peer,
        IpAddr::V6(ip) => {
            let [a, b, c, d, ..] = ip.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn room(total: usize, per_peer: usize, half_open: usize) -> Arc<Room> {
        let (idle, first) = (Duration::from_secs(1), Duration::from_secs(1));
        Room::new(Limits { total, per_peer, half_open, idle, first, ping: idle, message: 65_536 })
    }

    fn ip(text: &str) -> IpAddr {
        text.parse().expect("an address")
    }

    #[test]
    fn one_peer_cannot_take_all() {
        let room = room(3, 2, 100);
        let (one, other) = (ip("2001:db8::1"), ip("192.0.2.1"));
        let seats = [room.admit(one), room.admit(ip("2001:db8::2"))].map(|seat| seat.expect("a seat"));
        assert_eq!(room.admit(ip("2001:db8::3")).expect_err("its /64 has two"), Full::Peer);
        let last = room.admit(other).expect("a seat");
        assert_eq!(room.admit(ip("192.0.2.2")).expect_err("all are taken"), Full::Total);
        drop(seats);
        drop(last);
        assert_eq!((room.taken_now(), room.refused()), (0, 2));
        assert!(room.taken().peers.is_empty());
        room.admit(one).expect("a seat again");
    }

    #[test]
    fn who_has_sent_a_message_makes_room_for_another() {
        let room = room(100, 100, 20);
        let peer = ip("192.0.2.1");
        let mut first = room.admit(peer).expect("a seat");
        let _second = room.admit(peer).expect("a seat");
        assert_eq!(room.admit(peer).expect_err("a tenth is taken"), Full::HalfOpen);
        first.proved();
        let _third = room.admit(peer).expect("a seat");
        drop(first);
        assert_eq!(room.admit(peer).expect_err("no more than before"), Full::HalfOpen);
        room.leave_to(peer).expect("what we open is never half open");
    }
}
