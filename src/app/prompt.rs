//! What can be played.

use std::{path::PathBuf, sync::Arc, time::Duration};

/// A sound, named but not yet loaded; cheap to clone. The core loads and encodes it once and keeps it.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Prompt {
    /// A prompt of the shipped or configured set, without extension: `vm/greeting` is
    /// `sounds/<language>/vm/greeting.wav`.
    Named(Arc<str>),
    /// A sound file: WAV, MP3, Ogg or FLAC.
    File(Arc<PathBuf>),
    /// A sine tone in Hz.
    Tone {
        /// Hz, below half of the call's sampling rate.
        hz: f32,
        /// Its length.
        length: Duration,
    },
    /// Nothing, for this long.
    Silence(Duration),
    /// One after the other, without a gap.
    Sequence(Arc<[Self]>),
}

impl Prompt {
    /// A prompt of the sound set.
    pub fn named(name: impl Into<Arc<str>>) -> Self {
        Self::Named(name.into())
    }

    /// A sound file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(Arc::new(path.into()))
    }

    /// A sine tone.
    pub fn tone(hz: f32, length: Duration) -> Self {
        Self::Tone { hz, length }
    }

    /// One after the other.
    pub fn sequence(parts: impl IntoIterator<Item = Self>) -> Self {
        Self::Sequence(parts.into_iter().collect())
    }

    /// The beep after a greeting: 440 Hz for 400 ms.
    pub fn beep() -> Self {
        Self::tone(440.0, Duration::from_millis(400))
    }
}

impl From<PathBuf> for Prompt {
    fn from(path: PathBuf) -> Self {
        Self::file(path)
    }
}
