//! Sounds from files: WAV, MP3, Ogg Vorbis and FLAC.

use std::{fs::File, io::BufReader, path::Path, time::Duration};

use symphonia::core::{
    formats::{TrackType, probe::Hint},
    io::MediaSourceStream,
};

use crate::resample;

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
///
/// # Errors
/// When it cannot be read, is in none of the formats, has no sound in it, or is longer than [`MAX_DURATION`].
pub fn load(path: &Path, rate: Option<u32>) -> Result<Sound, LoadError> {
    let (samples, found) = match wav(path)? {
        Some(sound) => sound,
        None => any(path)?,
    };
    if samples.is_empty() {
        return Err(LoadError::Format("it is empty".to_owned()));
    }
    let rate = rate.unwrap_or(match found {
        0..=8000 => 8000,
        8001..=16_000 => 16_000,
        _ => 48_000,
    });
    Ok(Sound { samples: if rate == found { samples } else { resample(&samples, found, rate) }, rate })
}

type Raw = (Vec<i16>, u32);

/// Reads integer PCM in a WAV file; none for anything else.
fn wav(path: &Path) -> Result<Option<Raw>, LoadError> {
    let file = BufReader::new(File::open(path)?);
    let Ok(reader) = hound::WavReader::new(file) else { return Ok(None) };
    let spec = reader.spec();
    if spec.sample_format != hound::SampleFormat::Int || spec.channels == 0 {
        return Ok(None);
    }
    let mut mono = Mono::new(usize::from(spec.channels), spec.sample_rate)?;
    let shift = i32::from(spec.bits_per_sample) - 16;
    for sample in reader.into_samples::<i32>() {
        // A file that was cut off plays as far as it goes.
        let Ok(sample) = sample else { break };
        mono.add(if shift >= 0 { sample >> shift } else { sample << -shift })?;
    }
    Ok(Some((mono.samples, spec.sample_rate)))
}

/// Reads whatever else there is.
fn any(path: &Path) -> Result<Raw, LoadError> {
    let wrong = |error: symphonia::core::errors::Error| LoadError::Format(error.to_string());
    let source = MediaSourceStream::new(Box::new(File::open(path)?), Default::default());
    let mut hint = Hint::new();
    if let Some(extension) = path.extension().and_then(|extension| extension.to_str()) {
        hint.with_extension(extension);
    }
    let probe = symphonia::default::get_probe();
    let mut format = probe.probe(&hint, source, Default::default(), Default::default()).map_err(wrong)?;
    let track = format.default_track(TrackType::Audio);
    let (id, parameters) = track
        .and_then(|track| Some((track.id, track.codec_params.as_ref()?.audio()?.clone())))
        .ok_or_else(|| LoadError::Format("no sound in it".to_owned()))?;
    let codecs = symphonia::default::get_codecs();
    let mut decoder = codecs.make_audio_decoder(&parameters, &Default::default()).map_err(wrong)?;
    let mut mono: Option<Mono> = None;
    let mut block: Vec<i16> = Vec::new();
    while let Ok(Some(packet)) = format.next_packet() {
        if packet.track_id != id {
            continue;
        }
        let buffer = match decoder.decode(&packet) {
            Ok(buffer) => buffer,
            Err(symphonia::core::errors::Error::DecodeError(_)) => continue,
            Err(_) => break,
        };
        let (channels, rate) = (buffer.spec().channels().count(), buffer.spec().rate());
        let mono = match &mut mono {
            Some(mono) if mono.channels == channels && mono.rate == rate => mono,
            Some(_) => break,
            None => mono.insert(Mono::new(channels, rate)?),
        };
        buffer.copy_to_vec_interleaved(&mut block);
        for sample in &block {
            mono.add(i32::from(*sample))?;
        }
    }
    let mono = mono.ok_or_else(|| LoadError::Format("no sound in it".to_owned()))?;
    Ok((mono.samples, mono.rate))
}

/// Averages channels.
struct Mono {
    channels: usize,
    rate: u32,
    sum: i32,
    count: usize,
    most: usize,
    samples: Vec<i16>,
}

impl Mono {
    fn new(channels: usize, rate: u32) -> Result<Self, LoadError> {
        if channels == 0 || !(1000..=192_000).contains(&rate) {
            return Err(LoadError::Format(format!("{channels} channels at {rate} Hz")));
        }
        let most = MAX_DURATION.as_secs() as usize * rate as usize;
        Ok(Self { channels, rate, sum: 0, count: 0, most, samples: Vec::new() })
    }

    fn add(&mut self, sample: i32) -> Result<(), LoadError> {
        self.sum += sample;
        self.count += 1;
        if self.count == self.channels {
            if self.samples.len() == self.most {
                return Err(LoadError::TooLong);
            }
            self.samples.push((self.sum / self.channels as i32).clamp(-32_768, 32_767) as i16);
            (self.sum, self.count) = (0, 0);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{analysis::goertzel, tone::Tone};

    #[test]
    fn wav_files_of_any_width_channels_and_rate_are_loaded() {
        let folder = tempfile::tempdir().unwrap();
        for (bits, channels, rate, expected) in
            [(16, 1, 8000, 8000), (24, 2, 44_100, 48_000), (16, 2, 22_050, 48_000), (8, 1, 11_025, 16_000)]
        {
            let path = folder.path().join("sound.wav");
            let sample_format = hound::SampleFormat::Int;
            let spec = hound::WavSpec { channels, sample_rate: rate, bits_per_sample: bits, sample_format };
            let mut writer = hound::WavWriter::create(&path, spec).unwrap();
            for sample in Tone::new(440.0, rate, 16_384.0).take(rate as usize) {
                let sample =
                    if bits >= 16 { i32::from(sample) << (bits - 16) } else { i32::from(sample) >> 8 };
                (0..channels).for_each(|_| writer.write_sample(sample).unwrap());
            }
            writer.finalize().unwrap();
            let sound = load(&path, None).unwrap();
            assert_eq!(sound.rate, expected);
            assert_eq!(sound.duration(), Duration::from_secs(1));
            assert!((goertzel(&sound.samples, expected, 440.0) + 6.0).abs() < 0.5);
            assert_eq!(load(&path, Some(8000)).unwrap().samples.len(), 8000);
        }
    }

    #[test]
    fn what_is_not_integer_pcm_is_loaded_by_the_other_reader() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("float.wav");
        let sample_format = hound::SampleFormat::Float;
        let spec = hound::WavSpec { channels: 2, sample_rate: 16_000, bits_per_sample: 32, sample_format };
        let mut writer = hound::WavWriter::create(&path, spec).unwrap();
        for sample in Tone::new(440.0, 16_000, 16_384.0).take(16_000) {
            (0..2).for_each(|_| writer.write_sample(f32::from(sample) / 32_768.0).unwrap());
        }
        writer.finalize().unwrap();
        let sound = load(&path, None).unwrap();
        assert_eq!((sound.rate, sound.samples.len()), (16_000, 16_000));
        assert!((goertzel(&sound.samples, 16_000, 440.0) + 6.0).abs() < 0.2);
    }

    #[test]
    fn what_is_no_sound_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        assert!(matches!(load(&folder.path().join("absent.wav"), None), Err(LoadError::Io(_))));
        for (name, content) in [("text.mp3", &b"hello"[..]), ("empty.wav", b""), ("short.ogg", b"OggS")] {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            assert!(matches!(load(&path, None), Err(LoadError::Format(_))), "{name}");
        }
    }
}
