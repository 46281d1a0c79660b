//! Sounds from files: WAV, MP3, Ogg Vorbis and FLAC.

use std::{path::Path, time::Duration};

/// A sound in memory: mono.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sound {
    /// The samples.
    pub samples: Vec<i16>,
    /// The sample rate in Hz: 8,000, 16,000 or 48,000.
    pub rate: u32,
}

impl Sound {
    /// How long it is.
    pub fn duration(&self) -> Duration {
        Duration::from_micros(self.samples.len() as u64 * 1_000_000 / u64::from(self.rate.max(1)))
    }
}

/// Why a file is no sound.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It cannot be read.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// In no format we know, or broken.
    #[error("not a sound: {0}")]
    Format(String),
    /// Longer than [`MAX_DURATION`].
    #[error("longer than an hour")]
    TooLong,
}

/// The longest sound that is loaded.
pub const MAX_DURATION: Duration = Duration::from_secs(3600);

/// Reads a file; blocks. Channels are averaged. With no `rate`, that of the file, raised to the next of 8, 16
/// and 48 kHz.
pub fn load(path: &Path, rate: Option<u32>) -> Result<Sound, LoadError> {
    let _ = (path, rate);
    todo!()
}
