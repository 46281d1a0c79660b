//! Tones: the sound of a beep, of a digit, of anything that a test listens for.

use std::f32::consts::TAU;

/// The amplitude of a tone of `dbm0` decibels below full scale (a positive number), of 32,767.
pub fn amplitude(db_below: f32) -> f32 {
    32_767.0 * 10f32.powf(-db_below / 20.0)
}

/// One or two sine waves that go on from block to block without a step.
#[derive(Debug, Clone)]
pub struct Tone {
    phases: [f32; 2],
    steps: [f32; 2],
    amplitude: f32,
}

impl Tone {
    /// A sine of `hz` at a sample rate of `rate` Hz, with a peak of `amplitude` of 32,767.
    pub fn new(hz: f32, rate: u32, amplitude: f32) -> Self {
        Self::pair(hz, 0.0, rate, amplitude)
    }

    /// Two sines, each of that amplitude; a frequency of 0 is none.
    pub fn pair(low: f32, high: f32, rate: u32, amplitude: f32) -> Self {
        let rate = rate.max(1) as f32;
        Self { phases: [0.0; 2], steps: [TAU * low / rate, TAU * high / rate], amplitude }
    }

    /// Writes the next samples.
    pub fn fill(&mut self, out: &mut [i16]) {
        for sample in out {
            let mut sum = 0.0;
            for (phase, step) in self.phases.iter_mut().zip(self.steps) {
                sum += phase.sin();
                *phase += step;
                if *phase >= TAU {
                    *phase -= TAU;
                }
            }
            *sample = (sum * self.amplitude).clamp(-32_768.0, 32_767.0) as i16;
        }
    }

    /// The next `count` samples.
    pub fn take(&mut self, count: usize) -> Vec<i16> {
        let mut samples = vec![0; count];
        self.fill(&mut samples);
        samples
    }
}

/// `ms` milliseconds of a sine, its ends rounded over 5 ms so that it does not click.
pub fn beep(hz: f32, ms: u32, rate: u32, amplitude: f32) -> Vec<i16> {
    let mut samples = Tone::new(hz, rate, amplitude).take((rate as u64 * u64::from(ms) / 1000) as usize);
    let edge = (rate as usize / 200).min(samples.len() / 2);
    let len = samples.len();
    for i in 0..edge {
        let gain = i as f32 / edge as f32;
        for at in [i, len - 1 - i] {
            samples[at] = (f32::from(samples[at]) * gain) as i16;
        }
    }
    samples
}
