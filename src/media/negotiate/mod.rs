//! Offer and answer (RFC 3264) of one audio stream.

#[cfg(test)]
mod tests;

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use smallvec::SmallVec;

use crate::{
    CodecKind,
    sdp::{self, Format, Ours, Stream},
};

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

/// The payload type we offer Opus with; an answer has that of the offer it answers.
const OPUS: u8 = 96;
/// The payload types we offer telephone-events with, at 8 and at 48 kHz.
const EVENTS: [(u8, u32); 2] = [(101, 8000), (102, 48_000)];

/// Our offer: one stream of sound, with the codecs of `prefer` before those of our capabilities.
pub fn offer(local: &LocalMedia, prefer: Option<&[CodecKind]>, direction: Direction) -> Bytes {
    let mut session = sdp::ours(local);
    session.medias.push(sdp::our_stream(
        local,
        &Ours {
            proto: "RTP/AVP",
            formats: &offered_formats(local, prefer.unwrap_or_default()),
            ptime_ms: local.capabilities.ptime,
            direction,
            rtcp_mux: local.rtcp_mux,
        },
    ));
    sdp::print(&session)
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
    let offer = sdp::parse(offer)?;
    let mut session = sdp::ours(local);
    let mut taken = None;
    let mut failure = NegotiationError::NoAudio;
    for media in &offer.medias {
        let served = if taken.is_none() && sdp::is_audio(media) {
            serve(&offer, media, local, direction, prefer)
        } else {
            Err(NegotiationError::NoAudio)
        };
        match served {
            Ok((negotiated, ours)) => {
                taken = Some(negotiated);
                session.medias.push(ours);
            }
            Err(error) => {
                if error != NegotiationError::NoAudio {
                    failure = error;
                }
                session.medias.push(sdp::refused(media));
            }
        }
    }
    taken.map(|negotiated| (negotiated, sdp::print(&session))).ok_or(failure)
}

/// Takes the answer to our [`offer`], made with the same `offered`.
///
/// # Errors
/// When the other side rejected the stream, or chose what we did not offer.
pub fn accept(answer: &[u8], offered: &LocalMedia) -> Result<Negotiated, NegotiationError> {
    let session = sdp::parse(answer)?;
    let media = session.medias.iter().find(|m| sdp::is_audio(m)).ok_or(NegotiationError::NoAudio)?;
    let stream = plain_stream(&session, media)?;
    let known = |kind: &CodecKind| offered.capabilities.codecs.contains(kind);
    let mut codecs: Formats = codecs(&stream).filter(|(_, kind)| known(kind)).collect();
    let chosen = *codecs.first().ok_or(NegotiationError::NoCommonCodec)?;
    let mut events = if offered.capabilities.dtmf { events(&stream, chosen.1) } else { SmallVec::new() };
    let send = events.first().copied();
    // What we offered may arrive, whatever numbers the answer has (RFC 3264 section 5.1).
    for (payload_type, format) in offered_formats(offered, &[]) {
        match format {
            Format::Codec(kind) if !codecs.iter().any(|c| c.0 == payload_type) => {
                codecs.push((payload_type, kind));
            }
            Format::Event(clock) if send.is_some() && !events.iter().any(|e| e.0 == payload_type) => {
                events.push((payload_type, clock));
            }
            Format::Codec(_) | Format::Event(_) => {}
        }
    }
    let rtcp_mux = stream.rtcp_mux && offered.rtcp_mux;
    let direction = stream.direction.reversed();
    let terms = Terms { chosen, codecs, send, events, direction, rtcp_mux };
    Ok(terms.negotiated(&stream, &offered.capabilities))
}

type Formats = SmallVec<[(u8, CodecKind); 4]>;

/// What is left to be said once the formats are chosen.
struct Terms {
    chosen: (u8, CodecKind),
    codecs: Formats,
    send: Option<(u8, u32)>,
    events: SmallVec<[(u8, u32); 2]>,
    direction: Direction,
    rtcp_mux: bool,
}

impl Terms {
    fn negotiated(self, stream: &Stream, capabilities: &Capabilities) -> Negotiated {
        let (payload_type, codec) = self.chosen;
        Negotiated {
            codec,
            payload_type,
            ptime_ms: ptime(codec, stream, capabilities.ptime),
            receive: self.codecs,
            dtmf: self.send,
            dtmf_receive: self.events,
            direction: self.direction,
            remote: stream.remote,
            remote_rtcp: if self.rtcp_mux { stream.remote } else { stream.rtcp },
            rtcp_mux: self.rtcp_mux,
            opus: stream.opus,
        }
    }
}

fn serve(
    offer: &sdp_types::Session,
    media: &sdp_types::Media,
    local: &LocalMedia,
    wish: Direction,
    prefer: Option<CodecKind>,
) -> Result<(Negotiated, sdp_types::Media), NegotiationError> {
    let stream = plain_stream(offer, media)?;
    let ours = &local.capabilities.codecs;
    let order = prefer.iter().filter(|kind| ours.contains(kind)).chain(ours);
    let mut common = Formats::new();
    for kind in order {
        if common.iter().all(|c| c.1 != *kind) {
            common.extend(codecs(&stream).find(|offered| offered.1 == *kind));
        }
    }
    let chosen = *common.first().ok_or(NegotiationError::NoCommonCodec)?;
    let events = if local.capabilities.dtmf { events(&stream, chosen.1) } else { SmallVec::new() };
    let codec_formats = common.iter().map(|(number, kind)| (*number, Format::Codec(*kind)));
    let event_formats = events.iter().map(|(number, clock)| (*number, Format::Event(*clock)));
    let formats: Vec<(u8, Format)> = codec_formats.chain(event_formats).collect();
    let direction = wish.and(stream.direction.reversed());
    let rtcp_mux = stream.rtcp_mux && local.rtcp_mux;
    let send = events.first().copied();
    let terms = Terms { chosen, codecs: common, send, events, direction, rtcp_mux };
    let negotiated = terms.negotiated(&stream, &local.capabilities);
    let ptime_ms = negotiated.ptime_ms;
    let ours = Ours { proto: &media.proto, formats: &formats, ptime_ms, direction, rtcp_mux };
    let ours = sdp::our_stream(local, &ours);
    Ok((negotiated, ours))
}

fn plain_stream(session: &sdp_types::Session, media: &sdp_types::Media) -> Result<Stream, NegotiationError> {
    if !sdp::is_plain_rtp(media) {
        return Err(NegotiationError::UnsupportedTransport(media.proto.chars().take(64).collect()));
    }
    sdp::stream(session, media)
}

/// The codecs of a stream, in its order.
fn codecs(stream: &Stream) -> impl Iterator<Item = (u8, CodecKind)> {
    stream.formats.iter().filter_map(|(number, format)| match format {
        Format::Codec(kind) => Some((*number, *kind)),
        Format::Event(_) => None,
    })
}

/// The telephone-events of a stream; those with the clock of the codec first, as they share its timestamps.
fn events(stream: &Stream, codec: CodecKind) -> SmallVec<[(u8, u32); 2]> {
    let mut events: SmallVec<[(u8, u32); 2]> = stream
        .formats
        .iter()
        .filter_map(|(number, format)| match format {
            Format::Event(clock) => Some((*number, *clock)),
            Format::Codec(_) => None,
        })
        .take(4)
        .collect();
    events.sort_by_key(|event| event.1 != codec.rtp_clock());
    events
}

/// What we offer: the codecs of `prefer` that we have, then the others, then telephone-events.
fn offered_formats(local: &LocalMedia, prefer: &[CodecKind]) -> Vec<(u8, Format)> {
    let ours = &local.capabilities.codecs;
    let mut formats: Vec<(u8, Format)> = Vec::new();
    for kind in prefer.iter().filter(|kind| ours.contains(kind)).chain(ours) {
        let format = (kind.static_pt().unwrap_or(OPUS), Format::Codec(*kind));
        if !formats.contains(&format) {
            formats.push(format);
        }
    }
    if local.capabilities.dtmf {
        let clocks: Vec<u32> = ours.iter().map(|kind| kind.rtp_clock()).collect();
        let wanted = EVENTS.into_iter().filter(|event| clocks.contains(&event.1));
        formats.extend(wanted.map(|(number, clock)| (number, Format::Event(clock))));
    }
    formats
}

/// The duration of our packets: as the other side wishes, else as we do; never above its `maxptime`.
fn ptime(codec: CodecKind, stream: &Stream, ours: u8) -> u8 {
    let wish = stream.ptime.unwrap_or(u32::from(ours)).min(stream.maxptime.unwrap_or(u32::MAX));
    let possible: &[u8] = if codec == CodecKind::Opus { &[60, 40, 20, 10] } else { &[60, 40, 30, 20, 10] };
    possible.iter().copied().find(|ms| u32::from(*ms) <= wish).unwrap_or(10)
}
