//! Whom we listen to: symmetric RTP with probation.
//!
//! Behind a NAT the address in the description is not the one that packets come from. So the first packet from
//! the described address is believed at once, one from anywhere else only after several in sequence; then the
//! session is locked to that address and its SSRC.

use std::net::SocketAddr;

/// How many consecutive packets another source than the described one needs.
const PROBATION: u8 = 3;
/// How many consecutive packets a new SSRC of the locked source needs.
const NEW_SSRC: u8 = 2;
/// How many sources may be on probation at once, so that strays do not push the right one out.
const CANDIDATES: usize = 4;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Candidate {
    source: SocketAddr,
    ssrc: u32,
    next: u16,
    count: u8,
}

impl Candidate {
    const fn new(source: SocketAddr, ssrc: u32, sequence: u16) -> Self {
        Self { source, ssrc, next: sequence.wrapping_add(1), count: 1 }
    }

    fn advance(&mut self, sequence: u16) {
        self.count = if sequence == self.next { self.count + 1 } else { 1 };
        self.next = sequence.wrapping_add(1);
    }
}

#[derive(Debug, Clone, Copy)]
enum State {
    Seeking { candidates: [Option<Candidate>; CANDIDATES], oldest: usize },
    Locked { source: SocketAddr, ssrc: u32, candidate: Option<Candidate> },
}

const SEEKING: State = State::Seeking { candidates: [None; CANDIDATES], oldest: 0 };

/// What is done with a packet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Admission {
    /// Not (yet) believed.
    Refused,
    /// Of the stream that we listen to.
    Taken,
    /// The first one of a stream. `latched` when its address is a newly learnt one.
    Begins { latched: Option<SocketAddr> },
}

#[derive(Debug)]
pub(super) struct Latch {
    state: State,
    /// The address of the description.
    described: Option<SocketAddr>,
    /// The address that was locked before, as long as the description is the same.
    before: Option<SocketAddr>,
}

impl Latch {
    pub(super) const fn new(described: Option<SocketAddr>) -> Self {
        Self { state: SEEKING, described, before: None }
    }

    /// Latches anew, after a new description.
    pub(super) fn seek(&mut self, described: Option<SocketAddr>) {
        self.before = if self.described == described { self.source() } else { None };
        self.described = described;
        self.state = SEEKING;
    }

    /// The source we are locked to, or were before a new description of the same address.
    pub(super) fn source(&self) -> Option<SocketAddr> {
        match self.state {
            State::Locked { source, .. } => Some(source),
            State::Seeking { .. } => self.before,
        }
    }

    pub(super) fn ssrc(&self) -> Option<u32> {
        match self.state {
            State::Locked { ssrc, .. } => Some(ssrc),
            State::Seeking { .. } => None,
        }
    }

    pub(super) fn admit(&mut self, source: SocketAddr, ssrc: u32, sequence: u16) -> Admission {
        let believed = [self.described, self.before].into_iter().flatten().any(|known| same(known, source));
        match &mut self.state {
            State::Seeking { candidates, oldest } => {
                if !believed && !on_probation(candidates, oldest, source, ssrc, sequence) {
                    return Admission::Refused;
                }
                self.state = State::Locked { source, ssrc, candidate: None };
                Admission::Begins { latched: Some(source) }
            }
            State::Locked { source: locked, .. } if !same(*locked, source) => Admission::Refused,
            State::Locked { ssrc: locked, candidate, .. } if *locked == ssrc => {
                *candidate = None;
                Admission::Taken
            }
            State::Locked { ssrc: locked, candidate, .. } => {
                match candidate {
                    Some(known) if known.ssrc == ssrc => known.advance(sequence),
                    _ => *candidate = Some(Candidate::new(source, ssrc, sequence)),
                }
                if candidate.is_none_or(|known| known.count < NEW_SSRC) {
                    return Admission::Refused;
                }
                (*locked, *candidate) = (ssrc, None);
                Admission::Begins { latched: None }
            }
        }
    }
}

/// Counts a packet of an unknown source; true when it has passed.
fn on_probation(
    candidates: &mut [Option<Candidate>; CANDIDATES],
    oldest: &mut usize,
    source: SocketAddr,
    ssrc: u32,
    sequence: u16,
) -> bool {
    let known = candidates.iter_mut().flatten().find(|c| c.source == source && c.ssrc == ssrc);
    if let Some(known) = known {
        known.advance(sequence);
        return known.count >= PROBATION;
    }
    candidates[*oldest % CANDIDATES] = Some(Candidate::new(source, ssrc, sequence));
    *oldest = (*oldest + 1) % CANDIDATES;
    false
}

/// Whether two addresses are the same, one of them perhaps written as an IPv4-mapped IPv6 address.
pub(super) fn same(a: SocketAddr, b: SocketAddr) -> bool {
    a.port() == b.port() && a.ip().to_canonical() == b.ip().to_canonical()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn address(text: &str) -> SocketAddr {
        text.parse().unwrap()
    }

    #[test]
    fn the_described_address_is_believed_at_once() {
        let phone = address("192.0.2.1:4000");
        let mut latch = Latch::new(Some(phone));
        assert_eq!(latch.admit(phone, 7, 1), Admission::Begins { latched: Some(phone) });
        assert_eq!(latch.admit(address("[::ffff:192.0.2.1]:4000"), 7, 2), Admission::Taken);
    }

    #[test]
    fn another_source_needs_three_in_sequence_and_strays_do_not_hinder_it() {
        let (nat, stray) = (address("198.51.100.9:61000"), address("203.0.113.66:1"));
        let mut latch = Latch::new(Some(address("10.0.0.1:4000")));
        for sequence in 0..2 {
            assert_eq!(latch.admit(nat, 7, sequence), Admission::Refused);
            for junk in 0..3 {
                assert_eq!(latch.admit(stray, junk, sequence * 100), Admission::Refused);
            }
        }
        assert_eq!(latch.admit(nat, 7, 2), Admission::Begins { latched: Some(nat) });
        for sequence in 0..100 {
            assert_eq!(latch.admit(stray, 7, sequence), Admission::Refused);
        }
        assert_eq!(latch.source(), Some(nat));
    }

    #[test]
    fn an_attacker_without_sequence_never_passes() {
        let mut latch = Latch::new(None);
        for i in 0..1000u16 {
            assert_eq!(latch.admit(address("203.0.113.66:1"), 1, i.wrapping_mul(7919)), Admission::Refused);
        }
    }

    #[test]
    fn a_new_ssrc_of_the_locked_source_needs_two() {
        let phone = address("192.0.2.1:4000");
        let mut latch = Latch::new(Some(phone));
        latch.admit(phone, 7, 1);
        assert_eq!(latch.admit(phone, 8, 500), Admission::Refused);
        assert_eq!(latch.admit(phone, 7, 2), Admission::Taken);
        assert_eq!(latch.admit(phone, 8, 501), Admission::Refused, "the old one was heard in between");
        assert_eq!(latch.admit(phone, 8, 502), Admission::Begins { latched: None });
        assert_eq!(latch.ssrc(), Some(8));
    }

    #[test]
    fn a_new_description_latches_anew() {
        let (phone, nat) = (address("10.0.0.1:4000"), address("198.51.100.9:61000"));
        let mut latch = Latch::new(Some(phone));
        for sequence in 0..3 {
            latch.admit(nat, 7, sequence);
        }
        latch.seek(Some(phone));
        assert_eq!(latch.source(), Some(nat), "goes on where it was");
        assert_eq!(latch.admit(nat, 7, 9), Admission::Begins { latched: Some(nat) });
        let other = address("10.0.0.2:4000");
        latch.seek(Some(other));
        assert_eq!(latch.admit(nat, 7, 10), Admission::Refused);
        assert_eq!(latch.admit(other, 9, 1), Admission::Begins { latched: Some(other) });
    }
}
