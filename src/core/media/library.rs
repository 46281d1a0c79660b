//! Loads sounds, once.

use std::{
    collections::HashMap,
    path::{Component, Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use sems_app::{CallError, Prompt};
use sems_media::{load, resample, tone};

use super::Audio;

/// The memory that sounds may take, in bytes: an hour of telephone speech with its encodings. Beyond, those that
/// were not played for longest are forgotten.
const MEMORY: usize = 64 << 20;

/// Spoken when a prompt is not there in the configured language.
const FALLBACK: &str = "en";

/// How far below full scale tones are, in dB: as loud as speech.
const TONE_BELOW: f32 = 12.0;

/// Silence and tones in a prompt are cut at this length: a script may ask for any.
const LONGEST: Duration = Duration::from_secs(600);

/// The sounds in memory, shared by all calls; cheap to clone.
#[derive(Debug, Clone)]
pub struct Library {
    shared: Arc<Shelves>,
}

#[derive(Debug)]
struct Shelves {
    roots: Vec<PathBuf>,
    language: String,
    shelf: Mutex<Shelf>,
}

/// What a sound is made of; equal parts sound alike.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Part {
    File { path: PathBuf, changed: Option<SystemTime>, length: u64 },
    Tone { hz: u32, length: Duration },
    Silence(Duration),
}

#[derive(Debug, Default)]
struct Shelf {
    sounds: HashMap<Vec<Part>, (Arc<Audio>, u64)>,
    clock: u64,
}

impl Library {
    /// A library of the sounds below `roots`, which are looked through in order.
    pub fn new(roots: Vec<PathBuf>, language: String) -> Self {
        Self { shared: Arc::new(Shelves { roots, language, shelf: Mutex::default() }) }
    }

    /// The sound of a prompt: from memory, or loaded away from the caller's thread. An error names the file.
    pub async fn load(&self, prompt: &Prompt) -> Result<Arc<Audio>, CallError> {
        let (shelves, prompt) = (Arc::clone(&self.shared), prompt.clone());
        tokio::task::spawn_blocking(move || shelves.load(&prompt))
            .await
            .unwrap_or_else(|_| Err(CallError::application("loading a sound failed")))
    }
}

impl Shelves {
    fn load(&self, prompt: &Prompt) -> Result<Arc<Audio>, CallError> {
        let mut parts = Vec::new();
        self.take_apart(prompt, &mut parts)?;
        self.audio(parts)
    }

    fn take_apart(&self, prompt: &Prompt, parts: &mut Vec<Part>) -> Result<(), CallError> {
        match prompt {
            Prompt::Named(name) => parts.push(self.find(name)?),
            Prompt::File(path) => parts.push(file(path).map_err(|error| unplayable(path, &error))?),
            Prompt::Tone { hz, length } => {
                parts.push(Part::Tone { hz: hz.clamp(1.0, 20_000.0) as u32, length: (*length).min(LONGEST) });
            }
            Prompt::Silence(length) => parts.push(Part::Silence((*length).min(LONGEST))),
            Prompt::Sequence(prompts) => {
                for prompt in prompts.iter() {
                    self.take_apart(prompt, parts)?;
                }
            }
            other => return Err(CallError::application(format_args!("cannot play {other:?}"))),
        }
        Ok(())
    }

    /// The file of a prompt of the set, first in the language, then in the fallback. A name never leads out of it.
    fn find(&self, name: &str) -> Result<Part, CallError> {
        let path = PathBuf::from(format!("{name}.wav"));
        if !path.components().all(|part| matches!(part, Component::Normal(_))) {
            return Err(unplayable(&path, &"not a name of a prompt"));
        }
        [self.language.as_str(), FALLBACK]
            .iter()
            .flat_map(|language| self.roots.iter().map(move |root| root.join(language)))
            .find_map(|folder| file(&folder.join(&path)).ok())
            .ok_or_else(|| unplayable(&path, &"no such prompt in any language"))
    }

    fn audio(&self, parts: Vec<Part>) -> Result<Arc<Audio>, CallError> {
        if let Some(audio) = self.lock().get(&parts) {
            return Ok(audio);
        }
        let audio = match &parts[..] {
            [Part::File { path, .. }] => {
                let sound = load::load(path, None).map_err(|error| unplayable(path, &error))?;
                Audio::new(sound.samples, sound.rate)
            }
            [Part::Tone { hz, length }] => {
                let rate = if *hz < 3_800 { 8_000 } else { 48_000 };
                let ms = u32::try_from(length.as_millis()).unwrap_or(u32::MAX);
                Audio::new(tone::beep(*hz as f32, ms, rate, tone::amplitude(TONE_BELOW)), rate)
            }
            [Part::Silence(length)] => Audio::new(vec![0; length.as_millis() as usize * 8], 8_000),
            several => {
                let several = several.iter().map(|part| self.audio(vec![part.clone()]));
                join(&several.collect::<Result<Vec<_>, _>>()?)
            }
        };
        let audio = Arc::new(audio);
        self.lock().put(parts, Arc::clone(&audio));
        Ok(audio)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn get(&mut self, parts: &[Part]) -> Option<Arc<Audio>> {
        self.clock += 1;
        let (audio, used) = self.sounds.get_mut(parts)?;
        *used = self.clock;
        Some(Arc::clone(audio))
    }

    fn put(&mut self, parts: Vec<Part>, audio: Arc<Audio>) {
        self.clock += 1;
        self.sounds.insert(parts, (audio, self.clock));
        let mut sizes: Vec<(u64, usize, Vec<Part>)> =
            self.sounds.iter().map(|(parts, (audio, used))| (*used, audio.size(), parts.clone())).collect();
        let mut total: usize = sizes.iter().map(|(_, size, _)| size).sum();
        sizes.sort_by_key(|(used, _, _)| *used);
        for (_, size, parts) in sizes {
            if total <= MEMORY {
                break;
            }
            self.sounds.remove(&parts);
            total -= size;
        }
    }
}

fn file(path: &Path) -> std::io::Result<Part> {
    let metadata = std::fs::metadata(path)?;
    Ok(Part::File { path: path.to_owned(), changed: metadata.modified().ok(), length: metadata.len() })
}

fn unplayable(path: &Path, reason: &dyn std::fmt::Display) -> CallError {
    CallError::Prompt { path: path.to_owned(), reason: reason.to_string().into() }
}

/// One after the other, at the highest rate among them.
fn join(sounds: &[Arc<Audio>]) -> Audio {
    let rate = sounds.iter().map(|sound| sound.rate()).max().unwrap_or(8_000);
    let mut samples = Vec::new();
    for sound in sounds {
        if sound.rate() == rate {
            samples.extend_from_slice(sound.samples());
        } else {
            samples.extend_from_slice(&resample(sound.samples(), sound.rate(), rate));
        }
    }
    Audio::new(samples, rate)
}

#[cfg(test)]
mod tests {
    use std::fs::File;

    use sems_media::wav::WavWriter;

    use super::*;

    fn write(path: &Path, samples: &[i16]) {
        std::fs::create_dir_all(path.parent().expect("folder")).expect("folder");
        let mut writer = WavWriter::new(File::create(path).expect("file"), 8_000).expect("header");
        writer.write(samples).expect("samples");
        writer.finish().expect("whole");
    }

    #[tokio::test]
    async fn a_prompt_is_found_in_its_language_else_in_english_and_loaded_once() {
        let root = tempfile::tempdir().expect("folder");
        write(&root.path().join("en/vm/greeting.wav"), &[1; 800]);
        write(&root.path().join("en/bye.wav"), &[1; 160]);
        write(&root.path().join("de/bye.wav"), &[1; 320]);
        let library = Library::new(vec!["/nowhere".into(), root.path().into()], "de".to_owned());
        let greeting = library.load(&Prompt::named("vm/greeting")).await.expect("found");
        assert_eq!(greeting.samples().len(), 800);
        assert_eq!(library.load(&Prompt::named("bye")).await.expect("found").samples().len(), 320);
        let again = library.load(&Prompt::named("vm/greeting")).await.expect("found");
        assert!(Arc::ptr_eq(&greeting, &again));
        write(&root.path().join("en/vm/greeting.wav"), &[2; 1600]);
        assert_eq!(library.load(&Prompt::named("vm/greeting")).await.expect("found").samples().len(), 1600);
    }

    #[tokio::test]
    async fn a_name_does_not_lead_out_of_the_set() {
        let root = tempfile::tempdir().expect("folder");
        write(&root.path().join("secret.wav"), &[1; 800]);
        let library = Library::new(vec![root.path().join("sounds")], "en".to_owned());
        for name in ["../../secret", "/etc/passwd", "absent"] {
            let error = library.load(&Prompt::named(name)).await.expect_err("refused");
            assert!(matches!(error, CallError::Prompt { .. }), "{error}");
        }
    }

    #[tokio::test]
    async fn a_sequence_has_no_gaps() {
        let library = Library::new(Vec::new(), "en".to_owned());
        let ms = Duration::from_millis;
        let parts = [Prompt::tone(400.0, ms(110)), Prompt::Silence(ms(50)), Prompt::tone(5_000.0, ms(90))];
        let audio = library.load(&Prompt::sequence(parts)).await.expect("loads");
        assert_eq!((audio.rate(), audio.duration()), (48_000, ms(250)));
    }

    #[test]
    fn what_was_not_played_for_longest_is_forgotten() {
        let mut shelf = Shelf::default();
        let part = |ms| vec![Part::Silence(Duration::from_millis(ms))];
        let audio = || Arc::new(Audio::new(vec![0; 10 << 20], 8_000));
        (1..=3).for_each(|ms| shelf.put(part(ms), audio()));
        assert!(shelf.get(&part(1)).is_some());
        shelf.put(part(4), audio());
        assert!(
            shelf.get(&part(2)).is_none() && shelf.get(&part(1)).is_some() && shelf.get(&part(4)).is_some()
        );
    }
}
