//! Which of our addresses a peer sees.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, UdpSocket},
};

/// Peers remembered; beyond it the table starts anew, which costs a look-up each.
const REMEMBERED: usize = 4096;

/// Asks the routing table which local address leads to a peer, once per peer.
#[derive(Debug, Default)]
pub(crate) struct LocalAddresses {
    towards: HashMap<IpAddr, IpAddr>,
}

impl LocalAddresses {
    /// `bound` itself, or, where it is a wildcard, the address that packets to `peer` leave from.
    pub(crate) fn towards(&mut self, bound: SocketAddr, peer: IpAddr) -> SocketAddr {
        if !bound.ip().is_unspecified() {
            return bound;
        }
        if let Some(ip) = self.towards.get(&peer) {
            return SocketAddr::new(*ip, bound.port());
        }
        let ip = route(peer).unwrap_or_else(|| loopback(peer));
        if self.towards.len() >= REMEMBERED {
            self.towards.clear();
        }
        self.towards.insert(peer, ip);
        SocketAddr::new(ip, bound.port())
    }
}

/// Connecting a UDP socket sends nothing; it only looks up the route.
fn route(peer: IpAddr) -> Option<IpAddr> {
    let any: IpAddr =
        if peer.is_ipv6() { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).ok()?;
    socket.connect((peer, 9)).ok()?;
    Some(socket.local_addr().ok()?.ip())
}

fn loopback(peer: IpAddr) -> IpAddr {
    if peer.is_ipv6() { Ipv6Addr::LOCALHOST.into() } else { Ipv4Addr::LOCALHOST.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_wildcard_becomes_the_address_that_leads_to_the_peer() {
        let mut addresses = LocalAddresses::default();
        let bound = "0.0.0.0:5060".parse().expect("address");
        let local = addresses.towards(bound, "127.0.0.1".parse().expect("address"));
        assert_eq!(local, "127.0.0.1:5060".parse().expect("address"));
        let fixed = "192.0.2.1:5060".parse().expect("address");
        assert_eq!(addresses.towards(fixed, "127.0.0.1".parse().expect("address")), fixed);
    }
}
