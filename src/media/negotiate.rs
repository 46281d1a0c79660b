//! Offer and answer (RFC 3264) of one audio stream.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::CodecKind;

/// What we can do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Capabilities {
    /// The codecs, the preferred one first.
    pub codecs: Vec<CodecKind>,
    /// Whether we take and send telephone-events (RFC 4733).
    pub dtmf: bool,
    /// The packet duration we would like, in ms (10, 20, 40 or 60).
    pub ptime: u8,
}

impl Default for Capabilities {
    fn default() -> Self {
        Self { codecs: vec![CodecKind::Pcmu, CodecKind::Pcma, CodecKind::G722], dtmf: true, ptime: 20 }
    }
}

/// Our end of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalMedia {
    /// The address we announce.
    pub address: IpAddr,
    /// The RTP port; RTCP is on the next one unless multiplexed.
    pub port: u16,
    /// Whether we offer, and accept, RTCP on the RTP port (RFC 5761).
    pub rtcp_mux: bool,
    /// `sess-id` of the origin line; the same for the life of the dialog.
    pub session_id: u64,
    /// `sess-version` of the origin line; one more for each description that differs from the last.
    pub version: u64,
    /// What we can do.
    pub capabilities: Capabilities,
}

/// Which way sound may flow, seen from our side.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Direction {
    /// Both ways.
    #[default]
    SendRecv,
    /// We send only.
    SendOnly,
    /// We receive only.
    RecvOnly,
    /// Neither.
    Inactive,
}

impl Direction {
    /// Whether we may send.
    pub const fn sends(self) -> bool {
        matches!(self, Self::SendRecv | Self::SendOnly)
    }

    /// Whether we expect to receive.
    pub const fn receives(self) -> bool {
        matches!(self, Self::SendRecv | Self::RecvOnly)
    }

    /// The direction with these two halves.
    pub const fn of(sends: bool, receives: bool) -> Self {
        match (sends, receives) {
            (true, true) => Self::SendRecv,
            (true, false) => Self::SendOnly,
            (false, true) => Self::RecvOnly,
            (false, false) => Self::Inactive,
        }
    }

    /// The same, seen from the other side.
    pub const fn reversed(self) -> Self {
        Self::of(self.receives(), self.sends())
    }

    /// What both allow.
    pub const fn and(self, other: Self) -> Self {
        Self::of(self.sends() && other.sends(), self.receives() && other.receives())
    }

    /// The SDP attribute.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::SendRecv => "sendrecv",
            Self::SendOnly => "sendonly",
            Self::RecvOnly => "recvonly",
            Self::Inactive => "inactive",
        }
    }
}

/// What the other side says about the Opus it wants to receive (RFC 7587 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpusParameters {
    /// `useinbandfec`: it can use redundancy.
    pub fec: bool,
    /// `cbr`: it wants a constant bit rate.
    pub cbr: bool,
    /// `maxaveragebitrate`, in bits per second.
    pub max_average_bitrate: Option<u32>,
}

impl Default for OpusParameters {
    fn default() -> Self {
        Self { fec: true, cbr: false, max_average_bitrate: None }
    }
}

/// What both sides agreed on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Negotiated {
    /// The codec we send.
    pub codec: CodecKind,
    /// Its payload type.
    pub payload_type: u8,
    /// The duration of the packets we send, in ms.
    pub ptime_ms: u8,
    /// All the payload types of sound that may arrive.
    pub receive: SmallVec<[(u8, CodecKind); 4]>,
    /// The payload type and clock rate of the telephone-events we send.
    pub dtmf: Option<(u8, u32)>,
    /// The payload types and clock rates of telephone-events that may arrive.
    pub dtmf_receive: SmallVec<[(u8, u32); 2]>,
    /// Which way sound flows, seen from our side.
    pub direction: Direction,
    /// Where to send; none for `0.0.0.0`: wait for what arrives.
    pub remote: Option<SocketAddr>,
    /// Where to send RTCP.
    pub remote_rtcp: Option<SocketAddr>,
    /// Whether RTCP shares the port of RTP.
    pub rtcp_mux: bool,
    /// How the other side wants its Opus.
    pub opus: OpusParameters,
}

/// Why a description cannot be agreed on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NegotiationError {
    /// Not SDP (400).
    #[error("malformed SDP: {0}")]
    Malformed(String),
    /// No stream of sound that is offered, or accepted (488).
    #[error("no audio stream")]
    NoAudio,
    /// Sound only by a transport we do not speak, such as SRTP (488).
    #[error("unsupported transport {0}")]
    UnsupportedTransport(String),
    /// Not an IP address (488).
    #[error("unsupported address {0}")]
    UnsupportedAddress(String),
    /// No codec in common (488).
    #[error("no common codec")]
    NoCommonCodec,
}

impl NegotiationError {
    /// The SIP status for it.
    pub const fn status(&self) -> u16 {
        match self {
            Self::Malformed(_) => 400,
            Self::NoAudio
            | Self::UnsupportedTransport(_)
            | Self::UnsupportedAddress(_)
            | Self::NoCommonCodec => 488,
        }
    }
}

/// Our offer: one stream of sound, with the codecs of `prefer` before those of our capabilities.
pub fn offer(local: &LocalMedia, prefer: Option<&[CodecKind]>, direction: Direction) -> Bytes {
    let _ = (local, prefer, direction);
    todo!()
}

/// Answers an offer: the first stream of sound that we can serve is taken, every other stream rejected with
/// port 0. `direction` is what we wish; `prefer` a codec that goes before our order.
///
/// # Errors
/// When nothing can be served; [`NegotiationError::status`] is what the caller gets.
pub fn answer(
    offer: &[u8],
    local: &LocalMedia,
    direction: Direction,
    prefer: Option<CodecKind>,
) -> Result<(Negotiated, Bytes), NegotiationError> {
    let _ = (offer, local, direction, prefer);
    todo!()
}

/// Takes the answer to our [`offer`], made with the same `offered`.
///
/// # Errors
/// When the other side rejected the stream, or chose what we did not offer.
pub fn accept(answer: &[u8], offered: &LocalMedia) -> Result<Negotiated, NegotiationError> {
    let _ = (answer, offered);
    todo!()
}
