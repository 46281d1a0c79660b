//! Repair of a WAV file whose writer died: the sizes in its header are made those of the file.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::Path,
    time::Duration,
};

/// Why a WAV file cannot be repaired.
#[derive(Debug, thiserror::Error)]
pub(crate) enum WavError {
    #[error(transparent)]
    Io(#[from] io::Error),
    /// Not even a header: the writer died before the first sound.
    #[error("empty")]
    Empty,
    #[error("not a WAV file: {0}")]
    Corrupt(&'static str),
}

/// A header longer than this is none of ours.
const HEADER: u64 = 64 * 1024;
/// `RIFF`, its size, `WAVE`, a `fmt ` chunk of 16 bytes, and the head of the `data` chunk.
const SHORTEST: u64 = 44;

#[derive(Debug, Clone, Copy)]
struct Layout {
    bytes_per_second: u32,
    block: u64,
    /// Where the size of the `data` chunk stands; the sound begins 4 bytes behind.
    size_at: u64,
    size: u64,
}

/// Makes the header true, syncs the file, and returns the length of its sound. Nothing is cut but a sample that
/// was written in part.
pub(crate) fn repair(path: &Path) -> Result<Duration, WavError> {
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let length = file.metadata()?.len();
    let mut header = Vec::new();
    (&file).take(HEADER).read_to_end(&mut header)?;
    if length < SHORTEST || header.iter().all(|byte| *byte == 0) {
        return Err(WavError::Empty);
    }
    let layout = parse(&header)?;
    let begin = layout.size_at + 4;
    let end = begin + layout.size + layout.size % 2;
    let size = if layout.size > 0 && chunks_end_at(&mut file, end, length)? {
        layout.size
    } else {
        let size = length.saturating_sub(begin);
        let size = size - size % layout.block;
        file.set_len(begin + size)?;
        write_size(&mut file, layout.size_at, size)?;
        write_size(&mut file, 4, begin + size - 8)?;
        size
    };
    file.sync_all()?;
    Ok(Duration::from_millis(size.saturating_mul(1000) / u64::from(layout.bytes_per_second)))
}

fn write_size(file: &mut File, at: u64, size: u64) -> io::Result<()> {
    file.seek(SeekFrom::Start(at))?;
    file.write_all(&u32::try_from(size).unwrap_or(u32::MAX).to_le_bytes())
}

/// Whether whole chunks fill the file from `at` to its end, as they do in one that was finished.
fn chunks_end_at(file: &mut File, mut at: u64, length: u64) -> io::Result<bool> {
    while at < length {
        let mut head = [0; 8];
        file.seek(SeekFrom::Start(at))?;
        if length - at < 8 {
            return Ok(false);
        }
        file.read_exact(&mut head)?;
        let [a, b, c, d, size @ ..] = head;
        if ![a, b, c, d].iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b' ') {
            return Ok(false);
        }
        let size = u64::from(u32::from_le_bytes(size));
        at += 8 + size + size % 2;
    }
    Ok(at == length)
}

fn parse(header: &[u8]) -> Result<Layout, WavError> {
    if header.get(..4) != Some(b"RIFF") || header.get(8..12) != Some(b"WAVE") {
        return Err(WavError::Corrupt("no RIFF header"));
    }
    let mut at = 12;
    let mut format = None;
    loop {
        let id = header.get(at..at + 4).ok_or(WavError::Corrupt("no data chunk"))?;
        let size = u32_at(header, at + 4).ok_or(WavError::Corrupt("no data chunk"))?;
        match id {
            b"fmt " => format = Some(parse_format(header.get(at + 8..).unwrap_or_default())?),
            b"data" => {
                let (bytes_per_second, block) = format.ok_or(WavError::Corrupt("no format"))?;
                let size_at = (at + 4) as u64;
                return Ok(Layout { bytes_per_second, block, size_at, size: u64::from(size) });
            }
            _ => {}
        }
        at += 8 + size as usize + size as usize % 2;
    }
}

/// Bytes a second, and bytes a sample (of all channels).
fn parse_format(body: &[u8]) -> Result<(u32, u64), WavError> {
    let fields = (u16_at(body, 2), u32_at(body, 4), u16_at(body, 12));
    let (Some(channels), Some(rate), Some(block)) = fields else {
        return Err(WavError::Corrupt("short format"));
    };
    if !(1..=8).contains(&channels) || !(1_000..=384_000).contains(&rate) || !(1..=64).contains(&block) {
        return Err(WavError::Corrupt("impossible format"));
    }
    Ok((rate * u32::from(block), u64::from(block)))
}

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    bytes.get(at..at + 2)?.try_into().ok().map(u16::from_le_bytes)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4)?.try_into().ok().map(u32::from_le_bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u32 = 8_000;

    fn wav(seconds: u32) -> Vec<u8> {
        let spec = hound::WavSpec {
            channels: 1,
            sample_rate: SECOND,
            bits_per_sample: 16,
            sample_format: hound::SampleFormat::Int,
        };
        let mut bytes = io::Cursor::new(Vec::new());
        let mut writer = hound::WavWriter::new(&mut bytes, spec).unwrap();
        for n in 0..seconds * SECOND {
            writer.write_sample((n % 100) as i16).unwrap();
        }
        writer.finalize().unwrap();
        bytes.into_inner()
    }

    fn repaired(bytes: &[u8]) -> (Result<Duration, WavError>, Vec<u8>) {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let result = repair(file.path());
        (result, std::fs::read(file.path()).unwrap())
    }

    #[test]
    fn a_whole_file_is_left_as_it_is() {
        let bytes = wav(3);
        let (length, after) = repaired(&bytes);
        assert_eq!(length.unwrap(), Duration::from_secs(3));
        assert!(after == bytes);
    }

    #[test]
    fn sound_behind_a_stale_header_is_regained() {
        // The header of one second, or of none, before three seconds and an odd byte of sound.
        for stale in [SECOND * 2, 0] {
            let mut bytes = wav(3);
            bytes[40..44].copy_from_slice(&stale.to_le_bytes());
            bytes[4..8].copy_from_slice(&(stale + 36).to_le_bytes());
            bytes.push(7);
            let (length, after) = repaired(&bytes);
            assert_eq!(length.unwrap(), Duration::from_secs(3), "{stale}");
            let samples = hound::WavReader::new(&after[..]).unwrap().into_samples::<i16>();
            assert_eq!(samples.map(Result::unwrap).count(), 3 * SECOND as usize);
        }
    }

    #[test]
    fn a_header_that_promises_more_than_there_is_is_corrected() {
        let bytes = wav(3);
        let (length, after) = repaired(&bytes[..44 + 2 * SECOND as usize]);
        assert_eq!(length.unwrap(), Duration::from_secs(1));
        assert_eq!(hound::WavReader::new(&after[..]).unwrap().duration(), SECOND);
    }

    #[test]
    fn what_is_no_sound_is_told_from_what_is_not_there() {
        assert!(matches!(repaired(&[]).0, Err(WavError::Empty)));
        assert!(matches!(repaired(&wav(1)[..40]).0, Err(WavError::Empty)));
        assert!(matches!(repaired(&[0; 5000]).0, Err(WavError::Empty)));
        assert!(matches!(repaired(&[7; 5000]).0, Err(WavError::Corrupt(_))));
        let mut impossible = wav(1);
        impossible[32] = 0;
        assert!(matches!(repaired(&impossible).0, Err(WavError::Corrupt(_))));
    }

    #[test]
    fn no_header_panics() {
        let bytes = wav(1);
        for at in 0..44 {
            for value in [0, 1, 0x7f, 0xff] {
                let mut broken = bytes.clone();
                broken[at] = value;
                let _ = repaired(&broken);
            }
        }
    }
}
