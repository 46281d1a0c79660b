//! A sound in memory, with the encodings made of it.

use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

use sems_media::{CodecKind, EncodedPrompt, encode_prompt, resample};

/// The duration of one payload of an encoding, in ms: what nearly all phones agree to. Legs with another packet
/// interval are encoded for as they play.
pub(crate) const PTIME_MS: u8 = 20;

/// The rates of rooms, and of [`Audio`].
pub(crate) const RATES: [u32; 3] = [8_000, 16_000, 48_000];

/// Sounds up to this length are encoded whole before they play; of longer ones, codecs that cost (G.722, Opus)
/// would keep the caller waiting: they are encoded as they play.
const WHOLE: Duration = Duration::from_secs(60);

/// A sound: mono samples at one rate, and what was encoded from them. Made once, shared by all who play it.
#[derive(Debug)]
pub struct Audio {
    samples: Arc<[i16]>,
    rate: u32,
    encodings: [OnceLock<Arc<EncodedPrompt>>; CodecKind::ALL.len()],
    resampled: [OnceLock<Arc<[i16]>>; RATES.len()],
}

impl Audio {
    /// A sound of mono `samples` at `rate` Hz, which is resampled to 8, 16 or 48 kHz where it is none of these.
    pub fn new(samples: Vec<i16>, rate: u32) -> Self {
        let known = RATES.into_iter().find(|known| rate <= *known).unwrap_or(48_000);
        let samples = if rate == known { samples } else { resample(&samples, rate, known) };
        Self {
            samples: samples.into(),
            rate: known,
            encodings: Default::default(),
            resampled: Default::default(),
        }
    }

    /// The samples, at [`rate`](Self::rate).
    pub fn samples(&self) -> &[i16] {
        &self.samples
    }

    /// Samples a second: 8,000, 16,000 or 48,000.
    pub fn rate(&self) -> u32 {
        self.rate
    }

    /// How long it plays.
    pub fn duration(&self) -> Duration {
        Duration::from_secs_f64(self.samples.len() as f64 / f64::from(self.rate))
    }

    /// The encoding for a codec, where one was made.
    pub(crate) fn encoding(&self, codec: CodecKind) -> Option<&Arc<EncodedPrompt>> {
        self.encodings.get(place(codec))?.get()
    }

    /// Whether an encoding for this codec should be made before playing, and is not there yet.
    pub(crate) fn wants_encoding(&self, codec: CodecKind) -> bool {
        let cheap = matches!(codec, CodecKind::Pcmu | CodecKind::Pcma) && self.rate == codec.sample_rate();
        self.encoding(codec).is_none() && (cheap || self.duration() <= WHOLE)
    }

    /// Makes the encoding for a codec. Costs up to 150 us for each 20 ms: not for a worker.
    pub(crate) fn encode(&self, codec: CodecKind) {
        if let Some(encoding) = self.encodings.get(place(codec)) {
            encoding.get_or_init(|| Arc::new(encode_prompt(&self.samples, self.rate, codec, PTIME_MS)));
        }
    }

    /// Makes the samples at all rates of rooms. Not for a worker.
    pub(crate) fn resample_for_rooms(&self) {
        for (rate, resampled) in RATES.into_iter().zip(&self.resampled) {
            if rate != self.rate {
                resampled.get_or_init(|| resample(&self.samples, self.rate, rate).into());
            }
        }
    }

    /// The samples at `rate`, where they were made.
    pub(crate) fn samples_at(&self, rate: u32) -> Option<&Arc<[i16]>> {
        if rate == self.rate {
            return Some(&self.samples);
        }
        let place = RATES.iter().position(|known| *known == rate)?;
        self.resampled.get(place)?.get()
    }

    /// The memory it takes, in bytes.
    pub(crate) fn size(&self) -> usize {
        let encoded: usize = self.encodings.iter().filter_map(|e| e.get()).map(|e| e.size()).sum();
        let resampled: usize = self.resampled.iter().filter_map(|r| r.get()).map(|r| size_of_val(&**r)).sum();
        size_of_val(&*self.samples) + encoded + resampled
    }
}

fn place(codec: CodecKind) -> usize {
    match codec {
        CodecKind::Pcmu => 0,
        CodecKind::Pcma => 1,
        CodecKind::G722 => 2,
        CodecKind::Opus => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_odd_rate_becomes_a_known_one_and_the_length_stays() {
        let audio = Audio::new(vec![1000; 22_050], 22_050);
        assert_eq!(audio.rate(), 48_000);
        assert!((audio.duration().as_secs_f64() - 1.0).abs() < 0.001);
    }

    #[test]
    fn an_encoding_is_made_once_and_found_again() {
        let audio = Audio::new(vec![0; 1_700], 8_000);
        assert!(audio.wants_encoding(CodecKind::Pcmu) && audio.encoding(CodecKind::Pcmu).is_none());
        audio.encode(CodecKind::Pcmu);
        assert_eq!(audio.encoding(CodecKind::Pcmu).map(|e| e.len()), Some(11));
        assert!(!audio.wants_encoding(CodecKind::Pcmu));
        audio.resample_for_rooms();
        assert_eq!(audio.samples_at(16_000).map(|s| s.len()), Some(3_400));
    }
}
