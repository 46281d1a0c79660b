//! What all hear who do not speak: encoded once for each codec.

use sems_media::{CodecKind, Encoder, Frame, Resampler};

use super::io::DATAGRAM;

/// The sum of a room, and what was made of it in this tick.
#[derive(Debug)]
pub(crate) struct Listeners {
    pub(crate) frame: Frame,
    encodings: [Option<Box<Encoding>>; CodecKind::ALL.len()],
}

/// The sum as one codec has it. Made when the first listener needs it.
#[derive(Debug)]
struct Encoding {
    encoder: Encoder,
    resampler: Option<Resampler>,
    resampled: Frame,
    payload: [u8; DATAGRAM],
    /// Of the payload of this tick; 0 when it was not made yet.
    length: usize,
}

impl Listeners {
    pub(crate) fn new() -> Self {
        Self { frame: Frame::silence(8000), encodings: Default::default() }
    }

    /// The frame is another one: a new tick.
    pub(crate) fn begin(&mut self) {
        for encoding in self.encodings.iter_mut().flatten() {
            encoding.length = 0;
        }
    }

    /// The frame as a payload of 20 ms, and its RTP ticks.
    pub(crate) fn encoded_for(&mut self, codec: CodecKind) -> Option<(&[u8], u32)> {
        let place = CodecKind::ALL.iter().position(|known| *known == codec)?;
        let encoding = self.encodings.get_mut(place)?.get_or_insert_with(|| Box::new(Encoding::new(codec)));
        if encoding.length == 0 {
            encoding.encode(&self.frame);
        }
        Some((encoding.payload.get(..encoding.length)?, codec.rtp_clock() / 50))
    }
}

impl Encoding {
    fn new(codec: CodecKind) -> Self {
        Self {
            encoder: Encoder::new(codec),
            resampler: None,
            resampled: Frame::silence(codec.sample_rate()),
            payload: [0; DATAGRAM],
            length: 0,
        }
    }

    fn encode(&mut self, frame: &Frame) {
        let rate = self.encoder.kind().sample_rate();
        let frame = if frame.rate() == rate {
            frame
        } else {
            if self.resampler.as_ref().is_none_or(|resampler| resampler.from() != frame.rate()) {
                self.resampler = Some(Resampler::new(frame.rate(), rate));
            }
            if let Some(resampler) = &mut self.resampler {
                resampler.frame(frame, &mut self.resampled);
            }
            &self.resampled
        };
        self.length = self.encoder.encode(frame.samples(), &mut self.payload);
    }
}

#[cfg(test)]
mod tests {
    use sems_media::{Decoder, analysis, tone::Tone};

    use super::*;

    // SEMS-CF-1: who listens hears the room, whatever his codec.
    #[test]
    fn each_codec_is_encoded_once_a_tick_and_sounds_as_the_room_does() {
        let mut listeners = Listeners::new();
        let mut decoders = CodecKind::ALL.map(|codec| (codec, Decoder::new(codec), Vec::new()));
        let mut tone = Tone::new(441.0, 16_000, 8000.0);
        for _ in 0..100 {
            listeners.frame.set_rate(16_000);
            tone.fill(listeners.frame.samples_mut());
            listeners.begin();
            for (codec, decoder, heard) in &mut decoders {
                let first = listeners.encoded_for(*codec).map(|(payload, ticks)| (payload.to_vec(), ticks));
                let (payload, ticks) = first.clone().expect("a payload");
                assert_eq!(ticks, codec.rtp_clock() / 50);
                let again = listeners.encoded_for(*codec).map(|(payload, ticks)| (payload.to_vec(), ticks));
                assert_eq!(again, first, "{codec:?}: the second listener gets what the first one got");
                let mut samples = [0; 5760];
                let count = decoder.decode(&payload, &mut samples);
                heard.extend_from_slice(&samples[..count]);
            }
        }
        for (codec, _, heard) in &decoders {
            let rate = codec.sample_rate();
            assert_eq!(heard.len(), rate as usize * 2, "{codec:?}");
            let level = analysis::goertzel(&heard[rate as usize..], rate, 441.0);
            assert!((level + 12.25).abs() < 1.0, "{codec:?}: {level} dB");
        }
    }
}
