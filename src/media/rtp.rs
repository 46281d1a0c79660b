//! RTP packets (RFC 3550 section 5), as far as a session needs them.

use crate::CodecKind;

/// The length of the header that we write, in bytes.
pub const HEADER: usize = 12;

/// The longest packet that we write or accept, in bytes: an Ethernet frame's worth.
pub const MAX_PACKET: usize = 1500;

/// What a payload is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PayloadKind {
    /// Sound.
    Audio(CodecKind),
    /// A telephone-event (RFC 4733).
    Event,
    /// Comfort noise (RFC 3389): the other side is silent.
    ComfortNoise,
}

/// A received payload, to be passed on without decoding.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payload<'a> {
    /// The bytes behind the header.
    pub bytes: &'a [u8],
    /// What they are.
    pub kind: PayloadKind,
    /// The marker bit: the start of a talk spurt, or of an event.
    pub marker: bool,
    /// The sequence number.
    pub sequence: u16,
    /// The timestamp.
    pub timestamp: u32,
    /// Who sent it.
    pub ssrc: u32,
    /// RTP ticks of the sound in it; 0 when it is none.
    pub ticks: u32,
}
