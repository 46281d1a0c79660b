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
        for ((to, sum), own) in out.samples_mut().iter_mut().zip(&self.sums).zip(own.samples()) {
            *to = limit(*sum - i32::from(*own));
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
