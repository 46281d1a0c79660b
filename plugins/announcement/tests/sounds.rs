//! The shipped prompts: complete, and fit for the ear.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../..");

fn files(folder: &Path, extension: &str, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        if path.is_dir() {
            files(&path, extension, found);
        } else if path.extension().is_some_and(|known| known == extension) {
            found.push(path);
        }
    }
}

fn listed() -> BTreeSet<String> {
    let list = fs::read_to_string(format!("{ROOT}/sounds/en/prompts.txt")).expect("the list of prompts");
    list.lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .map(|line| line.split_once('\t').expect("a name, a tab and a text").0.to_owned())
        .collect()
}

#[test]
fn every_listed_prompt_is_there_and_no_other() {
    let folder = PathBuf::from(format!("{ROOT}/sounds/en"));
    let mut found = Vec::new();
    files(&folder, "wav", &mut found);
    let found: BTreeSet<String> = found
        .iter()
        .map(|path| path.strip_prefix(&folder).expect("below it").with_extension("").display().to_string())
        .collect();
    assert_eq!(found, listed());
}

/// The texts that follow `call(`, where they are plain names.
fn arguments<'a>(source: &'a str, call: &str) -> Vec<&'a str> {
    let quoted = |rest: &'a str| rest.strip_prefix('"')?.split('"').next();
    let plain = |name: &&str| name.chars().all(|c| c.is_ascii_alphanumeric() || "/_-".contains(c));
    source.split(call).skip(1).filter_map(quoted).filter(plain).collect()
}

#[test]
fn every_prompt_named_in_the_code_is_listed() {
    let mut sources = Vec::new();
    files(Path::new(&format!("{ROOT}/plugins")), "rs", &mut sources);
    files(Path::new(&format!("{ROOT}/src")), "rs", &mut sources);
    files(Path::new(&format!("{ROOT}/ivr_scripts")), "py", &mut sources);
    let listed = listed();
    let folders = ["vm/", "conf/", "message/", "echo/", "digits/"];
    let (mut seen, mut absent) = (BTreeSet::new(), Vec::new());
    let of_tests = |path: &Path| path.components().any(|part| part.as_os_str() == "tests");
    for source in sources.iter().filter(|path| !of_tests(path.strip_prefix(ROOT).expect("below it"))) {
        let text = fs::read_to_string(source).expect("a source file");
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        let quoted = text.split(['"', '\'']).filter(|quoted| {
            let name = quoted.chars().all(|c| c.is_ascii_alphanumeric() || "/_-".contains(c));
            name && folders.iter().any(|folder| quoted.len() > folder.len() && quoted.starts_with(folder))
        });
        let named = ["Prompt::named(", ".play(", ".ask("].map(|call| arguments(text, call)).concat();
        for name in quoted.chain(named) {
            seen.insert(name.to_owned());
            if !listed.contains(name) {
                absent.push(format!("{}: {name}", source.display()));
            }
        }
    }
    for name in ["apology", "goodbye", "vm/saved", "message/menu"] {
        assert!(seen.contains(name), "the search finds {name}");
    }
    assert_eq!(absent, [""; 0]);
}

fn decibels(level: f64) -> f64 {
    20.0 * level.max(1e-9).log10()
}

#[test]
fn every_prompt_is_fit_for_the_ear() {
    for name in listed() {
        let path = format!("{ROOT}/sounds/en/{name}.wav");
        let mut reader = hound::WavReader::open(&path).expect("a WAV file");
        let spec = reader.spec();
        assert_eq!((spec.sample_rate, spec.channels, spec.bits_per_sample), (16_000, 1, 16), "{name}");
        let samples: Vec<f64> =
            reader.samples::<i16>().map(|sample| f64::from(sample.expect("a sample")) / 32768.0).collect();
        let count = samples.len() as f64;
        let seconds = count / 16_000.0;
        assert!((0.4..12.0).contains(&seconds), "{name} lasts {seconds} s");
        let peak = samples.iter().fold(0.0_f64, |peak, sample| peak.max(sample.abs()));
        assert!(decibels(peak) < -3.0 && decibels(peak) > -8.0, "{name}: peak {} dBFS", decibels(peak));
        let mean = samples.iter().sum::<f64>() / count;
        assert!(mean.abs() < 0.0005, "{name}: DC {mean}");

        let loud = |sample: &f64| sample.abs() > 0.003;
        let first = samples.iter().position(loud).expect("a word");
        let last = samples.iter().rposition(loud).expect("a word");
        let (before, after) = (first as f64 / 16.0, (samples.len() - last) as f64 / 16.0);
        assert!((40.0..110.0).contains(&before), "{name}: {before} ms before the words");
        assert!((120.0..350.0).contains(&after), "{name}: {after} ms after the words");
        let words = &samples[first..last];
        let rms = (words.iter().map(|sample| sample * sample).sum::<f64>() / words.len() as f64).sqrt();
        assert!((-23.0..-18.0).contains(&decibels(rms)), "{name}: {} dBFS RMS", decibels(rms));
        let silent = words.split(|sample| sample.abs() > 0.01).map(<[f64]>::len).max().unwrap_or(0);
        assert!(silent < 16_000, "{name}: a pause of {} ms", silent / 16);
    }
}
