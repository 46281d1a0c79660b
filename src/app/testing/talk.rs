//! The verbs of the scripted core that take time.

use std::{collections::hash_map::Entry, path::PathBuf, sync::PoisonError, time::Duration};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::{
    Caller,
    core::{Core, Next},
    outcome::{Event, Heard, Log, order},
    sound::{self, Sound},
};
use crate::{
    Call, CallError, Prompt, Room, Uri,
    command::{
        ByeHold, COMMANDS, Command, DigitsOptions, EndedBy, PlayOptions, Played, RecordOptions, Recorded,
        Reply,
    },
};

/// Trailing silence that a recording keeps.
const TAIL: Duration = Duration::from_secs(1);

/// The shortest sound, so that repeating an empty one lets time pass.
const SHORTEST: Duration = Duration::from_millis(20);

/// How a sound within a prompt ended.
enum Stopped {
    Whole,
    Digit(char),
    HungUp,
    Dropped,
}

impl Core {
    pub(super) async fn play(&mut self, prompt: &Prompt, options: &PlayOptions, mut reply: Reply<Played>) {
        let sounds = match sound::parts(prompt, self.surroundings.sounds.as_deref()) {
            Ok(sounds) => sounds,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        if let Some(digit) = self.typed.pop_front_if(|digit| options.stop_on.contains(*digit)) {
            let _ = reply.send(Ok(Played { digit: Some(digit) }));
            return;
        }
        loop {
            for sound in &sounds {
                match self.sound(sound, &options.stop_on, &mut reply).await {
                    Stopped::Whole => {}
                    Stopped::Digit(digit) => {
                        let _ = reply.send(Ok(Played { digit: Some(digit) }));
                        return;
                    }
                    Stopped::HungUp => {
                        let _ = reply.send(Err(CallError::HungUp));
                        return;
                    }
                    Stopped::Dropped => return,
                }
            }
            if !options.repeat || sounds.is_empty() {
                let _ = reply.send(Ok(Played { digit: None }));
                return;
            }
        }
    }

    async fn sound<T>(&mut self, sound: &Sound, stop_on: &str, reply: &mut Reply<T>) -> Stopped {
        let at = self.now;
        if let Some(name) = &sound.name {
            self.script.begins(name, at);
        }
        let end = at + sound.length.max(SHORTEST);
        let stopped = loop {
            match self.until(Some(end), reply).await {
                Next::Deadline => break Stopped::Whole,
                Next::Digit(digit) if stop_on.contains(digit) => break Stopped::Digit(digit),
                Next::Digit(digit) => self.typed.push_back(digit),
                Next::Spoke => {}
                Next::HungUp => break Stopped::HungUp,
                Next::Dropped => break Stopped::Dropped,
            }
        };
        if let Some(name) = &sound.name {
            let whole = matches!(stopped, Stopped::Whole);
            self.log.push(Event::Heard(Heard { sound: name.clone(), at, lasted: self.now - at, whole }));
            if whole {
                self.script.ends(name, self.now);
            }
        }
        stopped
    }

    pub(super) async fn record(
        &mut self,
        path: PathBuf,
        options: &RecordOptions,
        mut reply: Reply<Recorded>,
    ) {
        let start = self.now;
        let limit = start + options.max;
        let mut warn = Some(limit.saturating_sub(options.warn)).filter(|at| *at > start && *at < limit);
        let ended_by = loop {
            let quiet = (!options.silence.is_zero()).then(|| self.last_spoke(start) + options.silence);
            let deadline = [Some(limit), quiet, warn].into_iter().flatten().min();
            match self.until(deadline, &mut reply).await {
                Next::Deadline if quiet.is_some_and(|at| at <= self.now) => break EndedBy::Silence,
                Next::Deadline if self.now >= limit => break EndedBy::Limit,
                Next::Deadline => {
                    warn = None;
                    self.log.push(Event::Warned);
                }
                Next::Digit(digit) if options.stop_on.contains(digit) => break EndedBy::Digit(digit),
                Next::Digit(digit) => self.typed.push_back(digit),
                Next::Spoke => {}
                Next::HungUp => break EndedBy::HangUp,
                Next::Dropped => return,
            }
        };
        let spoken = self.last_spoke(start).min(self.now);
        let duration = (self.now - start).min(spoken - start + TAIL);
        let spans: Vec<_> = self
            .speech
            .iter()
            .map(|(from, to)| (from.saturating_sub(start), to.saturating_sub(start)))
            .collect();
        if let Err(error) = sound::write_wav(&path, duration, &spans) {
            let _ = reply.send(Err(CallError::Recording { path, reason: error.to_string().into() }));
            return;
        }
        self.log.push(Event::Recorded { path, duration, ended_by });
        let hold = (options.hold_bye && ended_by == EndedBy::HangUp).then(|| {
            let (hold, released) = ByeHold::new();
            self.watch_hold(released);
            hold
        });
        let _ = reply.send(Ok(Recorded { duration, ended_by, hold }));
    }

    /// The end of the last words, those being spoken included; `start` if there are none since.
    fn last_spoke(&self, start: Duration) -> Duration {
        self.speech.iter().map(|(_, to)| *to).max().unwrap_or(start).max(start)
    }

    pub(super) async fn digits(&mut self, options: &DigitsOptions, mut reply: Reply<String>) {
        let mut collected = String::new();
        let mut deadline = self.now + options.first;
        'collecting: loop {
            while let Some(digit) = self.typed.pop_front() {
                if options.finish_on.contains(digit) {
                    break 'collecting;
                }
                collected.push(digit);
                deadline = self.now + options.between;
                if collected.len() >= options.max {
                    break 'collecting;
                }
            }
            match self.until(Some(deadline), &mut reply).await {
                Next::Deadline => break,
                Next::Digit(digit) => self.typed.push_back(digit),
                Next::Spoke => {}
                Next::HungUp => {
                    let _ = reply.send(Err(CallError::HungUp));
                    return;
                }
                Next::Dropped => {
                    for digit in collected.chars().rev() {
                        self.typed.push_front(digit);
                    }
                    return;
                }
            }
        }
        self.log.push(Event::Digits(collected.clone()));
        let _ = reply.send(Ok(collected));
    }

    pub(super) async fn echo(&mut self, stop_on: &str, mut reply: Reply<Option<char>>) {
        let start = self.now;
        let answer = self.until_stopped(stop_on, &mut reply).await;
        self.log.push(Event::Echoed { lasted: self.now - start });
        if let Some(answer) = answer {
            let _ = reply.send(answer.map(Some));
        }
    }

    /// Until a digit stops the verb or the caller hangs up; none when it was dropped.
    async fn until_stopped<T>(
        &mut self,
        stop_on: &str,
        reply: &mut Reply<T>,
    ) -> Option<Result<char, CallError>> {
        loop {
            match self.until(None, reply).await {
                Next::Digit(digit) if stop_on.contains(digit) => return Some(Ok(digit)),
                Next::Digit(digit) => self.typed.push_back(digit),
                Next::Deadline | Next::Spoke => {}
                Next::HungUp => return Some(Err(CallError::HungUp)),
                Next::Dropped => return None,
            }
        }
    }

    pub(super) async fn join(&mut self, room: Room, stop_on: &str, mut reply: Reply<Option<char>>) {
        let me = order();
        let alone = {
            let mut rooms = self.surroundings.rooms.lock().unwrap_or_else(PoisonError::into_inner);
            let members = rooms.entry(room.name.clone()).or_default();
            if room.max_members > 0 && members.len() >= room.max_members {
                let _ = reply.send(Err(CallError::NoCapacity("the room is full")));
                return;
            }
            let alone = members.is_empty();
            members.push((me, self.log.clone()));
            for (_, log) in members.iter() {
                hear(log, room.join_tone.as_ref(), self.now);
            }
            alone
        };
        self.log.push(Event::Joined(room.name.to_string()));
        if alone {
            hear(&self.log, room.alone.as_ref(), self.now);
        }
        for prompt in [&room.join_tone, if alone { &room.alone } else { &None }].into_iter().flatten() {
            if let Some(name) = sound::name(prompt) {
                self.script.begins(&name, self.now);
                self.script.ends(&name, self.now);
            }
        }
        let answer = self.until_stopped(stop_on, &mut reply).await;
        self.leave(&room, me);
        if let Some(answer) = answer {
            let _ = reply.send(answer.map(Some));
        }
    }

    fn leave(&self, room: &Room, me: u64) {
        let mut rooms = self.surroundings.rooms.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(mut members) = rooms.entry(room.name.clone()) {
            members.get_mut().retain(|(member, _)| *member != me);
            for (_, log) in members.get() {
                hear(log, room.leave_tone.as_ref(), self.now);
            }
            if members.get().is_empty() {
                members.remove();
            }
        }
        self.log.push(Event::Left(room.name.to_string()));
    }

    pub(super) fn dial(&mut self, to: Uri, reply: Reply<Call>) {
        self.log.push(Event::Dialled(to.clone()));
        let answer = self.dialled.iter().find(|(uri, _)| *uri == to).map(|(_, answer)| answer.clone());
        let steps = match answer.unwrap_or(Err(480)) {
            Ok(steps) => steps,
            Err(status) => {
                let _ = reply.send(Err(CallError::NotAnswered { status }));
                return;
            }
        };
        let mut callee = Caller::calling(&to.to_string());
        callee.steps = steps;
        let leg = Self::new(self.surroundings.clone(), callee);
        let (sender, commands) = mpsc::channel(COMMANDS);
        let call = Call::new(leg.info.clone(), sender);
        tokio::spawn(async move {
            let (_running, done) = oneshot::channel();
            leg.run(commands, done).await;
        });
        let _ = reply.send(Ok(call));
    }

    /// The other leg is kept in an echo of its own, which ends with it.
    pub(super) async fn bridge(&mut self, other: Call, mut reply: Reply<()>) {
        self.log.push(Event::Bridged);
        let (begun, at) = (Instant::now(), self.now);
        let far = other.line.ask(|reply| Command::Echo { stop_on: String::new(), reply });
        let near = tokio::select! {
            biased;
            near = self.until_stopped("", &mut reply) => Some(near),
            _ = far => None,
        };
        match near {
            None => {
                self.now = self.now.max(at + begun.elapsed());
                let _ = reply.send(Ok(()));
            }
            Some(Some(_)) => {
                let _ = reply.send(Err(CallError::HungUp));
            }
            Some(None) => {}
        }
    }
}

fn hear(log: &Log, prompt: Option<&Prompt>, at: Duration) {
    let names: Vec<_> = match prompt {
        Some(Prompt::Sequence(parts)) => parts.iter().filter_map(sound::name).collect(),
        Some(prompt) => sound::name(prompt).into_iter().collect(),
        None => Vec::new(),
    };
    for sound in names {
        log.push(Event::Heard(Heard { sound, at, lasted: Duration::ZERO, whole: true }));
    }
}
