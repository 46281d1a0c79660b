//! Concealing what did not arrive: the last pitch period goes on, and fades.

use std::hint::black_box;

/// The longest history that is looked at: a window of 10 ms, and the longest period of 15 ms before it.
const HISTORY_MS: usize = 25;
/// Full level for this long, ...
const STEADY_MS: usize = 10;
/// ... and nothing from here on.
pub(crate) const SILENT_MS: usize = 60;
/// The crossfade to what arrives again.
const MERGE_MS: usize = 5;

/// Conceals gaps in one stream of samples.
#[derive(Debug)]
pub(crate) struct Concealer {
    per_ms: usize,
    /// The newest samples, the newest last.
    history: Vec<i16>,
    /// The period that is repeated; 0 when nothing is being concealed.
    period: usize,
    /// How many samples were made up since the last real one.
    made: usize,
    /// The step between the last real sample and the first repeated one, faded out.
    step: f32,
}

impl Concealer {
    pub(crate) fn new(rate: u32) -> Self {
        let per_ms = (rate as usize / 1000).max(1);
        Self { per_ms, history: vec![0; HISTORY_MS * per_ms], period: 0, made: 0, step: 0.0 }
    }

    /// Takes note of samples that did arrive; the first of them after a gap are blended with what was made up.
    pub(crate) fn heard(&mut self, samples: &mut [i16]) {
        if self.period > 0 {
            let count = (MERGE_MS * self.per_ms).min(samples.len());
            for (i, sample) in samples.iter_mut().take(count).enumerate() {
                let weight = (i + 1) as f32 / (count + 1) as f32;
                let made = f32::from(self.next());
                *sample = (made + (f32::from(*sample) - made) * weight) as i16;
            }
            self.period = 0;
        }
        self.remember(samples);
    }

    /// Makes up samples.
    pub(crate) fn conceal(&mut self, out: &mut [i16]) {
        if self.period == 0 {
            self.begin();
        }
        for sample in out.iter_mut() {
            *sample = self.next();
        }
    }

    /// Looks at what is remembered.
    pub(crate) fn touch(&self) {
        for sample in self.history.iter().step_by(32) {
            black_box(*sample);
        }
    }

    /// Forgets everything.
    pub(crate) fn reset(&mut self) {
        self.history.fill(0);
        self.period = 0;
    }

    fn remember(&mut self, samples: &[i16]) {
        let len = self.history.len();
        let newest = &samples[samples.len().saturating_sub(len)..];
        self.history.copy_within(newest.len().., 0);
        self.history[len - newest.len()..].copy_from_slice(newest);
    }

    fn begin(&mut self) {
        self.made = 0;
        self.period = self.pitch();
        let len = self.history.len();
        let expected = 2.0 * f32::from(self.history[len - 1]) - f32::from(self.history[len - 2]);
        self.step = expected - f32::from(self.history[len - self.period]);
    }

    /// The period between 2.5 and 15 ms at which the history resembles itself most.
    fn pitch(&self) -> usize {
        let window = 10 * self.per_ms;
        let newest = &self.history[self.history.len() - window..];
        let mut best = (f32::MIN, 10 * self.per_ms);
        // At 16 kHz and above every other sample says enough.
        let stride = self.per_ms.div_ceil(8);
        for lag in 5 * self.per_ms / 2..=15 * self.per_ms {
            let start = self.history.len() - window - lag;
            let older = &self.history[start..start + window];
            let (mut cross, mut power) = (0.0f32, 1.0f32);
            for (a, b) in newest.iter().zip(older).step_by(stride) {
                cross += f32::from(*a) * f32::from(*b);
                power += f32::from(*b) * f32::from(*b);
            }
            let score = if cross > 0.0 { cross / power.sqrt() } else { 0.0 };
            // A little better is not good enough: the shortest period is the least conspicuous.
            if score > best.0 * 1.001 || best.0 == f32::MIN {
                best = (score, lag);
            }
        }
        best.1
    }

    /// The next made-up sample.
    fn next(&mut self) -> i16 {
        let len = self.history.len();
        let at = self.made % self.period;
        let quarter = (self.period / 4).max(1);
        let mut sample = f32::from(self.history[len - self.period + at]);
        // The end of each period is blended with what came before its start, so that it joins the next one.
        let to_end = self.period - at;
        if to_end <= quarter && len >= 2 * self.period - at {
            let before = f32::from(self.history[len + at - 2 * self.period]);
            let weight = (quarter - to_end + 1) as f32 / (quarter + 1) as f32;
            sample += (before - sample) * weight;
        }
        let fade = (2 * self.per_ms) as f32;
        sample += self.step * (1.0 - self.made as f32 / fade).max(0.0);
        let (steady, silent) = (STEADY_MS * self.per_ms, SILENT_MS * self.per_ms);
        let gain = 1.0 - self.made.saturating_sub(steady) as f32 / (silent - steady) as f32;
        self.made += 1;
        (sample * gain.max(0.0)) as i16
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{goertzel, max_step, rms},
        tone::Tone,
    };

    #[test]
    fn a_lost_frame_of_a_tone_leaves_no_click() {
        for (rate, hz) in [(8000, 200.0), (8000, 440.0), (16_000, 1000.0), (8000, 313.0)] {
            let mut tone = Tone::new(hz, rate, 10_000.0);
            let frame = rate as usize / 50;
            let (mut plc, mut all) = (Concealer::new(rate), Vec::new());
            for i in 0..20 {
                let mut samples = tone.take(frame);
                if i % 5 == 4 {
                    plc.conceal(&mut samples);
                } else {
                    plc.heard(&mut samples);
                }
                all.extend_from_slice(&samples);
            }
            let smooth = (10_000.0 * std::f64::consts::TAU * f64::from(hz) / f64::from(rate)) as i32;
            assert!(max_step(&all) < smooth * 2, "{hz}: {} of {smooth}", max_step(&all));
            assert!(goertzel(&all, rate, f64::from(hz)) > -14.0);
        }
    }

    #[test]
    fn a_long_gap_fades_to_silence() {
        let mut plc = Concealer::new(8000);
        plc.heard(&mut Tone::new(300.0, 8000, 10_000.0).take(320));
        let mut made = vec![0; 800];
        plc.conceal(&mut made);
        assert!(rms(&made[..160]) > -20.0);
        assert!(made[480..].iter().all(|s| *s == 0));
    }
}
