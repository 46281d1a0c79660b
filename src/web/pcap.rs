//! A call's messages as a capture file, for Wireshark and its like: the classic format of libpcap, link type RAW.
//!
//! Each message is one UDP datagram between the addresses it went between, whatever carried it, so that a message of a
//! TLS connection can be read as well.

use std::net::SocketAddr;

use sems_core::snapshot::TracedMessage;

/// `application/vnd.tcpdump.pcap`, as IANA has it.
pub(crate) const CONTENT_TYPE: &str = "application/vnd.tcpdump.pcap";

/// IPv4 or IPv6 without a link layer.
const LINKTYPE_RAW: u32 = 101;
const UDP: u8 = 17;
/// The longest datagram that IPv4 can have.
const LONGEST: usize = 65_507;

/// The whole file.
pub(crate) fn file(messages: &[TracedMessage]) -> Vec<u8> {
    let mut file = Vec::new();
    for word in [0xa1b2_c3d4_u32, 0x0004_0002, 0, 0, 262_144, LINKTYPE_RAW] {
        file.extend(word.to_le_bytes());
    }
    for message in messages {
        let (Ok(local), Ok(remote)) = (message.local.parse(), message.remote.parse()) else { continue };
        let (from, to) = if message.sent { (local, remote) } else { (remote, local) };
        let packet = packet(from, to, message.text.as_bytes());
        let length = u32::try_from(packet.len()).unwrap_or(u32::MAX);
        let micros = (message.at.fract() * 1e6) as u32;
        for word in [message.at as u32, micros, length, length] {
            file.extend(word.to_le_bytes());
        }
        file.extend(packet);
    }
    file
}

fn packet(from: SocketAddr, to: SocketAddr, payload: &[u8]) -> Vec<u8> {
    let payload = &payload[..payload.len().min(LONGEST)];
    let length = u16::try_from(payload.len() + 8).unwrap_or(u16::MAX);
    let mut udp = Vec::with_capacity(payload.len() + 8);
    for word in [from.port(), to.port(), length, 0] {
        udp.extend(word.to_be_bytes());
    }
    udp.extend(payload);
    match (from, to) {
        (SocketAddr::V4(from), SocketAddr::V4(to)) => {
            let mut packet = vec![0x45, 0];
            packet.extend(length.saturating_add(20).to_be_bytes());
            packet.extend([0, 0, 0x40, 0, 64, UDP, 0, 0]);
            packet.extend(from.ip().octets());
            packet.extend(to.ip().octets());
            let sum = checksum(&packet);
            packet[10..12].copy_from_slice(&sum.to_be_bytes());
            packet.extend(udp);
            packet
        }
        (from, to) => {
            let octets = |address: SocketAddr| match address {
                SocketAddr::V6(address) => address.ip().octets(),
                SocketAddr::V4(address) => address.ip().to_ipv6_mapped().octets(),
            };
            let (from, to) = (octets(from), octets(to));
            // With IPv6 the checksum is no choice (RFC 8200 section 8.1): over both addresses, length and protocol too.
            let mut pseudo = [&from[..], &to[..], &u32::from(length).to_be_bytes(), &[0, 0, 0, UDP]].concat();
            pseudo.extend(&udp);
            let sum = match checksum(&pseudo) {
                0 => 0xffff,
                sum => sum,
            };
            udp[6..8].copy_from_slice(&sum.to_be_bytes());
            let mut packet = vec![0x60, 0, 0, 0];
            packet.extend(length.to_be_bytes());
            packet.extend([UDP, 64]);
            packet.extend(from);
            packet.extend(to);
            packet.extend(udp);
            packet
        }
    }
}

/// RFC 1071.
fn checksum(bytes: &[u8]) -> u16 {
    let words =
        bytes.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair.get(1).copied().unwrap_or(0)));
    let mut sum: u32 = words.fold(0, |sum, word| {
        let sum = sum + word;
        (sum & 0xffff) + (sum >> 16)
    });
    sum = (sum & 0xffff) + (sum >> 16);
    !u16::try_from(sum).unwrap_or(u16::MAX)
}
