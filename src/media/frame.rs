//! Twenty milliseconds of sound.

/// The longest frame, in samples: 20 ms at 48 kHz.
pub(crate) const MAX_SAMPLES: usize = 960;

/// Frames per second.
pub(crate) const PER_SECOND: u32 = 50;

/// 20 ms of mono 16-bit samples at 8, 16 or 48 kHz, without heap.
#[derive(Debug, Clone)]
pub struct Frame {
    samples: [i16; MAX_SAMPLES],
    len: u16,
    rate: u32,
}

impl Frame {
    /// Silence at `rate` Hz (8,000, 16,000 or 48,000; higher rates are taken as 48,000).
    pub const fn silence(rate: u32) -> Self {
        let rate = if rate > 48_000 { 48_000 } else { rate };
        Self { samples: [0; MAX_SAMPLES], len: (rate / PER_SECOND) as u16, rate }
    }

    /// A frame of `samples` at `rate` Hz: what is missing of 20 ms is silence, what is too much is cut off.
    pub fn from_samples(samples: &[i16], rate: u32) -> Self {
        let mut frame = Self::silence(rate);
        for (to, from) in frame.samples_mut().iter_mut().zip(samples) {
            *to = *from;
        }
        frame
    }

    /// The samples: `rate / 50` of them.
    pub fn samples(&self) -> &[i16] {
        self.samples.get(..usize::from(self.len)).unwrap_or_default()
    }

    /// The samples, to be written.
    pub fn samples_mut(&mut self) -> &mut [i16] {
        self.samples.get_mut(..usize::from(self.len)).unwrap_or_default()
    }

    /// The sample rate in Hz.
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// Makes it silence at `rate` Hz.
    pub fn reset(&mut self, rate: u32) {
        self.set_rate(rate);
        self.samples_mut().fill(0);
    }

    /// Changes the rate (and so the length); the samples are whatever was there, to be overwritten.
    pub fn set_rate(&mut self, rate: u32) {
        self.rate = rate.min(48_000);
        self.len = (self.rate / PER_SECOND) as u16;
    }
}

impl Default for Frame {
    fn default() -> Self {
        Self::silence(8000)
    }
}
