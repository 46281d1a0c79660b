//! Verbs: builders that read as a sentence and are awaited. Dropping one's future stops it.

use std::{future::IntoFuture, path::PathBuf, time::Duration};

use crate::{
    BoxFuture, Call, CallError, Prompt, Room, Uri,
    call::Line,
    command::{Command, DialOptions, DigitsOptions, PlayOptions, Played, RecordOptions, Recorded},
};

/// Plays a sound; see [`Call::play`].
#[derive(Debug)]
#[must_use = "a verb does nothing until it is awaited"]
pub struct Play<'a> {
    line: &'a Line,
    prompt: Prompt,
    options: PlayOptions,
}

impl<'a> Play<'a> {
    pub(crate) fn new(line: &'a Line, prompt: Prompt) -> Self {
        Self { line, prompt, options: PlayOptions::default() }
    }

    /// Digits that stop the sound and are returned; others are kept.
    pub fn stop_on(mut self, digits: &str) -> Self {
        digits.clone_into(&mut self.options.stop_on);
        self
    }

    /// Again and again, until stopped.
    pub fn repeat(mut self) -> Self {
        self.options.repeat = true;
        self
    }
}

impl<'a> IntoFuture for Play<'a> {
    type Output = Result<Played, CallError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { line, prompt, options } = self;
        Box::pin(line.ask(move |reply| Command::Play { prompt, options, reply }))
    }
}

/// Records; see [`Call::record`].
#[derive(Debug)]
#[must_use = "a verb does nothing until it is awaited"]
pub struct Record<'a> {
    line: &'a Line,
    path: PathBuf,
    options: RecordOptions,
}

impl<'a> Record<'a> {
    pub(crate) fn new(line: &'a Line, path: PathBuf) -> Self {
        Self { line, path, options: RecordOptions::default() }
    }

    /// Digits that end the recording (default `#`).
    pub fn stop_on(mut self, digits: &str) -> Self {
        digits.clone_into(&mut self.options.stop_on);
        self
    }

    /// The longest take (default 60 s).
    pub fn max(mut self, max: Duration) -> Self {
        self.options.max = max;
        self
    }

    /// A warning beep this long before the end (default none).
    pub fn warn(mut self, before: Duration) -> Self {
        self.options.warn = before;
        self
    }

    /// Ends after this much silence (default never).
    pub fn silence(mut self, silence: Duration) -> Self {
        self.options.silence = silence;
        self
    }

    /// Holds back the answer to the caller's BYE until the result's hold is dropped.
    pub fn hold_bye(mut self) -> Self {
        self.options.hold_bye = true;
        self
    }
}

impl<'a> IntoFuture for Record<'a> {
    type Output = Result<Recorded, CallError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { line, path, options } = self;
        Box::pin(line.ask(move |reply| Command::Record { path, options, reply }))
    }
}

/// Collects digits; see [`Call::digits`].
#[derive(Debug)]
#[must_use = "a verb does nothing until it is awaited"]
pub struct Digits<'a> {
    line: &'a Line,
    options: DigitsOptions,
}

impl<'a> Digits<'a> {
    pub(crate) fn new(line: &'a Line, max: usize) -> Self {
        Self { line, options: DigitsOptions { max, ..DigitsOptions::default() } }
    }

    /// A digit that completes the input and is not part of it (default `#`).
    pub fn finish_on(mut self, digits: &str) -> Self {
        digits.clone_into(&mut self.options.finish_on);
        self
    }

    /// How long to wait for the first digit (default 10 s).
    pub fn timeout(mut self, first: Duration) -> Self {
        self.options.first = first;
        self
    }

    /// How long to wait for each next one (default 2 s).
    pub fn between(mut self, between: Duration) -> Self {
        self.options.between = between;
        self
    }
}

impl<'a> IntoFuture for Digits<'a> {
    type Output = Result<String, CallError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { line, options } = self;
        Box::pin(line.ask(move |reply| Command::Digits { options, reply }))
    }
}

/// Sends the caller's voice back; see [`Call::echo`].
#[derive(Debug)]
#[must_use = "a verb does nothing until it is awaited"]
pub struct Echo<'a> {
    line: &'a Line,
    stop_on: String,
}

impl<'a> Echo<'a> {
    pub(crate) fn new(line: &'a Line) -> Self {
        Self { line, stop_on: String::new() }
    }

    /// Digits that end it (default none).
    pub fn stop_on(mut self, digits: &str) -> Self {
        digits.clone_into(&mut self.stop_on);
        self
    }
}

impl<'a> IntoFuture for Echo<'a> {
    type Output = Result<Option<char>, CallError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { line, stop_on } = self;
        Box::pin(line.ask(move |reply| Command::Echo { stop_on, reply }))
    }
}

/// Enters a room; see [`Call::join`].
#[derive(Debug)]
#[must_use = "a verb does nothing until it is awaited"]
pub struct Join<'a> {
    line: &'a Line,
    room: Room,
    stop_on: String,
}

impl<'a> Join<'a> {
    pub(crate) fn new(line: &'a Line, room: Room) -> Self {
        Self { line, room, stop_on: String::new() }
    }

    /// Digits that leave the room (default none).
    pub fn stop_on(mut self, digits: &str) -> Self {
        digits.clone_into(&mut self.stop_on);
        self
    }
}

impl<'a> IntoFuture for Join<'a> {
    type Output = Result<Option<char>, CallError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { line, room, stop_on } = self;
        Box::pin(line.ask(move |reply| Command::Join { room, stop_on, reply }))
    }
}

/// Calls somebody else; see [`Call::dial`].
#[derive(Debug)]
#[must_use = "a verb does nothing until it is awaited"]
pub struct Dial<'a> {
    line: &'a Line,
    to: Uri,
    options: DialOptions,
}

impl<'a> Dial<'a> {
    pub(crate) fn new(line: &'a Line, to: Uri) -> Self {
        Self { line, to, options: DialOptions::default() }
    }

    /// Gives up after this long (default 25 s).
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.options.timeout = timeout;
        self
    }

    /// The identity to show.
    pub fn from(mut self, from: Uri) -> Self {
        self.options.from = Some(from);
        self
    }
}

impl<'a> IntoFuture for Dial<'a> {
    type Output = Result<Call, CallError>;
    type IntoFuture = BoxFuture<'a, Self::Output>;

    fn into_future(self) -> Self::IntoFuture {
        let Self { line, to, options } = self;
        Box::pin(line.ask(move |reply| Command::Dial { to, options, reply }))
    }
}
