//! Changing the sample rate.

/// Changes the rate of one stream; keeps its state between blocks. 8, 16 and 48 kHz any to any, and every other
/// pair of rates up to 192 kHz.
#[derive(Debug, Clone)]
pub struct Resampler {
    from: u32,
    to: u32,
}

impl Resampler {
    /// A resampler from one rate in Hz to another.
    pub fn new(from: u32, to: u32) -> Self {
        Self { from, to }
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
        let _ = (samples, out);
        todo!()
    }

    /// Resamples a frame into another, which gets this resampler's rate.
    pub fn frame(&mut self, frame: &crate::Frame, out: &mut crate::Frame) {
        out.set_rate(self.to);
        self.process(frame.samples(), out.samples_mut());
    }
}

/// Resamples a whole sound, without delay.
pub fn resample(samples: &[i16], from: u32, to: u32) -> Vec<i16> {
    let _ = (samples, from, to);
    todo!()
}
