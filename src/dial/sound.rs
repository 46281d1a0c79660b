//! What the softphone says and what it hears.

use std::{
    fs::File,
    io::BufWriter,
    path::{Path, PathBuf},
};

use sems_media::{Frame, load, tone::Tone, wav::WavWriter};

/// What is said.
pub(super) enum Mouth {
    /// A file, then silence.
    File { samples: Vec<i16>, rate: u32, at: usize },
    /// A tone without end.
    Tone(Tone),
}

impl Mouth {
    pub(super) fn open(file: Option<&PathBuf>, rate: u32) -> Result<Self, String> {
        let Some(path) = file else {
            return Ok(Self::Tone(Tone::new(440.0, rate, sems_media::tone::amplitude(16.0))));
        };
        let sound = load::load(path, Some(rate)).map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(Self::File { samples: sound.samples, rate, at: 0 })
    }

    /// The next 20 ms at `rate`, the one it was opened with.
    pub(super) fn next(&mut self, rate: u32) -> Frame {
        match self {
            Self::File { samples, rate, at } => {
                let length = (*rate / 50) as usize;
                let from = samples.get(*at..).unwrap_or_default();
                let frame = Frame::from_samples(from.get(..length).unwrap_or(from), *rate);
                *at = (*at + length).min(samples.len());
                frame
            }
            Self::Tone(tone) => {
                let mut frame = Frame::silence(rate);
                tone.fill(frame.samples_mut());
                frame
            }
        }
    }
}

/// What is heard: measured, and written where wanted.
pub(super) struct Ear {
    file: Option<WavWriter<BufWriter<File>>>,
    squares: f64,
    samples: u64,
}

impl Ear {
    pub(super) fn open(path: Option<&Path>, rate: u32) -> Result<Self, String> {
        let file = path
            .map(|path| {
                let file = File::create(path)?;
                WavWriter::new(BufWriter::new(file), rate)
            })
            .transpose()
            .map_err(|error| format!("{}: {error}", path.unwrap_or_else(|| Path::new("")).display()))?;
        Ok(Self { file, squares: 0.0, samples: 0 })
    }

    pub(super) fn hear(&mut self, frame: &Frame) -> Result<(), String> {
        self.squares += frame.samples().iter().map(|s| f64::from(*s).powi(2)).sum::<f64>();
        self.samples += frame.samples().len() as u64;
        match &mut self.file {
            Some(file) => file.write(frame.samples()).map_err(|error| format!("--record: {error}")),
            None => Ok(()),
        }
    }

    /// The mean level so far in dB below full scale; none for silence.
    pub(super) fn level(&self) -> Option<f64> {
        let rms = (self.squares / self.samples.max(1) as f64).sqrt();
        (rms > 0.0).then(|| 20.0 * (rms / f64::from(i16::MAX)).log10())
    }

    pub(super) fn close(&mut self) {
        if let Some(file) = self.file.take()
            && let Err(error) = file.finish()
        {
            eprintln!("sems dial: --record: {error}");
        }
    }
}
