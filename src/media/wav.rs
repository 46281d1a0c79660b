//! WAV files that are readable at every moment of their writing.
//!
//! Mono 16-bit PCM with the plain header of 44 bytes. [`WavWriter::flush`] makes the lengths in the header those
//! of what was written, so that a process that is killed leaves a file that plays; [`repair`] mends what was
//! written after the last flush.

use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom, Write},
    time::Duration,
};

/// The length of the header, in bytes.
pub const HEADER: u64 = 44;

/// Samples are turned into bytes in blocks of this many.
const BLOCK: usize = 4096;

/// Writes a WAV file.
#[derive(Debug)]
pub struct WavWriter<W: Write + Seek> {
    inner: W,
    rate: u32,
    samples: u64,
}

impl<W: Write + Seek> WavWriter<W> {
    /// Writes the header of an empty file at `rate` Hz.
    pub fn new(mut inner: W, rate: u32) -> io::Result<Self> {
        inner.write_all(&header(rate, 0))?;
        Ok(Self { inner, rate, samples: 0 })
    }

    /// Appends samples.
    pub fn write(&mut self, samples: &[i16]) -> io::Result<()> {
        let mut bytes = [0; BLOCK * 2];
        for block in samples.chunks(BLOCK) {
            for (to, sample) in bytes.chunks_exact_mut(2).zip(block) {
                to.copy_from_slice(&sample.to_le_bytes());
            }
            let bytes = bytes.get(..block.len() * 2).unwrap_or_default();
            self.inner.write_all(bytes)?;
            self.samples += block.len() as u64;
        }
        Ok(())
    }

    /// Makes the header say how much there is, and flushes the writer.
    pub fn flush(&mut self) -> io::Result<()> {
        self.inner.rewind()?;
        self.inner.write_all(&header(self.rate, self.samples * 2))?;
        self.inner.seek(SeekFrom::Start(HEADER + self.samples * 2))?;
        self.inner.flush()
    }

    /// The last flush; returns what was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.flush()?;
        Ok(self.inner)
    }

    /// What is written to (for `sync_data`, or to cut a tail off).
    pub fn get_mut(&mut self) -> &mut W {
        &mut self.inner
    }

    /// How many samples were written.
    pub const fn samples(&self) -> u64 {
        self.samples
    }

    /// The sample rate in Hz.
    pub const fn rate(&self) -> u32 {
        self.rate
    }

    /// How long it is.
    pub fn duration(&self) -> Duration {
        duration(self.samples, self.rate)
    }
}

impl WavWriter<File> {
    /// Forgets everything after the first `samples` samples, and makes the header say so.
    pub fn truncate(&mut self, samples: u64) -> io::Result<()> {
        if samples < self.samples {
            self.samples = samples;
            self.inner.set_len(HEADER + samples * 2)?;
            self.inner.seek(SeekFrom::End(0))?;
        }
        self.flush()
    }
}

/// Makes the header of an orphaned file say how much there really is, and returns its duration.
///
/// A trailing odd byte is cut off. A file too short to have a header becomes an empty one at 8 kHz.
///
/// # Errors
/// Those of the file; `InvalidData` when it is not one of ours (mono 16-bit PCM, header of 44 bytes).
pub fn repair(file: &mut File) -> io::Result<Duration> {
    let len = file.seek(SeekFrom::End(0))?;
    file.rewind()?;
    if len < HEADER {
        file.set_len(0)?;
        file.write_all(&header(8000, 0))?;
        return Ok(Duration::ZERO);
    }
    let mut found = [0; HEADER as usize];
    file.read_exact(&mut found)?;
    let rate = u32::from_le_bytes([found[24], found[25], found[26], found[27]]);
    let expected = header(rate, 0);
    let ours = (0..found.len()).filter(|i| !(4..8).contains(i) && !(40..44).contains(i));
    if rate == 0 || ours.into_iter().any(|i| found[i] != expected[i]) {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "not a recording of ours"));
    }
    let samples = (len - HEADER) / 2;
    file.set_len(HEADER + samples * 2)?;
    file.rewind()?;
    file.write_all(&header(rate, samples * 2))?;
    file.seek(SeekFrom::End(0))?;
    Ok(duration(samples, rate))
}

fn duration(samples: u64, rate: u32) -> Duration {
    Duration::from_micros(samples.saturating_mul(1_000_000) / u64::from(rate.max(1)))
}

/// The header of mono 16-bit PCM with `data` bytes of samples; lengths beyond 4 GiB say 4 GiB.
fn header(rate: u32, data: u64) -> [u8; HEADER as usize] {
    let data = u32::try_from(data).unwrap_or(u32::MAX - 36);
    let mut header = [0; HEADER as usize];
    let fields: [&[u8]; 13] = [
        b"RIFF",
        &data.saturating_add(36).to_le_bytes(),
        b"WAVE",
        b"fmt ",
        &16u32.to_le_bytes(),
        &1u16.to_le_bytes(),
        &1u16.to_le_bytes(),
        &rate.to_le_bytes(),
        &rate.saturating_mul(2).to_le_bytes(),
        &2u16.to_le_bytes(),
        &16u16.to_le_bytes(),
        b"data",
        &data.to_le_bytes(),
    ];
    let bytes = fields.into_iter().flatten();
    for (to, byte) in header.iter_mut().zip(bytes) {
        *to = *byte;
    }
    header
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Cursor;

    #[test]
    fn after_each_flush_the_file_is_whole() {
        let mut writer = WavWriter::new(Cursor::new(Vec::new()), 16_000).unwrap();
        for written in 1..=5usize {
            writer.write(&[written as i16; 320]).unwrap();
            writer.flush().unwrap();
            let copy = writer.get_mut().get_ref().clone();
            let reader = hound::WavReader::new(Cursor::new(copy)).unwrap();
            assert_eq!(reader.spec().sample_rate, 16_000);
            let samples: Vec<i16> = reader.into_samples().map(Result::unwrap).collect();
            assert_eq!(samples.len(), written * 320);
            assert_eq!(samples.last(), Some(&(written as i16)));
        }
        assert_eq!(writer.duration(), Duration::from_millis(100));
    }

    // SEMS-VM-2: what was written before a crash is kept.
    #[test]
    fn an_orphan_is_repaired() {
        let mut file = tempfile::tempfile().unwrap();
        let mut writer = WavWriter::new(&mut file, 8000).unwrap();
        writer.write(&[7; 8000]).unwrap();
        writer.flush().unwrap();
        writer.write(&[8; 800]).unwrap();
        file.write_all(&[1]).unwrap();
        assert_eq!(repair(&mut file).unwrap(), Duration::from_millis(1100));
        file.rewind().unwrap();
        let samples: Vec<i16> =
            hound::WavReader::new(&file).unwrap().into_samples().map(Result::unwrap).collect();
        assert_eq!(samples.len(), 8800);
        assert_eq!(file.metadata().unwrap().len(), HEADER + 17_600);
    }

    #[test]
    fn a_file_without_header_becomes_empty_and_a_foreign_one_is_left_alone() {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"RIF").unwrap();
        assert_eq!(repair(&mut file).unwrap(), Duration::ZERO);
        file.rewind().unwrap();
        assert_eq!(hound::WavReader::new(&file).unwrap().duration(), 0);
        let mut foreign = tempfile::tempfile().unwrap();
        foreign.write_all(&[0x41; 100]).unwrap();
        assert_eq!(repair(&mut foreign).unwrap_err().kind(), io::ErrorKind::InvalidData);
        assert_eq!(foreign.metadata().unwrap().len(), 100);
    }

    #[test]
    fn a_tail_is_cut_off() {
        let mut writer = WavWriter::new(tempfile::tempfile().unwrap(), 8000).unwrap();
        writer.write(&[1; 1600]).unwrap();
        writer.truncate(800).unwrap();
        writer.write(&[2; 8]).unwrap();
        let mut file = writer.finish().unwrap();
        file.rewind().unwrap();
        let samples: Vec<i16> =
            hound::WavReader::new(&file).unwrap().into_samples().map(Result::unwrap).collect();
        assert_eq!(samples.len(), 808);
        assert_eq!(samples[800], 2);
    }
}
