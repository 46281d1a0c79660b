//! G.722 at 64 kbit/s, by the `audio-codec` crate.

use std::fmt;

use audio_codec::{Decoder as _, Encoder as _, g722};

/// One direction of a stream, encoding.
pub(super) struct G722Encoder(g722::G722Encoder);

impl Default for G722Encoder {
    fn default() -> Self {
        Self(g722::G722Encoder::new())
    }
}

impl fmt::Debug for G722Encoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("G722Encoder")
    }
}

impl G722Encoder {
    /// One byte for two samples; 0 when `out` is too short.
    pub(super) fn encode(&mut self, samples: &[i16], out: &mut [u8]) -> usize {
        if out.len() < samples.len() / 2 {
            return 0;
        }
        self.0.encode_into(samples, out).unwrap_or(0)
    }
}

/// One direction of a stream, decoding.
pub(super) struct G722Decoder(g722::G722Decoder);

impl Default for G722Decoder {
    fn default() -> Self {
        Self(g722::G722Decoder::new())
    }
}

impl fmt::Debug for G722Decoder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("G722Decoder")
    }
}

impl G722Decoder {
    /// Two samples for one byte; 0 when `out` is too short.
    pub(super) fn decode(&mut self, payload: &[u8], out: &mut [i16]) -> usize {
        if out.len() < payload.len() * 2 {
            return 0;
        }
        self.0.decode_into(payload, out).unwrap_or(0)
    }
}
