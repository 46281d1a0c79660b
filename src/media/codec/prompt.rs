//! Prompts that are encoded once for a codec and sent many times.

use super::{CodecKind, Encoder, MAX_PAYLOAD};
use crate::resample;

/// A sound as the payloads of one codec, each of the same duration, in one block of memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedPrompt {
    codec: CodecKind,
    ptime_ms: u8,
    bytes: Vec<u8>,
    ends: Vec<u32>,
}

impl EncodedPrompt {
    /// Its codec.
    pub const fn codec(&self) -> CodecKind {
        self.codec
    }

    /// The duration of each payload, in ms.
    pub const fn ptime_ms(&self) -> u8 {
        self.ptime_ms
    }

    /// The duration of each payload, in RTP ticks.
    pub const fn ticks(&self) -> u32 {
        self.codec.rtp_clock() / 1000 * self.ptime_ms as u32
    }

    /// How many payloads there are.
    pub fn len(&self) -> usize {
        self.ends.len()
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.ends.is_empty()
    }

    /// The payload of that index.
    pub fn payload(&self, index: usize) -> Option<&[u8]> {
        let end = *self.ends.get(index)? as usize;
        let start = match index.checked_sub(1) {
            Some(before) => *self.ends.get(before)? as usize,
            None => 0,
        };
        self.bytes.get(start..end)
    }

    /// The memory it takes, in bytes.
    pub fn size(&self) -> usize {
        self.bytes.len() + self.ends.len() * size_of::<u32>()
    }
}

/// Encodes `samples` at `rate` Hz for a codec, in packets of `ptime_ms` (10, 20, 40 or 60); the last one is
/// filled up with silence.
pub fn encode_prompt(samples: &[i16], rate: u32, codec: CodecKind, ptime_ms: u8) -> EncodedPrompt {
    let ptime_ms = ptime_ms.clamp(10, 60);
    let resampled = (rate != codec.sample_rate()).then(|| resample(samples, rate, codec.sample_rate()));
    let samples = resampled.as_deref().unwrap_or(samples);
    let packet = codec.sample_rate() as usize / 1000 * usize::from(ptime_ms);
    let mut encoder = Encoder::new(codec);
    let mut prompt = EncodedPrompt { codec, ptime_ms, bytes: Vec::new(), ends: Vec::new() };
    let mut payload = [0; MAX_PAYLOAD];
    let mut last = vec![0; packet];
    for chunk in samples.chunks(packet) {
        last.fill(0);
        last[..chunk.len()].copy_from_slice(chunk);
        let len = encoder.encode(&last, &mut payload);
        prompt.bytes.extend_from_slice(&payload[..len]);
        prompt.ends.push(u32::try_from(prompt.bytes.len()).unwrap_or(u32::MAX));
    }
    prompt
}
