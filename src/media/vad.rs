//! Is there sound? By energy, with a hangover.

use crate::Frame;

/// -45 dBFS: above the noise of a quiet line, below a quiet voice. The square of the RMS on the 16-bit scale.
const THRESHOLD: u64 = 34_000;

/// How many frames after the last loud one still count as sound: the gaps between words.
const HANGOVER: u8 = 10;

/// Tells sound from silence for the end of a recording. Steady sounds, such as tones and music, are sound.
#[derive(Debug, Clone, Default)]
pub struct Vad {
    hangover: u8,
}

impl Vad {
    /// A detector that has heard nothing.
    pub const fn new() -> Self {
        Self { hangover: 0 }
    }

    /// Whether there is sound in this frame, or was in the 200 ms before it.
    pub fn is_sound(&mut self, frame: &Frame) -> bool {
        if Self::is_loud(frame.samples()) {
            self.hangover = HANGOVER;
            return true;
        }
        let sound = self.hangover > 0;
        self.hangover = self.hangover.saturating_sub(1);
        sound
    }

    /// Whether samples are louder than -45 dBFS, without hangover.
    pub fn is_loud(samples: &[i16]) -> bool {
        // Without its mean, as cheap converters add a constant.
        let len = samples.len().max(1) as i64;
        let sum: i64 = samples.iter().map(|s| i64::from(*s)).sum();
        let squares: i64 = samples.iter().map(|s| i64::from(*s) * i64::from(*s)).sum();
        let variance = (squares - sum * sum / len) / len;
        variance.max(0) as u64 > THRESHOLD
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::{Tone, amplitude};

    #[test]
    fn a_tone_is_sound_and_noise_below_the_threshold_is_not() {
        let mut vad = Vad::new();
        let mut tone = Tone::new(440.0, 8000, amplitude(35.0));
        for _ in 0..500 {
            assert!(vad.is_sound(&Frame::from_samples(&tone.take(160), 8000)));
        }
        let mut faint = Tone::new(440.0, 8000, amplitude(50.0));
        let heard = (0..100).filter(|_| vad.is_sound(&Frame::from_samples(&faint.take(160), 8000))).count();
        assert_eq!(heard, 10, "200 ms of hangover");
    }

    #[test]
    fn a_constant_is_silence() {
        assert!(!Vad::is_loud(&[2000; 160]));
    }
}
