//! Mixing: sum once, subtract one's own.

use crate::frame::{Frame, MAX_SAMPLES};

/// Sums the frames of a room's members, and gives each the sum without himself.
///
/// All frames of one [`begin`](Self::begin) have its rate; members of other rates are brought to it by a
/// [`Resampler`](crate::Resampler) each, which the caller keeps.
#[derive(Debug)]
pub struct Mixer {
    sums: [i32; MAX_SAMPLES],
    rate: u32,
    members: usize,
}

impl Mixer {
    /// A mixer that has heard nothing.
    pub const fn new() -> Self {
        Self { sums: [0; MAX_SAMPLES], rate: 8000, members: 0 }
    }

    /// Begins a new tick at `rate` Hz.
    pub fn begin(&mut self, rate: u32) {
        self.rate = rate.min(48_000);
        self.members = 0;
        self.sums.fill(0);
    }

    /// The rate of this tick, in Hz.
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// How many frames were added in this tick.
    pub const fn members(&self) -> usize {
        self.members
    }

    /// Adds a frame. One of another rate is left out; returns whether it was taken.
    pub fn add(&mut self, frame: &Frame) -> bool {
        if frame.rate() != self.rate {
            return false;
        }
        for (sum, sample) in self.sums.iter_mut().zip(frame.samples()) {
            *sum += i32::from(*sample);
        }
        self.members += 1;
        true
    }

    /// What a member hears: everything but `own`, the frame he added in this tick.
    pub fn minus(&self, own: &Frame, out: &mut Frame) {
        if own.rate() != self.rate {
            return self.all(out);
        }
        out.set_rate(self.rate);
        let mut loudest = 0;
        for ((to, sum), own) in out.samples_mut().iter_mut().zip(&self.sums).zip(own.samples()) {
            let rest = *sum - i32::from(*own);
            loudest = loudest.max(rest.abs());
            *to = rest as i16;
        }
        // The loop above is one of vectors; this one, with its division, is for loud rooms only.
        if loudest > KNEE {
            for ((to, sum), own) in out.samples_mut().iter_mut().zip(&self.sums).zip(own.samples()) {
                *to = limit(*sum - i32::from(*own));
            }
        }
    }

    /// What somebody hears who added nothing: everything.
    pub fn all(&self, out: &mut Frame) {
        out.set_rate(self.rate);
        for (to, sum) in out.samples_mut().iter_mut().zip(&self.sums) {
            *to = limit(*sum);
        }
    }
}

impl Default for Mixer {
    fn default() -> Self {
        Self::new()
    }
}

/// Below this a sum passes unchanged; above it is bent towards full scale, which it never exceeds.
const KNEE: i32 = 24_000;

/// A soft limiter without memory: continuous and monotone, with slope 1 at the knee.
#[inline]
fn limit(sum: i32) -> i16 {
    let magnitude = sum.unsigned_abs() as i32;
    if magnitude <= KNEE {
        return sum as i16;
    }
    let room = i32::from(i16::MAX) - KNEE;
    let over = magnitude.saturating_sub(KNEE);
    let bent = KNEE + (i64::from(room) * i64::from(over) / (i64::from(room) + i64::from(over))) as i32;
    (bent * sum.signum()) as i16
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Resampler,
        analysis::{goertzel, max_step},
        tone::Tone,
    };

    #[test]
    fn each_member_hears_the_others_and_not_himself() {
        let hz = [400.0, 700.0, 1100.0];
        let rates = [8000, 16_000, 48_000];
        let mut tones: Vec<_> = (0..3).map(|i| Tone::new(hz[i], rates[i], 6000.0)).collect();
        let mut inward: Vec<_> = rates.iter().map(|rate| Resampler::new(*rate, 48_000)).collect();
        let mut outward: Vec<_> = rates.iter().map(|rate| Resampler::new(48_000, *rate)).collect();
        let mut heard = vec![Vec::new(); 3];
        let mut mixer = Mixer::new();
        for _ in 0..50 {
            mixer.begin(48_000);
            let mut frames = Vec::new();
            for i in 0..3 {
                let (mut said, mut wide) = (Frame::silence(rates[i]), Frame::default());
                tones[i].fill(said.samples_mut());
                inward[i].frame(&said, &mut wide);
                assert!(mixer.add(&wide));
                frames.push(wide);
            }
            for i in 0..3 {
                let (mut mixed, mut narrow) = (Frame::default(), Frame::default());
                mixer.minus(&frames[i], &mut mixed);
                outward[i].frame(&mixed, &mut narrow);
                heard[i].extend_from_slice(narrow.samples());
            }
        }
        for i in 0..3 {
            for (j, hz) in hz.into_iter().enumerate() {
                let level = goertzel(&heard[i][rates[i] as usize / 5..], rates[i], f64::from(hz));
                assert!(
                    if i == j { level < -60.0 } else { (level + 14.75).abs() < 0.5 },
                    "{i} hears {j}: {level}"
                );
            }
        }
    }

    #[test]
    fn a_loud_room_is_bent_and_never_wraps() {
        let mut mixer = Mixer::new();
        mixer.begin(8000);
        let loud = Frame::from_samples(&Tone::new(400.0, 8000, 30_000.0).take(160), 8000);
        for _ in 0..1000 {
            mixer.add(&loud);
        }
        let mut out = Frame::default();
        mixer.all(&mut out);
        for (mixed, said) in out.samples().iter().zip(loud.samples()) {
            assert_eq!(mixed.signum(), said.signum());
        }
        let mut last = 0;
        for sum in (0..2_000_000).step_by(37) {
            let limited = limit(sum);
            assert!(limited >= last && limit(-sum) == -limited);
            last = limited;
        }
        assert!(max_step(&[limit(KNEE), limit(KNEE + 1)]) <= 1);
    }

    #[test]
    fn a_frame_of_another_rate_is_left_out() {
        let mut mixer = Mixer::new();
        mixer.begin(8000);
        assert!(!mixer.add(&Frame::silence(16_000)));
        assert_eq!(mixer.members(), 0);
    }
}
