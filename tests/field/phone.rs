//! `sems dial` as a caller with a script.

use std::path::{Path, PathBuf};

use super::{Dialled, Program, Server, dialling, hung_up, wav};

/// A call that is to be made.
#[derive(Debug, Clone)]
pub struct Caller {
    arguments: Vec<String>,
    ear: PathBuf,
}

/// A call that was made, and what was heard in it.
#[derive(Debug)]
pub struct Heard {
    pub call: Dialled,
    pub samples: Vec<i16>,
    pub rate: u32,
}

impl Caller {
    /// Calls `user` of the server for at most `seconds`, and keeps what is heard in a file of this name.
    pub fn to(server: &Server, user: &str, seconds: f64, ear: &str) -> Self {
        let ear = server.dir.path().join(format!("{ear}.wav"));
        let arguments = vec![
            server.uri(user),
            "--for".to_owned(),
            format!("{}ms", (seconds * 1000.0) as u64),
            "--record".to_owned(),
            ear.display().to_string(),
        ];
        Self { arguments, ear }
    }

    fn with(mut self, key: &str, value: &str) -> Self {
        self.arguments.extend([key.to_owned(), value.to_owned()]);
        self
    }

    /// Says this file.
    pub fn says(self, path: &Path) -> Self {
        self.with("--play", path.to_str().expect("text"))
    }

    /// Presses these; a comma is half a second.
    pub fn presses(self, digits: &str) -> Self {
        self.with("--digits", digits)
    }

    /// With only this codec.
    pub fn codec(self, name: &str) -> Self {
        self.with("--codecs", name)
    }

    /// As an account, with its password.
    pub fn login(self, user: &str) -> Self {
        self.with("--user", user).with("--password", &format!("{user}-secret"))
    }

    /// With this From.
    pub fn from(self, uri: &str) -> Self {
        self.with("--from", uri)
    }

    /// Where what is heard is written.
    pub fn ear(&self) -> &Path {
        &self.ear
    }

    /// Dials, and goes on while the test does something else.
    pub fn start(&self) -> Program {
        let arguments: Vec<&str> = self.arguments.iter().map(String::as_str).collect();
        dialling(&arguments)
    }

    /// What was heard in a call that was started.
    pub fn end(&self, program: Program) -> Heard {
        let call = hung_up(program);
        let (samples, rate) = if self.ear.is_file() { wav(&self.ear) } else { (Vec::new(), 8000) };
        Heard { call, samples, rate }
    }

    /// Dials, to the end.
    pub fn call(&self) -> Heard {
        self.end(self.start())
    }
}

impl Heard {
    /// How long the sound was heard, in seconds.
    pub fn seconds(&self) -> f64 {
        self.samples.len() as f64 / f64::from(self.rate)
    }

    /// How late the caller sent the latest of its packets, in seconds.
    pub fn late(&self) -> f64 {
        self.call.summary["late_ms"].as_f64().unwrap_or(0.0) / 1000.0
    }

    /// The stretches with this tone, louder than -30 dB.
    pub fn tone(&self, hz: f64) -> Vec<(f64, f64)> {
        super::heard(&self.samples, self.rate, hz, -30.0)
    }

    /// Where this part, in seconds, is.
    pub fn part(&self, from: f64, to: f64) -> &[i16] {
        let at = |seconds: f64| ((seconds * f64::from(self.rate)) as usize).min(self.samples.len());
        &self.samples[at(from)..at(to)]
    }
}
