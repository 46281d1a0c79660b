//! Judging sound as sound: levels, tones, gaps and clicks, for the tests of whoever makes sound.

use std::f64::consts::TAU;

/// The level of what is quieter than anything, in dBFS.
pub const SILENT: f64 = -120.0;

/// The level of the sine of `hz` in `samples`, in dBFS: a full-scale sine of that frequency has 0.
pub fn goertzel(samples: &[i16], rate: u32, hz: f64) -> f64 {
    if samples.is_empty() || rate == 0 {
        return SILENT;
    }
    // A Hann window: without it a strong tone leaks into the level of every other frequency.
    let len = samples.len() as f64;
    let coefficient = 2.0 * (TAU * hz / f64::from(rate)).cos();
    let (mut s1, mut s2, mut weight) = (0.0, 0.0, 0.0);
    for (i, sample) in samples.iter().enumerate() {
        let window = 0.5 - 0.5 * (TAU * (i as f64 + 0.5) / len).cos();
        weight += window;
        let s0 = f64::from(*sample) * window + coefficient * s1 - s2;
        s2 = s1;
        s1 = s0;
    }
    let power = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    decibels(2.0 * power.max(0.0).sqrt() / weight / 32_768.0)
}

/// The level of `samples` in dBFS, so that a full-scale sine has -3.01.
pub fn rms(samples: &[i16]) -> f64 {
    if samples.is_empty() {
        return SILENT;
    }
    let sum: f64 = samples.iter().map(|s| f64::from(*s) * f64::from(*s)).sum();
    decibels((sum / samples.len() as f64).sqrt() / 32_768.0)
}

/// The strongest of some frequencies, with its level in dBFS.
pub fn dominant(samples: &[i16], rate: u32, candidates: &[f64]) -> Option<(f64, f64)> {
    candidates.iter().map(|hz| (*hz, goertzel(samples, rate, *hz))).max_by(|a, b| a.1.total_cmp(&b.1))
}

/// The largest step between two neighbouring samples: what a click is. A sine of amplitude `a` has steps of at
/// most `a * 2 * pi * hz / rate`.
pub fn max_step(samples: &[i16]) -> i32 {
    samples.windows(2).map(|w| (i32::from(w[1]) - i32::from(w[0])).abs()).max().unwrap_or(0)
}

/// The longest run of samples that are all below `threshold` in magnitude.
pub fn longest_gap(samples: &[i16], threshold: u16) -> usize {
    let (mut longest, mut run) = (0, 0);
    for sample in samples {
        run = if sample.unsigned_abs() < threshold { run + 1 } else { 0 };
        longest = longest.max(run);
    }
    longest
}

/// The signal-to-noise ratio of `got` to `wanted` in dB, at the delay (0 to `max_delay` samples of `got`) and
/// gain at which they fit best.
pub fn snr(wanted: &[i16], got: &[i16], max_delay: usize) -> f64 {
    (0..=max_delay.min(got.len()))
        .map(|delay| {
            let pairs = || wanted.iter().zip(&got[delay..]).map(|(a, b)| (f64::from(*a), f64::from(*b)));
            let cross: f64 = pairs().map(|(a, b)| a * b).sum();
            let power: f64 = pairs().map(|(a, _)| a * a).sum();
            let gain = cross / power.max(1.0);
            let noise: f64 = pairs().map(|(a, b)| (b - gain * a).powi(2)).sum();
            10.0 * (gain * gain * power / noise.max(1e-9)).max(1e-12).log10()
        })
        .fold(SILENT, f64::max)
}

fn decibels(amplitude: f64) -> f64 {
    if amplitude <= 0.0 { SILENT } else { (20.0 * amplitude.log10()).max(SILENT) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tone::Tone;

    #[test]
    fn a_tone_has_its_level_at_its_frequency_only() {
        let samples = Tone::new(440.0, 8000, 16_384.0).take(1600);
        assert!((goertzel(&samples, 8000, 440.0) + 6.0).abs() < 0.2);
        assert!(goertzel(&samples, 8000, 700.0) < -60.0);
        assert!((rms(&samples) + 9.0).abs() < 0.2);
        assert_eq!(dominant(&samples, 8000, &[300.0, 440.0, 900.0]).unwrap().0, 440.0);
    }
}
