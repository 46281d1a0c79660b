//! The ports of closed legs, listened to until nothing more comes.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use super::{
    ports::{PortPool, Sockets},
    socket::Udp,
};

/// Each pair is listened to once in so many ticks: all of them at once would make the legs wait.
const ROUND: usize = 50;
/// Datagrams taken from a resting port at once.
const BURST: usize = 64;
/// A port that is never quiet is freed after this many quarantines.
const LIMIT: u32 = 30;
/// Pairs that rest at once on a worker; beyond, the oldest is freed early.
const MOST: usize = 2048;

#[derive(Debug)]
struct Pair {
    sockets: Sockets,
    since: Instant,
    heard: Instant,
}

/// The pairs that rest on a worker, the oldest first.
#[derive(Debug, Default)]
pub(crate) struct Resting {
    pairs: VecDeque<Pair>,
    /// Which is listened to next.
    next: usize,
}

impl Resting {
    pub(crate) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Takes the sockets of a closed leg, which hear anybody from now on.
    pub(crate) fn rest(&mut self, now: Instant, mut sockets: Sockets, ports: &PortPool) {
        sockets.rtp.connect(None);
        if self.pairs.len() >= MOST
            && let Some(oldest) = self.pairs.pop_front()
        {
            ports.free(oldest.sockets.pair);
            self.next = self.next.saturating_sub(1);
        }
        self.pairs.push_back(Pair { sockets, since: now, heard: now });
    }

    /// Listens to the next few pairs, and frees those that nobody sends to any more. To be called each tick.
    pub(crate) fn listen(&mut self, now: Instant, quarantine: Duration, ports: &PortPool, buffer: &mut [u8]) {
        for _ in 0..self.pairs.len().div_ceil(ROUND) {
            if self.next >= self.pairs.len() {
                self.next = 0;
            }
            let Some(pair) = self.pairs.get_mut(self.next) else { return };
            if pair.rests(now, quarantine, buffer) {
                self.next += 1;
            } else if let Some(pair) = self.pairs.remove(self.next) {
                ports.free(pair.sockets.pair);
            }
        }
    }
}

impl Pair {
    fn rests(&mut self, now: Instant, quarantine: Duration, buffer: &mut [u8]) -> bool {
        for socket in [&self.sockets.rtp, &self.sockets.rtcp] {
            if (0..BURST).take_while(|_| socket.receive(buffer).is_some()).count() > 0 {
                self.heard = now;
            }
        }
        now.saturating_duration_since(self.heard) < quarantine
            && now.saturating_duration_since(self.since) < quarantine * LIMIT
    }
}

#[cfg(test)]
mod tests {
    use std::net::{IpAddr, Ipv4Addr};

    use super::*;

    const HOME: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

    // Whoever sends there, not only the last peer, would be heard by the next caller.
    #[test]
    fn a_port_rests_while_anybody_sends_to_it_and_not_for_ever() {
        let (start, quiet) = (Instant::now(), Duration::from_secs(2));
        let ports = PortPool::new(&(38_300..=38_301)).expect("a range");
        let mut sockets = ports.bind(HOME).expect("the pair");
        let (address, peer) = (sockets.rtp.local(), std::net::UdpSocket::bind((HOME, 0)).expect("a port"));
        sockets.rtp.connect(peer.local_addr().ok());
        let stranger = std::net::UdpSocket::bind((HOME, 0)).expect("a port");
        let mut resting = Resting::default();
        resting.rest(start, sockets, &ports);
        let mut listen = |second: u64, sent: bool| {
            if sent {
                stranger.send_to(b"late", address).expect("sent");
            }
            resting.listen(start + Duration::from_secs(second), quiet, &ports, &mut [0; 100]);
            resting.is_empty()
        };
        assert!((1..60).all(|second| !listen(second, true)), "somebody sends");
        assert!(ports.bind(HOME).is_err());
        assert!(listen(60, true), "not for ever");
        let sockets = ports.bind(HOME).expect("free again");
        resting.rest(start, sockets, &ports);
        resting.listen(start + quiet, quiet, &ports, &mut [0; 100]);
        assert!(resting.is_empty() && ports.bind(HOME).is_ok());
    }
}
