//! Which pairs of ports are taken.

use std::{
    net::IpAddr,
    ops::RangeInclusive,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
};

use super::{engine::PortError, socket::Connection};

/// The pairs of a range, given out in rotation so that a freed pair comes round as late as possible. A pair stays
/// taken until its worker found it quiet. Lock-free, since workers give pairs back.
#[derive(Debug)]
pub(crate) struct PortPool {
    first: u16,
    taken: Box<[AtomicBool]>,
    next: AtomicUsize,
}

/// A pair's place in the pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PortPair(usize);

/// The two bound sockets of a leg.
#[derive(Debug)]
pub(crate) struct Sockets {
    pub(crate) rtp: Connection,
    pub(crate) rtcp: Connection,
    pub(crate) pair: PortPair,
}

impl PortPool {
    /// The pairs wholly inside `range`; none when there is no such pair.
    pub(crate) fn new(range: &RangeInclusive<u16>) -> Option<Self> {
        let first = range.start().checked_next_multiple_of(2).filter(|port| *port > 0)?;
        let pairs = (usize::from(*range.end()) + 1).checked_sub(usize::from(first))? / 2;
        let taken = (0..pairs).map(|_| AtomicBool::new(false)).collect();
        (pairs > 0).then_some(Self { first, taken, next: AtomicUsize::new(0) })
    }

    /// Binds the next free pair at `address`. A pair that somebody else on this machine holds is passed over.
    pub(crate) fn bind(&self, address: IpAddr) -> Result<Sockets, PortError> {
        for _ in 0..self.taken.len() {
            let index = self.next.fetch_add(1, Ordering::Relaxed) % self.taken.len();
            if self.taken[index].swap(true, Ordering::AcqRel) {
                continue;
            }
            match self.bind_pair(address, index) {
                Ok(sockets) => return Ok(sockets),
                Err(error) => {
                    self.free(PortPair(index));
                    if error.kind() != std::io::ErrorKind::AddrInUse {
                        return Err(PortError::Socket(error));
                    }
                }
            }
        }
        Err(PortError::Exhausted)
    }

    fn bind_pair(&self, address: IpAddr, index: usize) -> std::io::Result<Sockets> {
        let port = self.first + 2 * index as u16;
        let rtp = Connection::bind((address, port).into())?;
        let rtcp = Connection::bind((address, port + 1).into())?;
        Ok(Sockets { rtp, rtcp, pair: PortPair(index) })
    }

    /// Gives a pair back.
    pub(crate) fn free(&self, pair: PortPair) {
        if let Some(taken) = self.taken.get(pair.0) {
            taken.store(false, Ordering::Release);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::media::socket::Udp;

    const HOME: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    #[test]
    fn only_whole_pairs_are_counted() {
        for (range, pairs) in
            [(10_000..=10_003, 2), (10_001..=10_003, 1), (10_001..=10_002, 0), (65_534..=65_535, 1)]
        {
            assert_eq!(PortPool::new(&range).map_or(0, |pool| pool.taken.len()), pairs, "{range:?}");
        }
    }

    #[test]
    fn a_freed_pair_comes_last_in_the_rotation() {
        let pool = PortPool::new(&(38_000..=38_063)).expect("a range");
        let first = pool.bind(HOME).expect("a pair");
        let address = first.rtp.local().port();
        pool.free(first.pair);
        drop(first);
        let second = pool.bind(HOME).expect("another pair");
        assert_ne!(second.rtp.local().port(), address);
        assert_eq!(second.rtp.local().port() % 2, 0);
        assert_eq!(second.rtcp.local().port(), second.rtp.local().port() + 1);
    }

    #[test]
    fn a_port_held_by_another_is_passed_over_and_exhaustion_is_an_error() {
        let pool = PortPool::new(&(38_100..=38_103)).expect("a range");
        let foreign = std::net::UdpSocket::bind((HOME, 38_101)).expect("free port");
        let held = pool.bind(HOME).expect("the other pair");
        assert_eq!(held.rtp.local().port(), 38_102);
        assert!(matches!(pool.bind(HOME), Err(PortError::Exhausted)));
        drop(foreign);
        assert!(pool.bind(HOME).is_ok());
    }
}
