//! Opus, by libopus: mono at 48 kHz, tuned for voice.

use std::fmt;

use opus::{Application, Bitrate, Channels};

use crate::OpusParameters;

const RATE: u32 = 48_000;
/// Half of the quality steps at a third of the cost of the highest.
const COMPLEXITY: i32 = 5;
/// Wideband voice without audible artefacts.
const BITRATE: i32 = 32_000;
/// The loss that forward error correction is laid out for, in per cent.
const EXPECTED_LOSS: i32 = 5;

/// One direction of a stream, encoding. Without a state (libopus had no memory for one) it encodes nothing.
pub(super) struct OpusEncoder(Option<opus::Encoder>);

impl fmt::Debug for OpusEncoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpusEncoder")
    }
}

impl OpusEncoder {
    pub(super) fn new(parameters: OpusParameters) -> Self {
        Self(Self::open(parameters).ok())
    }

    fn open(parameters: OpusParameters) -> opus::Result<opus::Encoder> {
        let mut encoder = opus::Encoder::new(RATE, Channels::Mono, Application::Voip)?;
        let bitrate = parameters.max_average_bitrate.map_or(BITRATE, |max| BITRATE.min(max.max(6000) as i32));
        encoder.set_bitrate(Bitrate::Bits(bitrate))?;
        encoder.set_complexity(COMPLEXITY)?;
        encoder.set_inband_fec(parameters.fec)?;
        encoder.set_packet_loss_perc(if parameters.fec { EXPECTED_LOSS } else { 0 })?;
        encoder.set_dtx(false)?;
        encoder.set_vbr(!parameters.cbr)?;
        Ok(encoder)
    }

    pub(super) fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        self.0.as_mut().and_then(|encoder| encoder.encode(samples, out).ok()).unwrap_or(0)
    }
}

/// One direction of a stream, decoding.
pub(super) struct OpusDecoder(Option<opus::Decoder>);

impl fmt::Debug for OpusDecoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("OpusDecoder")
    }
}

impl OpusDecoder {
    pub(super) fn new() -> Self {
        Self(opus::Decoder::new(RATE, Channels::Mono).ok())
    }

    pub(super) fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        // An empty payload would mean a lost packet to libopus.
        if payload.is_empty() || payload_samples(payload) > out.len() {
            return 0;
        }
        self.0.as_mut().and_then(|decoder| decoder.decode(payload, out, false).ok()).unwrap_or(0)
    }

    pub(super) fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) -> bool {
        let Some(decoder) = self.0.as_mut() else { return false };
        let (payload, fec) = match next {
            Some(next) if !next.is_empty() => (next, true),
            _ => (&[][..], false),
        };
        matches!(decoder.decode(payload, out, fec), Ok(samples) if samples == out.len())
    }
}

/// The samples of a packet at 48 kHz; 0 for a broken one (RFC 6716 section 3.4).
pub(super) fn payload_samples(payload: &[u8]) -> usize {
    if payload.is_empty() {
        return 0;
    }
    opus::packet::get_nb_samples(payload, RATE).unwrap_or(0)
}
