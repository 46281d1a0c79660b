//! STUN binding requests on the SIP port (RFC 8489), by which phones behind a NAT keep it open and learn where they
//! are (RFC 5626 section 4.4.2).

use std::net::{IpAddr, SocketAddr};

/// Type, length, cookie and transaction.
const HEADER: usize = 20;
const COOKIE: [u8; 4] = [0x21, 0x12, 0xA4, 0x42];
const BINDING: [u8; 2] = [0x00, 0x01];
const SUCCESS: u16 = 0x0101;
const REFUSAL: u16 = 0x0111;
const XOR_MAPPED_ADDRESS: u16 = 0x0020;
const ERROR_CODE: u16 = 0x0009;
const UNKNOWN_ATTRIBUTES: u16 = 0x000A;
/// Attributes below this one must be understood (RFC 8489 section 14).
const OPTIONAL: u16 = 0x8000;
/// Those about passwords, which are not asked for here.
const UNDERSTOOD: [u16; 2] = [0x0006, 0x0008];
/// Attributes that are told to be unknown; an answer is hardly longer than what it answers.
const MAX_UNKNOWN: usize = 4;

/// Whether a datagram is STUN and no SIP: no SIP message begins so.
pub(crate) fn is_stun(datagram: &[u8]) -> bool {
    datagram.first().is_some_and(|first| *first < 4) && datagram.get(4..8) == Some(COOKIE.as_slice())
}

/// The answer to a binding request from `source`; none to anything else.
pub(crate) fn answer(datagram: &[u8], source: SocketAddr) -> Option<Vec<u8>> {
    let (head, attributes) = datagram.split_at_checked(HEADER)?;
    let length = u16::from_be_bytes([*head.get(2)?, *head.get(3)?]);
    if !head.starts_with(&BINDING) || usize::from(length) != attributes.len() || length % 4 != 0 {
        return None;
    }
    let transaction: [u8; 16] = head.get(4..)?.try_into().ok()?;
    let unknown = unknown(attributes)?;
    if unknown.is_empty() {
        return Some(message(
            SUCCESS,
            transaction,
            &attribute(XOR_MAPPED_ADDRESS, &mapped(source, transaction)),
        ));
    }
    let mut reasons = attribute(ERROR_CODE, &[0, 0, 4, 20]);
    let list: Vec<u8> = unknown.iter().flat_map(|kind| kind.to_be_bytes()).collect();
    reasons.extend(attribute(UNKNOWN_ATTRIBUTES, &list));
    Some(message(REFUSAL, transaction, &reasons))
}

/// The attributes that would have to be understood and are not; none where the message is malformed.
fn unknown(mut attributes: &[u8]) -> Option<Vec<u16>> {
    let mut unknown = Vec::new();
    while !attributes.is_empty() {
        let (head, rest) = attributes.split_at_checked(4)?;
        let [a, b, c, d] = head.try_into().ok()?;
        let kind = u16::from_be_bytes([a, b]);
        if kind < OPTIONAL && !UNDERSTOOD.contains(&kind) && unknown.len() < MAX_UNKNOWN {
            unknown.push(kind);
        }
        let padded = usize::from(u16::from_be_bytes([c, d])).next_multiple_of(4);
        attributes = rest.get(padded..)?;
    }
    Some(unknown)
}

/// The value of XOR-MAPPED-ADDRESS (RFC 8489 section 14.2).
fn mapped(source: SocketAddr, mask: [u8; 16]) -> Vec<u8> {
    let (family, address) = match source.ip() {
        IpAddr::V4(ip) => (1, ip.octets().to_vec()),
        IpAddr::V6(ip) => (2, ip.octets().to_vec()),
    };
    let [high, low] = source.port().to_be_bytes();
    let [a, b, ..] = mask;
    let mut value = vec![0, family, high ^ a, low ^ b];
    value.extend(address.iter().zip(mask).map(|(byte, mask)| byte ^ mask));
    value
}

fn attribute(kind: u16, value: &[u8]) -> Vec<u8> {
    let length = u16::try_from(value.len()).unwrap_or_default();
    let mut out = [kind.to_be_bytes(), length.to_be_bytes()].concat();
    out.extend_from_slice(value);
    out.resize(out.len().next_multiple_of(4), 0);
    out
}

fn message(kind: u16, transaction: [u8; 16], attributes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(attributes.len()).unwrap_or_default();
    let mut out = [kind.to_be_bytes(), length.to_be_bytes()].concat();
    out.extend_from_slice(&transaction);
    out.extend_from_slice(attributes);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The transaction of the samples of RFC 5769.
    const TRANSACTION: [u8; 12] = [0xb7, 0xe7, 0xa7, 0x01, 0xbc, 0x34, 0xd6, 0x86, 0xfa, 0x87, 0xdf, 0xae];

    fn request(attributes: &[u8]) -> Vec<u8> {
        let length = u16::try_from(attributes.len()).expect("short").to_be_bytes();
        [&BINDING[..], &length[..], &COOKIE[..], &TRANSACTION[..], attributes].concat()
    }

    /// The mapped addresses of RFC 5769 sections 2.2 and 2.3.
    #[test]
    fn the_source_is_told_as_rfc_5769_writes_it() {
        let source = "192.0.2.1:32853".parse().expect("an address");
        let answer = answer(&request(&[]), source).expect("an answer");
        assert_eq!(answer[..4], [0x01, 0x01, 0x00, 0x0c]);
        assert_eq!(answer[4..20], request(&[])[4..20]);
        assert_eq!(answer[20..], [0x00, 0x20, 0x00, 0x08, 0x00, 0x01, 0xa1, 0x47, 0xe1, 0x12, 0xa6, 0x43]);
        let source = "[2001:db8:1234:5678:11:2233:4455:6677]:32853".parse().expect("an address");
        let answer = super::answer(&request(&[]), source).expect("an answer");
        assert_eq!(answer[20..28], [0x00, 0x20, 0x00, 0x14, 0x00, 0x02, 0xa1, 0x47]);
        assert_eq!(answer[28..36], [0x01, 0x13, 0xa9, 0xfa, 0xa5, 0xd3, 0xf1, 0x79]);
        assert_eq!(answer[36..44], [0xbc, 0x25, 0xf4, 0xb5, 0xbe, 0xd2, 0xb9, 0xd9]);
    }

    #[test]
    fn what_must_be_understood_and_is_not_is_named() {
        let source = "192.0.2.1:5060".parse().expect("an address");
        let optional = [0x80, 0x22, 0, 3, b's', b'i', b'p', 0];
        let success = answer(&request(&optional), source).expect("an answer");
        assert_eq!(success[..2], SUCCESS.to_be_bytes());
        let refusal = answer(&request(&[0x00, 0x7f, 0, 0]), source).expect("an answer");
        assert_eq!(refusal[..2], REFUSAL.to_be_bytes());
        assert_eq!(refusal[20..], [0, 9, 0, 4, 0, 0, 4, 20, 0, 10, 0, 2, 0x00, 0x7f, 0, 0]);
    }

    #[test]
    fn what_is_no_binding_request_is_not_answered() {
        let source = "192.0.2.1:5060".parse().expect("an address");
        let whole = request(&[0x80, 0x22, 0, 4, 1, 2, 3, 4]);
        for length in 0..whole.len() {
            assert_eq!(answer(&whole[..length], source), None, "{length}");
        }
        let mut indication = request(&[]);
        indication[1] = 0x11;
        assert_eq!(answer(&indication, source), None);
        assert_eq!(answer(&request(&[0, 6, 0xff, 0xff]), source), None);
        assert!(!is_stun(b"OPTIONS sip:a@b SIP/2.0\r\n") && !is_stun(b"\r\n\r\n") && is_stun(&whole));
    }
}
