//! Session descriptions (RFC 8866), as far as offers and answers need them.

use std::net::{IpAddr, SocketAddr};

use bytes::Bytes;
use sdp_types::{Attribute, Connection, Media, Origin, Session, Time};

use crate::{CodecKind, Direction, LocalMedia, NegotiationError, OpusParameters};

/// A description longer than this is refused: those of phones have 300 to 5,000 bytes.
const MAX_LEN: usize = 65_536;

/// What a payload type of a stream stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// A codec we have.
    Codec(CodecKind),
    /// Telephone-events with this clock rate.
    Event(u32),
}

/// A stream of a description, its session-level defaults filled in.
#[derive(Debug, Clone)]
pub(crate) struct Stream {
    /// None for the unspecified address, and where none is given.
    pub(crate) remote: Option<SocketAddr>,
    pub(crate) rtcp: Option<SocketAddr>,
    pub(crate) rtcp_mux: bool,
    /// Seen from the side that wrote the description; hold by address is included.
    pub(crate) direction: Direction,
    /// The payload types we know, in the order of the description.
    pub(crate) formats: Vec<(u8, Format)>,
    pub(crate) ptime: Option<u32>,
    pub(crate) maxptime: Option<u32>,
    pub(crate) opus: OpusParameters,
}

pub(crate) fn parse(text: &[u8]) -> Result<Session, NegotiationError> {
    if text.is_empty() || text.len() > MAX_LEN {
        return Err(NegotiationError::Malformed(format!("{} bytes", text.len())));
    }
    Session::parse(text).map_err(|error| NegotiationError::Malformed(error.to_string()))
}

pub(crate) fn print(session: &Session) -> Bytes {
    let mut text = Vec::with_capacity(512);
    // Writing to memory does not fail.
    let _ = session.write(&mut text);
    text.into()
}

/// Whether a stream carries sound, and is not switched off.
pub(crate) fn is_audio(media: &Media) -> bool {
    media.media.eq_ignore_ascii_case("audio") && media.port != 0
}

/// Whether we speak its transport: RTP without encryption.
pub(crate) fn is_plain_rtp(media: &Media) -> bool {
    ["RTP/AVP", "RTP/AVPF"].iter().any(|proto| media.proto.eq_ignore_ascii_case(proto))
}

/// Reads a stream of sound.
pub(crate) fn stream(session: &Session, media: &Media) -> Result<Stream, NegotiationError> {
    let connection = media.connections.first().or(session.connection.as_ref());
    let address = connection.map(address).transpose()?;
    let held = address.is_some_and(|address| address.is_unspecified());
    let address = address.filter(|address| !address.is_unspecified());
    let remote = address.map(|address| SocketAddr::new(address, media.port));
    let rtcp_mux = attribute(media, "rtcp-mux").is_some();
    let direction =
        direction(&media.attributes).or_else(|| direction(&session.attributes)).unwrap_or_default();
    let formats = media
        .fmt
        .split_ascii_whitespace()
        .filter_map(|format| format.parse().ok().filter(|payload_type| *payload_type < 128))
        .filter_map(|payload_type| Some((payload_type, format(media, payload_type)?)))
        .collect();
    let number = |name| attribute(media, name).flatten().and_then(|value| value.trim().parse().ok());
    let mut stream = Stream {
        remote,
        rtcp: if rtcp_mux { remote } else { rtcp(media, address) },
        rtcp_mux,
        // RFC 2543 put a stream on hold by the unspecified address (RFC 3264 section 8.4).
        direction: if held { direction.and(Direction::SendOnly) } else { direction },
        formats,
        ptime: number("ptime"),
        maxptime: number("maxptime"),
        opus: OpusParameters { fec: false, ..OpusParameters::default() },
    };
    if let Some((payload_type, _)) = stream.formats.iter().find(|f| f.1 == Format::Codec(CodecKind::Opus)) {
        stream.opus = opus(media, *payload_type);
    }
    Ok(stream)
}

fn address(connection: &Connection) -> Result<IpAddr, NegotiationError> {
    let text = connection.connection_address.split('/').next().unwrap_or_default().trim();
    text.parse()
        .ok()
        .filter(|address: &IpAddr| !address.is_multicast())
        .ok_or_else(|| NegotiationError::UnsupportedAddress(text.chars().take(64).collect()))
}

/// The value of an attribute: none when it is absent, none inside when it has no value.
fn attribute<'a>(media: &'a Media, name: &str) -> Option<Option<&'a str>> {
    let found = media.attributes.iter().find(|a| a.attribute.eq_ignore_ascii_case(name))?;
    Some(found.value.as_deref())
}

fn direction(attributes: &[Attribute]) -> Option<Direction> {
    let all = [Direction::SendRecv, Direction::SendOnly, Direction::RecvOnly, Direction::Inactive];
    let named = |a: &Attribute| all.into_iter().find(|d| a.attribute.eq_ignore_ascii_case(d.as_str()));
    attributes.iter().find_map(named)
}

/// Where RTCP goes (RFC 3605): beside RTP unless an attribute says otherwise.
fn rtcp(media: &Media, address: Option<IpAddr>) -> Option<SocketAddr> {
    let mut words = attribute(media, "rtcp").flatten().unwrap_or_default().split_ascii_whitespace();
    let port = words.next().and_then(|word| word.parse().ok()).or_else(|| media.port.checked_add(1))?;
    let own = words.nth(2).and_then(|word| word.parse().ok()).filter(|ip: &IpAddr| !ip.is_unspecified());
    Some(SocketAddr::new(own.or(address)?, port))
}

/// The values of `a=name:<payload type> ...`.
fn of_type<'a>(media: &'a Media, name: &'a str, payload_type: u8) -> impl Iterator<Item = &'a str> {
    let named = media.attributes.iter().filter(move |a| a.attribute.eq_ignore_ascii_case(name));
    named.filter_map(move |attribute| {
        let (number, rest) = attribute.value.as_deref()?.trim().split_once([' ', '\t'])?;
        (number.parse() == Ok(payload_type)).then(|| rest.trim())
    })
}

fn format(media: &Media, payload_type: u8) -> Option<Format> {
    let Some(map) = of_type(media, "rtpmap", payload_type).next() else {
        return CodecKind::from_static_pt(payload_type).map(Format::Codec);
    };
    let mut parts = map.split('/').map(str::trim);
    let (name, clock) = (parts.next()?, parts.next()?.parse::<u32>().ok()?);
    let channels = parts.next().map_or(Some(1), |channels| channels.parse::<u8>().ok())?;
    if name.eq_ignore_ascii_case("telephone-event") {
        return (clock >= 1000).then_some(Format::Event(clock));
    }
    let kind = CodecKind::ALL.into_iter().find(|kind| name.eq_ignore_ascii_case(kind.name()))?;
    let fits = match kind {
        CodecKind::Pcmu | CodecKind::Pcma => clock == 8000 && channels == 1,
        // Some write the rate of its samples, against RFC 3551.
        CodecKind::G722 => (clock == 8000 || clock == 16_000) && channels == 1,
        CodecKind::Opus => clock == 48_000,
    };
    fits.then_some(Format::Codec(kind))
}

fn opus(media: &Media, payload_type: u8) -> OpusParameters {
    let mut parameters = OpusParameters { fec: false, cbr: false, max_average_bitrate: None };
    let pairs = of_type(media, "fmtp", payload_type).flat_map(|value| value.split(';'));
    for (key, value) in pairs.filter_map(|pair| pair.split_once('=')) {
        match key.trim().to_ascii_lowercase().as_str() {
            "useinbandfec" => parameters.fec = value.trim() == "1",
            "cbr" => parameters.cbr = value.trim() == "1",
            "maxaveragebitrate" => parameters.max_average_bitrate = value.trim().parse().ok(),
            _ => {}
        }
    }
    parameters
}

/// A description of ours without streams.
pub(crate) fn ours(local: &LocalMedia) -> Session {
    let mut session = Session::new(Origin::with_ip_addr(local.session_id, local.version, local.address), "-");
    session.connection = Some(Connection::from_ip_addr(local.address));
    session.times = vec![Time { start_time: 0, stop_time: 0, repeats: Vec::new() }];
    session
}

/// What our stream is like.
pub(crate) struct Ours<'a> {
    pub(crate) proto: &'a str,
    pub(crate) formats: &'a [(u8, Format)],
    pub(crate) ptime_ms: u8,
    pub(crate) direction: Direction,
    pub(crate) rtcp_mux: bool,
}

/// Our stream.
pub(crate) fn our_stream(local: &LocalMedia, ours: &Ours<'_>) -> Media {
    let mut attributes = Vec::new();
    let mut add = |name: &str, value: String| attributes.push(Attribute::with_value(name, value));
    for (payload_type, format) in ours.formats {
        match format {
            Format::Codec(CodecKind::Opus) => {
                add("rtpmap", format!("{payload_type} opus/48000/2"));
                add("fmtp", format!("{payload_type} useinbandfec=1"));
            }
            Format::Codec(kind) => {
                add("rtpmap", format!("{payload_type} {}/{}", kind.name(), kind.rtp_clock()));
            }
            Format::Event(clock) => {
                add("rtpmap", format!("{payload_type} telephone-event/{clock}"));
                add("fmtp", format!("{payload_type} 0-15"));
            }
        }
    }
    add("ptime", ours.ptime_ms.to_string());
    attributes.push(Attribute::new(ours.direction.as_str()));
    if ours.rtcp_mux {
        attributes.push(Attribute::new("rtcp-mux"));
    }
    let numbers: Vec<String> =
        ours.formats.iter().map(|(payload_type, _)| payload_type.to_string()).collect();
    Media { port: local.port, attributes, ..bare("audio", ours.proto, &numbers.join(" ")) }
}

/// The refusal of a stream (RFC 3264 section 6).
pub(crate) fn refused(media: &Media) -> Media {
    bare(&media.media, &media.proto, &media.fmt)
}

fn bare(kind: &str, proto: &str, formats: &str) -> Media {
    Media {
        media: kind.to_owned(),
        port: 0,
        num_ports: None,
        proto: proto.to_owned(),
        fmt: formats.to_owned(),
        media_title: None,
        connections: Vec::new(),
        bandwidths: Vec::new(),
        key: None,
        attributes: Vec::new(),
    }
}
