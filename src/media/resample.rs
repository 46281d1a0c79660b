//! Changing the sample rate: a polyphase low-pass filter.

use std::{
    f64::consts::PI,
    sync::{Arc, OnceLock},
};

use crate::{Frame, frame::MAX_SAMPLES};

/// Filter taps per sample of the lower of the two rates: enough for 60 dB beyond its half.
const TAPS: usize = 32;

/// The middle of the filter's slope, as a part of half the lower rate.
const CUTOFF: f64 = 0.93;

/// The shape of the Kaiser window, for about 60 dB.
const BETA: f64 = 5.7;

/// The filter for a pair of rates.
#[derive(Debug)]
struct Bank {
    /// Upsampling factor: how many phases there are.
    up: usize,
    /// Downsampling factor.
    down: usize,
    /// Taps of each phase.
    taps: usize,
    /// The phases, one after the other, each in the order of time.
    weights: Vec<f32>,
}

impl Bank {
    fn new(from: u32, to: u32) -> Self {
        let divisor = gcd(from, to).max(1);
        let (up, down) = ((to / divisor) as usize, (from / divisor) as usize);
        // A multiple of 8 for the vector unit.
        let taps = (TAPS * down.div_ceil(up).max(1)).next_multiple_of(8);
        let length = taps * up;
        let cutoff = CUTOFF * 0.5 / up.max(down) as f64;
        let middle = (length - 1) as f64 / 2.0;
        let mut weights = vec![0.0; length];
        for phase in 0..up {
            let mut row = vec![0.0; taps];
            for (k, weight) in row.iter_mut().enumerate() {
                // The oldest sample meets the end of the prototype.
                let x = (phase + (taps - 1 - k) * up) as f64 - middle;
                *weight = sinc(2.0 * cutoff * x) * kaiser(x / (middle + 1.0));
            }
            // Each phase has a gain of one at 0 Hz, so that a constant stays one.
            let sum: f64 = row.iter().sum();
            for (k, weight) in row.iter().enumerate() {
                weights[phase * taps + k] = (weight / sum) as f32;
            }
        }
        Self { up, down, taps, weights }
    }

    /// The filter for a pair, shared where the pair is an everyday one.
    fn shared(from: u32, to: u32) -> Arc<Self> {
        static EVERYDAY: [OnceLock<Arc<Bank>>; 6] = [const { OnceLock::new() }; 6];
        const PAIRS: [(u32, u32); 6] = [
            (8000, 16_000),
            (8000, 48_000),
            (16_000, 8000),
            (16_000, 48_000),
            (48_000, 8000),
            (48_000, 16_000),
        ];
        match PAIRS.iter().position(|pair| *pair == (from, to)).and_then(|i| EVERYDAY.get(i)) {
            Some(cell) => Arc::clone(cell.get_or_init(|| Arc::new(Self::new(from, to)))),
            None => Arc::new(Self::new(from, to)),
        }
    }
}

/// Changes the rate of one stream; keeps its state between blocks. 8, 16 and 48 kHz any to any, and every other
/// pair of rates up to 192 kHz. The sound is delayed by 16 samples of the lower rate.
#[derive(Debug, Clone)]
pub struct Resampler {
    from: u32,
    to: u32,
    /// None when both rates are the same.
    bank: Option<Arc<Bank>>,
    /// The last `taps - 1` samples, and room for a block.
    history: Vec<f32>,
    /// Where the next output begins in the history, beyond its start.
    position: usize,
    phase: usize,
}

impl Resampler {
    /// A resampler from one rate in Hz to another (each clamped to 1,000-192,000).
    pub fn new(from: u32, to: u32) -> Self {
        let (from, to) = (from.clamp(1000, 192_000), to.clamp(1000, 192_000));
        let bank = (from != to).then(|| Bank::shared(from, to));
        let history = bank.as_ref().map_or_else(Vec::new, |bank| vec![0.0; bank.taps - 1 + MAX_SAMPLES]);
        Self { from, to, bank, history, position: 0, phase: 0 }
    }

    /// The rate of what goes in, in Hz.
    pub const fn from(&self) -> u32 {
        self.from
    }

    /// The rate of what comes out, in Hz.
    pub const fn to(&self) -> u32 {
        self.to
    }

    /// Resamples a block into `out` and returns how many samples came out; never more than `out` has.
    pub fn process(&mut self, samples: &[i16], out: &mut [i16]) -> usize {
        let Some(bank) = self.bank.clone() else {
            let count = samples.len().min(out.len());
            out[..count].copy_from_slice(&samples[..count]);
            return count;
        };
        let mut written = 0;
        for block in samples.chunks(MAX_SAMPLES) {
            written += self.block(&bank, block, &mut out[written..]);
        }
        written
    }

    fn block(&mut self, bank: &Bank, block: &[i16], out: &mut [i16]) -> usize {
        let kept = bank.taps - 1;
        for (to, sample) in self.history[kept..].iter_mut().zip(block) {
            *to = f32::from(*sample);
        }
        let mut written = 0;
        while self.position < block.len() {
            let weights = &bank.weights[self.phase * bank.taps..][..bank.taps];
            let sum = dot(weights, &self.history[self.position..][..bank.taps]);
            if let Some(to) = out.get_mut(written) {
                // The cast saturates.
                *to = (sum + 0.5f32.copysign(sum)) as i16;
                written += 1;
            }
            self.phase += bank.down;
            self.position += self.phase / bank.up;
            self.phase %= bank.up;
        }
        self.position -= block.len();
        self.history.copy_within(block.len()..block.len() + kept, 0);
        written
    }

    /// Resamples a frame into another, which gets this resampler's rate. A frame of another rate than the
    /// resampler's comes out as silence.
    pub fn frame(&mut self, frame: &Frame, out: &mut Frame) {
        out.set_rate(self.to);
        let written =
            if frame.rate() == self.from { self.process(frame.samples(), out.samples_mut()) } else { 0 };
        out.samples_mut()[written..].fill(0);
    }
}

/// Resamples a whole sound, without delay: the result has the same duration.
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    let mut resampler = Resampler::new(from, to);
    let Some(bank) = resampler.bank.clone() else { return samples.to_vec() };
    let wanted = (samples.len() as u64 * bank.up as u64 / bank.down as u64) as usize;
    let delay = (bank.taps * bank.up / 2) / bank.down;
    let mut out = vec![0; wanted + delay + bank.up];
    let mut written = resampler.process(samples, &mut out);
    written += resampler.process(&vec![0; bank.taps], &mut out[written..]);
    out.truncate(written);
    out.drain(..delay.min(written));
    out.resize(wanted, 0);
    out
}

/// The sum of products, in eight lanes so that the compiler may use vectors.
#[inline]
fn dot(a: &[f32], b: &[f32]) -> f32 {
    let mut lanes = [0.0f32; 8];
    for (a, b) in a.chunks_exact(8).zip(b.chunks_exact(8)) {
        for ((lane, a), b) in lanes.iter_mut().zip(a).zip(b) {
            *lane += a * b;
        }
    }
    lanes.iter().sum()
}

const fn gcd(a: u32, b: u32) -> u32 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn sinc(x: f64) -> f64 {
    if x.abs() < 1e-9 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The Kaiser window at `x` of -1 to 1.
fn kaiser(x: f64) -> f64 {
    bessel(BETA * (1.0 - x * x).max(0.0).sqrt()) / bessel(BETA)
}

/// The modified Bessel function of the first kind and order 0.
fn bessel(x: f64) -> f64 {
    let (mut sum, mut term) = (1.0, 1.0);
    for k in 1..30 {
        term *= (x / 2.0 / f64::from(k)).powi(2);
        sum += term;
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        analysis::{goertzel, rms},
        tone::Tone,
    };

    const RATES: [u32; 3] = [8000, 16_000, 48_000];

    fn through(from: u32, to: u32, hz: f32) -> Vec<i16> {
        let (mut resampler, mut tone) = (Resampler::new(from, to), Tone::new(hz, from, 16_384.0));
        let (mut frame, mut out) = (Frame::silence(from), Frame::silence(to));
        let mut all = Vec::new();
        for _ in 0..50 {
            tone.fill(frame.samples_mut());
            resampler.frame(&frame, &mut out);
            all.extend_from_slice(out.samples());
        }
        all
    }

    #[test]
    fn a_sweep_passes_below_the_lower_half_rate_and_not_beyond() {
        for from in RATES {
            for to in RATES {
                let half = from.min(to) / 2;
                for hz in (100..from / 2).step_by(173) {
                    let all = through(from, to, hz as f32);
                    assert_eq!(all.len(), to as usize);
                    let steady = &all[to as usize / 10..];
                    if hz * 5 < half * 4 {
                        let level = goertzel(steady, to, f64::from(hz));
                        assert!((level + 6.02).abs() < 0.5, "{from}->{to} {hz} Hz: {level}");
                    } else if hz > half * 11 / 10 {
                        let level = rms(steady);
                        assert!(level < -55.0, "{from}->{to} {hz} Hz leaks: {level}");
                    }
                    let image = f64::from(from) - f64::from(hz);
                    if from < to && hz * 5 < half * 4 {
                        let level = goertzel(steady, to, image);
                        assert!(level < -55.0, "{from}->{to} image at {image}: {level}");
                    }
                }
            }
        }
    }

    #[test]
    fn a_whole_sound_keeps_its_duration_and_place() {
        for (from, to) in [(44_100, 16_000), (44_100, 48_000), (22_050, 8000), (8000, 48_000), (48_000, 8000)]
        {
            let mut samples = vec![0; from as usize];
            samples[from as usize / 2] = 30_000;
            let out = resample(&samples, from, to);
            assert_eq!(out.len(), to as usize);
            let peak = (0..out.len()).max_by_key(|i| out[*i]).unwrap();
            assert!(
                peak.abs_diff(to as usize / 2) <= 1 + (to / from.min(to)) as usize,
                "{from}->{to}: {peak}"
            );
        }
    }

    #[test]
    fn odd_blocks_give_the_same_as_one() {
        let samples = Tone::new(440.0, 16_000, 10_000.0).take(1601);
        let mut whole = vec![0; 801];
        let count = Resampler::new(16_000, 8000).process(&samples, &mut whole);
        let (mut parts, mut resampler) = (Vec::new(), Resampler::new(16_000, 8000));
        for block in samples.chunks(7) {
            let mut out = [0; 8];
            let n = resampler.process(block, &mut out);
            parts.extend_from_slice(&out[..n]);
        }
        assert_eq!(parts, whole[..count]);
    }
}
