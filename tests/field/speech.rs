//! Which prompts are heard in a recording, and tones by the millisecond.

use std::path::{Path, PathBuf};

use super::{phone::Heard, root};

/// Hz of the bands by which speech is told apart.
const BANDS: [f64; 8] = [250.0, 450.0, 700.0, 1000.0, 1400.0, 1900.0, 2500.0, 3200.0];
/// Seconds from one look to the next.
const HOP: f64 = 0.02;
/// The last of a prompt that may not be heard: what a phone has not played yet when the BYE comes.
const TAIL: f64 = 0.2;
/// Pictures more alike than this are of the same words: those are at 0.95, others at 0.55.
const ALIKE: f64 = 0.75;

type Picture = Vec<[f64; BANDS.len()]>;

/// The level of each band over time, in dB, with a floor that hides noise.
fn picture(samples: &[i16], rate: u32) -> Picture {
    let window = (f64::from(rate) * 0.04) as usize;
    let hop = (f64::from(rate) * HOP) as usize;
    let looks = samples.len().saturating_sub(window) / hop;
    let look = |at: usize| {
        BANDS.map(|hz| {
            sems_media::analysis::goertzel(&samples[at * hop..at * hop + window], rate, hz).max(-65.0)
        })
    };
    (0..looks).map(look).collect()
}

fn likeness(whole: &[[f64; BANDS.len()]], part: &Picture) -> f64 {
    let count = (part.len() * BANDS.len()) as f64;
    let mean = |of: &[[f64; BANDS.len()]]| of.iter().flatten().sum::<f64>() / count;
    let (a, b) = (mean(whole), mean(part));
    let (mut both, mut aa, mut bb) = (0.0, 0.0, 0.0);
    for (x, y) in whole.iter().flatten().zip(part.iter().flatten()) {
        both += (x - a) * (y - b);
        aa += (x - a).powi(2);
        bb += (y - b).powi(2);
    }
    if aa == 0.0 || bb == 0.0 { 0.0 } else { both / (aa * bb).sqrt() }
}

/// Where a sound begins, each time that it is heard, in seconds; how long it is, and how much alike each time is.
fn matches(whole: &Picture, file: &Path) -> Vec<(f64, f64, f64)> {
    let sound = sems_media::load::load(file, Some(8000)).expect("a sound");
    let length = sound.samples.len() as f64 / 8000.0;
    let mut part = picture(&sound.samples, sound.rate);
    part.truncate(part.len() - (TAIL / HOP) as usize);
    let mut found: Vec<(usize, f64)> = Vec::new();
    for (at, window) in whole.windows(part.len()).enumerate() {
        let alike = likeness(window, &part);
        match found.last_mut() {
            _ if alike < ALIKE => {}
            Some(last) if at < last.0 + part.len() / 2 => {
                if alike > last.1 {
                    *last = (at, alike);
                }
            }
            _ => found.push((at, alike)),
        }
    }
    found.into_iter().map(|(at, alike)| (at as f64 * HOP, length - TAIL, alike)).collect()
}

fn prompt_file(prompt: &str) -> PathBuf {
    root().join(format!("sounds/en/{prompt}.wav"))
}

/// Where this prompt of `sounds/en` begins, each time it is heard whole, in seconds.
pub fn said(heard: &Heard, prompt: &str) -> Vec<f64> {
    let whole = picture(&heard.samples, heard.rate);
    matches(&whole, &prompt_file(prompt)).into_iter().map(|(at, ..)| at).collect()
}

/// Which of these prompts are heard whole, in their order. Of two that would be heard at once, the more alike is.
pub fn words<'a>(heard: &Heard, prompts: &[&'a str]) -> Vec<&'a str> {
    let whole = picture(&heard.samples, heard.rate);
    let all = prompts.iter().flat_map(|prompt| {
        matches(&whole, &prompt_file(prompt)).into_iter().map(|found| (*prompt, found)).collect::<Vec<_>>()
    });
    let mut all: Vec<(&str, (f64, f64, f64))> = all.collect();
    all.sort_by(|a, b| b.1.2.total_cmp(&a.1.2));
    let mut kept: Vec<(&str, f64, f64)> = Vec::new();
    for (prompt, (at, length, _)) in all {
        if kept.iter().all(|(_, start, end)| at + length <= start + TAIL || at >= end - TAIL) {
            kept.push((prompt, at, at + length));
        }
    }
    kept.sort_by(|a, b| a.1.total_cmp(&b.1));
    kept.into_iter().map(|(prompt, ..)| prompt).collect()
}

/// Where the sound of a recording begins and ends, in seconds, and its longest quiet stretch in between.
/// Loud is what reaches a tenth of full scale.
pub fn loud(samples: &[i16], rate: u32) -> (f64, f64, f64) {
    let part = (rate / 200) as usize;
    let loud: Vec<usize> = samples
        .chunks(part)
        .enumerate()
        .filter(|(_, part)| part.iter().any(|sample| sample.unsigned_abs() > 3000))
        .map(|(at, _)| at)
        .collect();
    let seconds = |parts: usize| parts as f64 * 0.005;
    let gap = loud.windows(2).map(|pair| pair[1] - pair[0] - 1).max().unwrap_or(0);
    match (loud.first(), loud.last()) {
        (Some(first), Some(last)) => (seconds(*first), seconds(last + 1), seconds(gap)),
        _ => (0.0, 0.0, 0.0),
    }
}

/// Writes a sound file, 8 kHz: tones (Hz, 10 dB below full scale) and silences (0 Hz), each so many seconds long.
pub fn sound_file(path: &Path, parts: &[(f32, f64)]) {
    let rate = 8000;
    let file = std::fs::File::create(path).expect("a file");
    let mut wav = sems_media::wav::WavWriter::new(file, rate).expect("a header");
    for (hz, seconds) in parts {
        let count = (seconds * f64::from(rate)) as usize;
        let samples = match *hz > 0.0 {
            true => sems_media::tone::Tone::new(*hz, rate, sems_media::tone::amplitude(10.0)).take(count),
            false => vec![0; count],
        };
        wav.write(&samples).expect("samples");
    }
    wav.finish().expect("a file");
}

/// That a tone was recorded whole: all that was said, without a hole. A caller that a busy machine held up, by `late`
/// seconds at the worst, makes its sound longer by the hole that was heard instead, never shorter.
pub fn assert_whole(what: &str, samples: &[i16], rate: u32, said: f64, late: f64) {
    let (begin, end, gap) = loud(samples, rate);
    let length = end - begin;
    // Beyond that the machine is too busy to judge anything.
    let late = late.min(0.2);
    let most = said + 0.06 + late;
    assert!(
        (said - 0.06..most).contains(&length),
        "{what}: said {said} s, recorded {length} s, late by {late}"
    );
    assert!(gap < 0.03 + late, "{what}: a hole of {gap} s, late by {late}");
}
