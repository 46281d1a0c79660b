//! Shortening sound without a click: a period is left out, and its ends blended.

/// The crossfade.
const OVERLAP_MS: usize = 5;
/// The shortest piece that is left out: a period of 400 Hz.
const SHORTEST_MS: f32 = 2.5;
/// The longest piece that is left out.
const LONGEST_MS: usize = 15;

/// How many samples [`shorten`] looks at.
pub(super) const fn needed(rate: u32) -> usize {
    rate as usize / 1000 * (OVERLAP_MS + LONGEST_MS)
}

/// Leaves out as many of the first samples as fit best, and returns how many: the sound begins at that index
/// then. None when there are too few samples.
pub(super) fn shorten(samples: &mut [i16], rate: u32) -> Option<usize> {
    let per_ms = rate as usize / 1000;
    let overlap = OVERLAP_MS * per_ms;
    let shortest = (SHORTEST_MS * per_ms as f32) as usize;
    if samples.len() < needed(rate) || per_ms == 0 {
        return None;
    }
    let stride = per_ms.div_ceil(8);
    let mut best = (f32::MIN, shortest);
    for lag in (shortest..=LONGEST_MS * per_ms).step_by(stride) {
        let (mut cross, mut power) = (0.0f32, 1.0f32);
        for (a, b) in samples[..overlap].iter().zip(&samples[lag..lag + overlap]).step_by(stride) {
            cross += f32::from(*a) * f32::from(*b);
            power += f32::from(*b) * f32::from(*b);
        }
        // The longest of equals, so that it has to be done less often.
        let score = cross / power.sqrt();
        if score >= best.0 {
            best = (score, lag);
        }
    }
    let lag = best.1;
    for i in 0..overlap {
        let weight = (i + 1) as f32 / (overlap + 1) as f32;
        let (from, to) = (f32::from(samples[i]), f32::from(samples[lag + i]));
        samples[lag + i] = (from + (to - from) * weight) as i16;
    }
    Some(lag)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis::max_step, tone::Tone};

    #[test]
    fn a_shortened_tone_has_no_click() {
        for hz in [150.0, 440.0, 1000.0] {
            let mut samples = Tone::new(hz, 8000, 10_000.0).take(800);
            let whole = max_step(&samples);
            let cut = shorten(&mut samples[..320], 8000).unwrap();
            assert!((20..=120).contains(&cut));
            assert!(max_step(&samples[cut..]) <= whole * 5 / 4, "{hz}: {} of {whole}", max_step(&samples));
        }
    }
}
