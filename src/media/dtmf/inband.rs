//! Digits in the sound itself, found by the Goertzel algorithm.

use crate::{Frame, Resampler};

use super::digit_at;

/// The rate at which is listened.
const RATE: u32 = 8000;
/// Samples of a block: at 8 kHz, 205 put all eight frequencies near the middle of a bin.
const BLOCK: usize = 205;
/// A block begins this often: a tone of 40 ms fills two.
const HOP: usize = 102;
/// Blocks that must agree before a digit counts, or its end.
const AGREE: u8 = 2;
/// The quietest tone, as the mean square of its two sines: about -36 dBFS.
const FLOOR: f32 = 250_000.0;
/// How much stronger one of the two frequencies may be (8 dB; Q.24 has 4 to 8).
const TWIST: f32 = 6.3;
/// By how much each must exceed the others of its group (6 dB).
const PEAK: f32 = 4.0;
/// The part of the block's power that must be in the two: speech has more elsewhere.
const PURITY: f32 = 0.75;

const ROWS: [f32; 4] = [697.0, 770.0, 852.0, 941.0];
const COLUMNS: [f32; 4] = [1209.0, 1336.0, 1477.0, 1633.0];

/// Listens to one stream for digits.
#[derive(Debug)]
pub(crate) struct Detector {
    resampler: Option<Resampler>,
    block: [f32; BLOCK],
    filled: usize,
    /// What the last blocks said, and how many in a row.
    candidate: Option<char>,
    count: u8,
    /// The digit being heard.
    current: Option<char>,
}

impl Detector {
    pub(crate) const fn new() -> Self {
        Self { resampler: None, block: [0.0; BLOCK], filled: 0, candidate: None, count: 0, current: None }
    }

    /// Listens to a frame; returns a digit that begins in it.
    pub(crate) fn hear(&mut self, frame: &Frame) -> Option<char> {
        let mut narrow = Frame::silence(RATE);
        let frame = if frame.rate() == RATE {
            frame
        } else {
            if self.resampler.as_ref().is_none_or(|r| r.from() != frame.rate()) {
                self.resampler = Some(Resampler::new(frame.rate(), RATE));
            }
            if let Some(resampler) = &mut self.resampler {
                resampler.frame(frame, &mut narrow);
            }
            &narrow
        };
        let mut found = None;
        for sample in frame.samples() {
            self.block[self.filled] = f32::from(*sample);
            self.filled += 1;
            if self.filled == BLOCK {
                found = self.decide(judge(&self.block)).or(found);
                self.block.copy_within(HOP.., 0);
                self.filled = BLOCK - HOP;
            }
        }
        found
    }

    fn decide(&mut self, heard: Option<char>) -> Option<char> {
        self.count = if heard == self.candidate { self.count.saturating_add(1) } else { 1 };
        self.candidate = heard;
        if self.count < AGREE || heard == self.current {
            return None;
        }
        self.current = heard;
        heard
    }
}

/// The digit that sounds in a block.
fn judge(block: &[f32; BLOCK]) -> Option<char> {
    let total: f32 = block.iter().map(|s| s * s).sum::<f32>() / BLOCK as f32;
    if total < FLOOR {
        return None;
    }
    let rows = ROWS.map(|hz| power(block, hz));
    let columns = COLUMNS.map(|hz| power(block, hz));
    let (row, low) = peak(&rows)?;
    let (column, high) = peak(&columns)?;
    let balanced = low < high * TWIST && high < low * TWIST;
    (balanced && low + high > total * PURITY).then(|| digit_at(row, column)).flatten()
}

/// The strongest of a group, when it stands out.
fn peak(powers: &[f32; 4]) -> Option<(usize, f32)> {
    let (at, strongest) = powers.iter().copied().enumerate().max_by(|a, b| a.1.total_cmp(&b.1))?;
    let alone = powers.iter().enumerate().all(|(i, p)| i == at || *p * PEAK < strongest);
    alone.then_some((at, strongest))
}

/// The mean square of the sine of `hz` in a block.
fn power(block: &[f32; BLOCK], hz: f32) -> f32 {
    let coefficient = 2.0 * (std::f32::consts::TAU * hz / RATE as f32).cos();
    let (mut s1, mut s2) = (0.0, 0.0);
    for sample in block {
        (s1, s2) = (sample + coefficient * s1 - s2, s1);
    }
    let magnitude = s1 * s1 + s2 * s2 - coefficient * s1 * s2;
    2.0 * magnitude / (BLOCK * BLOCK) as f32
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        dtmf,
        tone::{Tone, amplitude},
    };

    fn hear(samples: &[i16], rate: u32) -> String {
        let mut detector = Detector::new();
        let frames = samples.chunks(rate as usize / 50);
        frames.filter_map(|f| detector.hear(&Frame::from_samples(f, rate))).collect()
    }

    fn dial(digits: &str, ms: usize, rate: u32, db: f32) -> Vec<i16> {
        let per_ms = rate as usize / 1000;
        let mut all = vec![0; 50 * per_ms];
        for digit in digits.chars() {
            all.extend(dtmf::tone(digit, rate, amplitude(db)).unwrap().take(ms * per_ms));
            all.extend(vec![0; ms.max(50) * per_ms]);
        }
        all
    }

    #[test]
    fn each_digit_is_heard_once_at_each_rate_length_and_level() {
        for rate in [8000, 16_000, 48_000] {
            for ms in [50, 80, 500] {
                for db in [9.0, 18.0, 30.0] {
                    let all = "1234567890*#ABCD5511";
                    assert_eq!(hear(&dial(all, ms, rate, db), rate), all, "{rate} Hz, {ms} ms, -{db} dB");
                }
            }
        }
    }

    #[test]
    fn single_tones_and_chords_are_no_digits() {
        for hz in (300..3400).step_by(37) {
            assert_eq!(hear(&Tone::new(hz as f32, 8000, 8000.0).take(8000), 8000), "", "{hz}");
        }
        let mut chord = Tone::new(697.0, 8000, 5000.0).take(8000);
        for hz in [1209.0, 1477.0, 500.0] {
            let other = Tone::new(hz, 8000, 5000.0).take(8000);
            chord.iter_mut().zip(other).for_each(|(a, b)| *a = a.saturating_add(b));
        }
        assert_eq!(hear(&chord, 8000), "");
    }
}
