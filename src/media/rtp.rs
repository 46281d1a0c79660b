//! RTP packets (RFC 3550 section 5), as far as a session needs them.

use rtp_rs::RtpReader;

use crate::CodecKind;

/// The length of the header that we write, in bytes.
pub(crate) const HEADER: usize = 12;

/// The longest packet that is accepted, in bytes: an Ethernet frame's worth.
pub(crate) const MAX_PACKET: usize = 1500;

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

/// Reads a packet; none for what is no RTP.
pub(crate) fn read(packet: &[u8]) -> Option<RtpReader<'_>> {
    if packet.len() > MAX_PACKET {
        return None;
    }
    let reader = RtpReader::new(packet).ok()?;
    // The crate checks lengths when it reads; a padding longer than the packet is caught here.
    let end = packet.len().checked_sub(reader.padding().map_or(0, usize::from))?;
    (reader.payload_offset() <= end).then_some(reader)
}

/// Whether a packet on a shared port is RTCP (RFC 5761 section 4).
pub(crate) fn is_rtcp(packet: &[u8]) -> bool {
    matches!(packet, [first, 192..=223, ..] if first >> 6 == 2)
}

/// What a header says.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Header {
    pub(crate) payload_type: u8,
    pub(crate) marker: bool,
    pub(crate) sequence: u16,
    pub(crate) timestamp: u32,
    pub(crate) ssrc: u32,
}

impl Header {
    /// Writes it before a payload of `len` bytes that is in `out` already; returns the packet's length.
    pub(crate) fn write(self, len: usize, out: &mut [u8]) -> Option<usize> {
        let total = HEADER + len;
        if total > out.len() {
            return None;
        }
        let header = out.first_chunk_mut::<HEADER>()?;
        header[0] = 0x80;
        header[1] = (u8::from(self.marker) << 7) | (self.payload_type & 0x7F);
        header[2..4].copy_from_slice(&self.sequence.to_be_bytes());
        header[4..8].copy_from_slice(&self.timestamp.to_be_bytes());
        header[8..].copy_from_slice(&self.ssrc.to_be_bytes());
        Some(total)
    }
}
