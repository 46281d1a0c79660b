//! Carrying out commands: the beginning of each verb.

use std::path::PathBuf;

use sems_app::{
    Call, CallError, Prompt, Room, Uri,
    command::{
        Command, DialOptions, DigitsOptions, PlayOptions, Played, RecordOptions, Recorded, Reply as Answer,
    },
};
use sems_sip::{HeaderName, endpoint::Reply};
use tokio::time::Instant;

use super::{
    actor::{Actor, Stage},
    dial, refer,
    verb::{Taken, Verb},
};
use crate::{
    media::{JoinSpec, RecordSpec},
    signalling::Ask,
};

impl Actor<'_> {
    /// Begins what the application asks. A verb that is still under way was dropped without our having noticed
    /// yet: the new one takes its place.
    pub(super) async fn carry_out(&mut self, command: Command) {
        if self.stage == Stage::Over {
            refuse(command, CallError::HungUp);
            return;
        }
        self.stop().await;
        match command {
            Command::Ringing { reply } => self.ringing(reply).await,
            Command::Early { reply } => self.early(reply).await,
            Command::Answer { reply } => self.answer(reply).await,
            Command::Reject { status, reason, reply } => {
                let refusal = Reply::new(status);
                self.reject(match reason {
                    Some(reason) => refusal.reason(&reason),
                    None => refusal,
                })
                .await;
                let _ = reply.send(Ok(()));
            }
            Command::Redirect { to, reply } => {
                let refusal = to.iter().fold(Reply::new(302), |refusal, uri| {
                    refusal.header(HeaderName::Contact, format!("<{uri}>"))
                });
                self.reject(refusal).await;
                let _ = reply.send(Ok(()));
            }
            Command::Play { prompt, options, reply } => self.play(prompt, options, reply).await,
            Command::Record { path, options, reply } => self.record(path, options, reply),
            Command::Digits { options, reply } => self.digits(options, reply),
            Command::Echo { stop_on, reply } => self.echo(stop_on, reply),
            Command::Join { room, stop_on, reply } => self.join(room, stop_on, reply).await,
            Command::Dial { to, options, reply } => self.dial(to, options, reply),
            Command::Bridge { other, reply } => self.bridge(other, reply).await,
            Command::Refer { to, reply } => refer::start(self.shared.clone(), self.party.leg, to, reply),
            Command::SendDigits { digits, reply } => self.send_digits(&digits, reply),
            Command::HangUp { reply } => {
                self.hang_up(None).await;
                let _ = reply.send(Ok(()));
            }
            _ => {}
        }
    }

    async fn ringing(&mut self, reply: Answer<()>) {
        let ask = Ask::Provisional { leg: self.party.leg, status: 180, body: None };
        self.shared.signalling.ask(ask).await;
        let _ = reply.send(Ok(()));
    }

    async fn early(&mut self, reply: Answer<()>) {
        let result = match self.party.describe(None) {
            Ok(body) => {
                let ask = Ask::Provisional { leg: self.party.leg, status: 183, body: Some(body) };
                self.shared.signalling.ask(ask).await;
                self.stage = Stage::Early;
                self.entry.codec(self.party.negotiated());
                Ok(())
            }
            Err(error) => Err(error),
        };
        let _ = reply.send(result);
    }

    async fn answer(&mut self, reply: Answer<()>) {
        match self.stage {
            Stage::Up => return drop(reply.send(Ok(()))),
            // An answer that was dropped before its ACK came is awaited again.
            Stage::Accepted => return self.verb = Verb::Answer { reply },
            Stage::Ringing | Stage::Early | Stage::Over => {}
        }
        match self.party.describe(None) {
            Ok(body) => {
                self.shared.signalling.ask(Ask::Accept { leg: self.party.leg, body: Some(body) }).await;
                self.stage = Stage::Accepted;
                self.verb = Verb::Answer { reply };
            }
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    async fn play(&mut self, prompt: Prompt, options: PlayOptions, reply: Answer<Played>) {
        if let Some(digit) = self.ahead.next_of(&options.stop_on) {
            let _ = reply.send(Ok(Played { digit: Some(digit) }));
            return;
        }
        let audio = match self.shared.engine.library().load(&prompt).await {
            Ok(audio) => audio,
            Err(error) => {
                let _ = reply.send(Err(error));
                return;
            }
        };
        let id = self.next_play();
        let Some(media) = self.party.media() else {
            let _ =
                reply.send(Err(CallError::application("nothing can be played before the call is answered")));
            return;
        };
        media.play(id, audio, crate::media::PlayOptions { repeat: options.repeat }).await;
        self.verb = Verb::Play { id, stop_on: options.stop_on, reply };
    }

    fn record(&mut self, path: PathBuf, options: RecordOptions, reply: Answer<Recorded>) {
        let Some(media) = self.party.media() else {
            let _ = reply
                .send(Err(CallError::application("nothing can be recorded before the call is answered")));
            return;
        };
        media.record(RecordSpec { path, max: options.max, warn: options.warn, silence: options.silence });
        self.verb =
            Verb::Record { stop_on: options.stop_on, hold_bye: options.hold_bye, ended_by: None, reply };
    }

    fn digits(&mut self, options: DigitsOptions, reply: Answer<String>) {
        let deadline = Instant::now() + options.first;
        self.verb = Verb::Digits { options, got: String::new(), deadline, reply };
        while let Some(digit) = self.ahead.next() {
            if self.verb.take_digit(digit) == Taken::Ends {
                if let Verb::Digits { got, reply, .. } = self.take_verb() {
                    let _ = reply.send(Ok(got));
                }
                return;
            }
        }
    }

    fn echo(&mut self, stop_on: String, reply: Answer<Option<char>>) {
        let Some(media) = self.party.media() else {
            let _ = reply.send(Err(CallError::application("no echo before the call is answered")));
            return;
        };
        media.echo(true);
        self.verb = Verb::Echo { stop_on, reply };
    }

    async fn join(&mut self, room: Room, stop_on: String, reply: Answer<Option<char>>) {
        let joined = self.enter(&room).await;
        match joined {
            Ok(()) => self.verb = Verb::Join { stop_on, reply },
            Err(error) => drop(reply.send(Err(error))),
        }
    }

    async fn enter(&mut self, room: &Room) -> Result<(), CallError> {
        let library = self.shared.engine.library();
        let mut sounds = [None, None, None];
        for (sound, prompt) in sounds.iter_mut().zip([&room.join_tone, &room.leave_tone, &room.alone]) {
            if let Some(prompt) = prompt {
                *sound = Some(library.load(prompt).await?);
            }
        }
        let [join_tone, leave_tone, alone] = sounds;
        let spec = JoinSpec { join_tone, leave_tone, alone, max_members: room.max_members };
        let media = self.party.media().ok_or_else(|| CallError::application("no room before the answer"))?;
        media.join(&room.name, spec).await.map_err(|_| CallError::NoCapacity("the room is full"))
    }

    fn dial(&self, to: Uri, options: DialOptions, reply: Answer<Call>) {
        let Some(alive) = self.alive() else { return };
        let origin = self.entry.info().clone();
        tokio::spawn(dial::serve(self.shared.clone(), origin, alive, to, options, reply));
    }

    async fn bridge(&mut self, other: Box<Call>, reply: Answer<()>) {
        let theirs = self.shared.calls.media_of(&other.info().id);
        match (self.party.media(), theirs) {
            (Some(ours), Some(theirs)) => {
                ours.bridge(&theirs).await;
                self.verb = Verb::Bridge { other, reply };
            }
            _ => drop(reply.send(Err(CallError::application("both calls must be answered to be bridged")))),
        }
    }

    fn send_digits(&mut self, digits: &str, reply: Answer<()>) {
        match self.party.media() {
            Some(media) => {
                media.send_digits(digits);
                self.verb = Verb::SendDigits { reply };
            }
            None => drop(reply.send(Err(CallError::application("no digits before the call is answered")))),
        }
    }
}

/// Answers a command that comes too late.
fn refuse(command: Command, error: CallError) {
    match command {
        Command::Ringing { reply }
        | Command::Early { reply }
        | Command::Answer { reply }
        | Command::Reject { reply, .. }
        | Command::Redirect { reply, .. }
        | Command::Bridge { reply, .. }
        | Command::SendDigits { reply, .. } => drop(reply.send(Err(error))),
        Command::HangUp { reply } => drop(reply.send(Ok(()))),
        Command::Play { reply, .. } => drop(reply.send(Err(error))),
        Command::Record { reply, .. } => drop(reply.send(Err(error))),
        Command::Digits { reply, .. } => drop(reply.send(Err(error))),
        Command::Echo { reply, .. } | Command::Join { reply, .. } => drop(reply.send(Err(error))),
        Command::Dial { reply, .. } => drop(reply.send(Err(error))),
        Command::Refer { reply, .. } => drop(reply.send(Err(error))),
        _ => {}
    }
}
