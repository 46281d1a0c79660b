//! Sounds by name and length; WAV files in and out.

use std::{fs, io, path::Path, time::Duration};

use crate::{CallError, Prompt};

/// The pitch of a scripted caller's voice in recordings.
pub const SPEECH_HZ: f64 = 400.0;

/// Sampling rate of what is recorded.
const RATE: u32 = 8000;

/// How long a named prompt lasts when no sound folder is given.
const USUAL: Duration = Duration::from_secs(2);

/// A sound to be heard: no name means silence.
#[derive(Debug, Clone)]
pub(super) struct Sound {
    pub(super) name: Option<String>,
    pub(super) length: Duration,
}

/// What a sound is called in an outcome; none for silence and sequences.
pub(super) fn name(prompt: &Prompt) -> Option<String> {
    match prompt {
        Prompt::Named(name) => Some(name.to_string()),
        Prompt::File(path) => Some(path.display().to_string()),
        Prompt::Tone { hz, .. } => Some(format!("tone {hz} Hz")),
        Prompt::Silence(_) | Prompt::Sequence(_) => None,
    }
}

/// The parts of a prompt, in order; a file that cannot be read is the error a real core would give.
pub(super) fn parts(prompt: &Prompt, sounds: Option<&Path>) -> Result<Vec<Sound>, CallError> {
    let length = match prompt {
        Prompt::Sequence(prompts) => {
            let mut all = Vec::new();
            for prompt in prompts.iter() {
                all.extend(parts(prompt, sounds)?);
            }
            return Ok(all);
        }
        Prompt::Named(name) => match sounds {
            Some(folder) => file_length(&folder.join(format!("{name}.wav")))?,
            None => USUAL,
        },
        Prompt::File(path) => file_length(path)?,
        Prompt::Tone { length, .. } | Prompt::Silence(length) => *length,
    };
    Ok(vec![Sound { name: name(prompt), length }])
}

fn file_length(path: &Path) -> Result<Duration, CallError> {
    let fault = |reason: String| CallError::Prompt { path: path.to_owned(), reason: reason.into() };
    let bytes = fs::read(path).map_err(|error| fault(error.to_string()))?;
    wav_length(&bytes).ok_or_else(|| fault("not a WAV file".to_owned()))
}

/// The length by the header: the byte rate of `fmt `, the size of `data`.
fn wav_length(bytes: &[u8]) -> Option<Duration> {
    if bytes.get(..4)? != b"RIFF" || bytes.get(8..12)? != b"WAVE" {
        return None;
    }
    let (mut at, mut byte_rate) = (12, None);
    loop {
        let size = u32::from_le_bytes(bytes.get(at + 4..at + 8)?.try_into().ok()?);
        match bytes.get(at..at + 4)? {
            b"fmt " => {
                byte_rate = Some(u32::from_le_bytes(bytes.get(at + 16..at + 20)?.try_into().ok()?));
            }
            b"data" => {
                let rate = byte_rate.filter(|rate| *rate > 0)?;
                return Some(Duration::from_secs_f64(f64::from(size) / f64::from(rate)));
            }
            _ => {}
        }
        at += 8 + usize::try_from(size).ok()?.next_multiple_of(2);
    }
}

/// Writes 16-bit mono WAV of 8 kHz: speech (a tone of [`SPEECH_HZ`]) in the given spans, silence elsewhere.
pub fn write_wav(path: &Path, length: Duration, speech: &[(Duration, Duration)]) -> io::Result<()> {
    let count = (length.as_secs_f64() * f64::from(RATE)).round() as u32;
    let data = count * 2;
    let mut bytes = Vec::with_capacity(44 + data as usize);
    bytes.extend(b"RIFF");
    bytes.extend((36 + data).to_le_bytes());
    bytes.extend(b"WAVEfmt ");
    bytes.extend(16_u32.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(1_u16.to_le_bytes());
    bytes.extend(RATE.to_le_bytes());
    bytes.extend((RATE * 2).to_le_bytes());
    bytes.extend(2_u16.to_le_bytes());
    bytes.extend(16_u16.to_le_bytes());
    bytes.extend(b"data");
    bytes.extend(data.to_le_bytes());
    for sample in 0..count {
        let at = f64::from(sample) / f64::from(RATE);
        let spoken = speech.iter().any(|(from, to)| (from.as_secs_f64()..to.as_secs_f64()).contains(&at));
        let level = if spoken { (at * SPEECH_HZ * std::f64::consts::TAU).sin() * 8000.0 } else { 0.0 };
        bytes.extend((level as i16).to_le_bytes());
    }
    fs::write(path, bytes)
}
