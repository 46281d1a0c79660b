//! Codecs: which there are, and how each turns samples into payloads and back.

mod g711;
mod g722;
mod opus;
mod prompt;

pub use prompt::{EncodedPrompt, encode_prompt};

use crate::OpusParameters;

/// The most samples one packet may decode to: 120 ms at 48 kHz (the longest Opus packet, RFC 6716).
pub(crate) const MAX_PACKET_SAMPLES: usize = 5760;

/// The longest payload we write: 60 ms of G.711 are 480 bytes, an Opus packet has at most 1,275.
pub const MAX_PAYLOAD: usize = 1275;

/// An audio codec.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum CodecKind {
    /// G.711 mu-law (RFC 3551 section 4.5.14).
    Pcmu,
    /// G.711 A-law (RFC 3551 section 4.5.14).
    Pcma,
    /// G.722 at 64 kbit/s (RFC 3551 section 4.5.2).
    G722,
    /// Opus (RFC 6716, RFC 7587).
    Opus,
}

impl CodecKind {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pcmu, Self::Pcma, Self::G722, Self::Opus];

    /// The encoding name of `a=rtpmap`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Pcmu => "PCMU",
            Self::Pcma => "PCMA",
            Self::G722 => "G722",
            Self::Opus => "opus",
        }
    }

    /// The payload type that RFC 3551 gives it for good.
    pub const fn static_pt(self) -> Option<u8> {
        match self {
            Self::Pcmu => Some(0),
            Self::Pcma => Some(8),
            Self::G722 => Some(9),
            Self::Opus => None,
        }
    }

    /// The codec of a static payload type.
    pub const fn from_static_pt(payload_type: u8) -> Option<Self> {
        match payload_type {
            0 => Some(Self::Pcmu),
            8 => Some(Self::Pcma),
            9 => Some(Self::G722),
            _ => None,
        }
    }

    /// The rate of its RTP timestamps in Hz. That of G.722 is 8,000 by an old mistake (RFC 3551 section 4.5.2).
    pub const fn rtp_clock(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma | Self::G722 => 8000,
            Self::Opus => 48_000,
        }
    }

    /// The rate of its samples in Hz.
    pub const fn sample_rate(self) -> u32 {
        match self {
            Self::Pcmu | Self::Pcma => 8000,
            Self::G722 => 16_000,
            Self::Opus => 48_000,
        }
    }

    /// RTP ticks of `samples` samples at [`sample_rate`](Self::sample_rate).
    pub const fn ticks(self, samples: usize) -> u32 {
        (samples as u64 * self.rtp_clock() as u64 / self.sample_rate() as u64) as u32
    }

    /// Samples of `ticks` RTP ticks.
    pub const fn samples(self, ticks: u32) -> usize {
        (ticks as u64 * self.sample_rate() as u64 / self.rtp_clock() as u64) as usize
    }
}

/// Turns samples into payloads; keeps the state of one stream.
#[derive(Debug)]
pub struct Encoder {
    kind: CodecKind,
    state: EncoderState,
}

#[derive(Debug)]
enum EncoderState {
    Stateless,
    G722(Box<g722::G722Encoder>),
    Opus(opus::OpusEncoder),
}

impl Encoder {
    /// An encoder with nothing heard yet.
    pub fn new(kind: CodecKind) -> Self {
        Self::with_parameters(kind, OpusParameters::default())
    }

    /// An encoder that keeps to what the other side's fmtp says (RFC 7587 section 6.1).
    pub fn with_parameters(kind: CodecKind, parameters: OpusParameters) -> Self {
        let state = match kind {
            CodecKind::Pcmu | CodecKind::Pcma => EncoderState::Stateless,
            CodecKind::G722 => EncoderState::G722(Box::default()),
            CodecKind::Opus => EncoderState::Opus(opus::OpusEncoder::new(parameters)),
        };
        Self { kind, state }
    }

    /// Its codec.
    pub const fn kind(&self) -> CodecKind {
        self.kind
    }

    /// Encodes samples at the codec's rate into `out` and returns the payload's length: 0 when `out` is too
    /// short, or (Opus) when they are not 10, 20, 40 or 60 ms.
    pub fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        match &mut self.state {
            EncoderState::Stateless if self.kind == CodecKind::Pcma => g711::encode_alaw(samples, out),
            EncoderState::Stateless => g711::encode_ulaw(samples, out),
            EncoderState::G722(encoder) => encoder.encode(samples, out),
            EncoderState::Opus(encoder) => encoder.encode(samples, out),
        }
    }
}

/// Turns payloads into samples; keeps the state of one stream.
#[derive(Debug)]
pub struct Decoder {
    kind: CodecKind,
    state: DecoderState,
}

#[derive(Debug)]
enum DecoderState {
    Stateless,
    G722(Box<g722::G722Decoder>),
    Opus(opus::OpusDecoder),
}

impl Decoder {
    /// A decoder with nothing heard yet.
    pub fn new(kind: CodecKind) -> Self {
        let state = match kind {
            CodecKind::Pcmu | CodecKind::Pcma => DecoderState::Stateless,
            CodecKind::G722 => DecoderState::G722(Box::default()),
            CodecKind::Opus => DecoderState::Opus(opus::OpusDecoder::new()),
        };
        Self { kind, state }
    }

    /// Its codec.
    pub const fn kind(&self) -> CodecKind {
        self.kind
    }

    /// Decodes a payload into `out` and returns how many samples it had: 0 for one that is broken or does
    /// not fit.
    pub fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        match &mut self.state {
            DecoderState::Stateless if self.kind == CodecKind::Pcma => g711::decode_alaw(payload, out),
            DecoderState::Stateless => g711::decode_ulaw(payload, out),
            DecoderState::G722(decoder) => decoder.decode(payload, out),
            DecoderState::Opus(decoder) => decoder.decode(payload, out),
        }
    }

    /// Whether [`conceal`](Self::conceal) does anything.
    pub const fn conceals(&self) -> bool {
        matches!(self.state, DecoderState::Opus(_))
    }

    /// Fills `out` (a multiple of 2.5 ms) in place of a lost packet, by the codec's own means: from the
    /// redundancy in the packet after it where there is one. Returns false when the codec has none.
    pub fn conceal(&mut self, next: Option<&[u8]>, out: &mut [i16]) -> bool {
        match &mut self.state {
            DecoderState::Opus(decoder) => decoder.conceal(next, out),
            DecoderState::Stateless | DecoderState::G722(_) => false,
        }
    }
}

/// How many samples a payload has, without decoding it; 0 for a broken one.
pub fn packet_samples(kind: CodecKind, payload: &[u8]) -> usize {
    match kind {
        CodecKind::Pcmu | CodecKind::Pcma => payload.len(),
        CodecKind::G722 => payload.len() * 2,
        CodecKind::Opus => opus::payload_samples(payload),
    }
}

/// The most samples that one packet of a codec may have: 120 ms.
pub const fn longest_packet(kind: CodecKind) -> usize {
    kind.sample_rate() as usize / 1000 * 120
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis, tone::Tone};

    fn round_trip(kind: CodecKind, hz: f32, ms: usize) -> (Vec<i16>, Vec<i16>) {
        let packet = kind.sample_rate() as usize / 1000 * ms;
        let said = Tone::new(hz, kind.sample_rate(), 10_000.0).take(packet * (1000 / ms));
        let (mut encoder, mut decoder, mut heard) = (Encoder::new(kind), Decoder::new(kind), Vec::new());
        for samples in said.chunks(packet) {
            let (mut payload, mut out) = ([0; MAX_PAYLOAD], [0; MAX_PACKET_SAMPLES]);
            let len = encoder.encode(samples, &mut payload);
            assert_eq!(packet_samples(kind, &payload[..len]), packet);
            let count = decoder.decode(&payload[..len], &mut out);
            assert_eq!(count, packet);
            heard.extend_from_slice(&out[..count]);
        }
        (said, heard)
    }

    #[test]
    fn a_tone_survives_each_codec() {
        for (kind, least) in [
            (CodecKind::Pcmu, 33.0),
            (CodecKind::Pcma, 33.0),
            (CodecKind::G722, 25.0),
            (CodecKind::Opus, 12.0),
        ] {
            for ms in [10, 20, 40] {
                let (said, heard) = round_trip(kind, 1004.0, ms);
                let steady = kind.sample_rate() as usize / 2;
                let wanted = &said[steady..steady + steady / 2];
                let snr = analysis::snr(wanted, &heard[steady..], steady / 20);
                assert!(snr > least, "{kind:?} {ms} ms: {snr} dB");
            }
        }
    }

    #[test]
    fn a_prompt_is_cut_into_packets_of_one_duration() {
        for kind in CodecKind::ALL {
            let prompt = encode_prompt(&Tone::new(440.0, 8000, 8000.0).take(8100), 8000, kind, 20);
            assert_eq!(prompt.len(), 51, "{kind:?}");
            assert_eq!(prompt.ticks(), kind.rtp_clock() / 50);
            let (mut decoder, mut all) = (Decoder::new(kind), Vec::new());
            for i in 0..prompt.len() {
                let mut out = [0; MAX_PACKET_SAMPLES];
                let count = decoder.decode(prompt.payload(i).unwrap(), &mut out);
                all.extend_from_slice(&out[..count]);
            }
            let rate = kind.sample_rate();
            assert_eq!(all.len(), rate as usize / 50 * 51);
            assert!((analysis::goertzel(&all[..rate as usize], rate, 440.0) + 12.25).abs() < 1.0, "{kind:?}");
            assert_eq!(prompt.payload(51), None);
        }
        assert!(encode_prompt(&[], 8000, CodecKind::Pcmu, 20).is_empty());
    }

    #[test]
    fn broken_payloads_and_short_buffers_give_nothing() {
        for kind in CodecKind::ALL {
            assert_eq!(Decoder::new(kind).decode(&[], &mut [0; 960]), 0);
            assert_eq!(Decoder::new(kind).decode(&[0; 100], &mut [0; 3]), 0);
            assert!(Encoder::new(kind).encode(&[0; 960], &mut [0; 1]) <= 1);
        }
    }
}
