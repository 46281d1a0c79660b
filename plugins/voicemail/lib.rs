//! `voicemail`: greeting, beep, a message for the owner of the mailbox.
//!
//! ```toml
//! [plugins.voicemail]
//! mode = "both"            # mail, box, both; announce: the greeting only
//! max_duration = "30s"     # a warning beep 5 s before; then our BYE
//! min_duration = "2s"      # less is a missed call, not a message
//! silence = "10s"          # so much of it ends a message; 0s: never
//! ```
//! The same keys on a route override these, and so do `mailbox` (a user of the called domain, `user@domain` or
//! a URI: whose mailbox, instead of the callee's) and `greeting` (a sound file, or the name of a prompt, instead
//! of the owner's).
//!
//! A message is durable before the BYE of its caller is answered: [`Mailbox::deliver`] follows the recording
//! without a step between.

mod settings;

use sems_app::{
    Application, Call, CallError, CallInfo, ConfigError, Host, IncomingCall, LoadError, Mailbox,
    MailboxError, Mode, Params, Plugin, Prompt, Take, Unavailable, command::EndedBy,
};
use settings::Settings;

/// The plugin.
pub const PLUGIN: Plugin =
    Plugin { name: "voicemail", check, check_table: check, files: Params::no_files, load };

/// Ends the greeting, and the message.
const DONE: &str = "#";

fn check(params: &Params) -> Result<(), ConfigError> {
    Settings::read(params).map(drop)
}

fn load(host: &mut Host) -> Result<(), LoadError> {
    let settings = Settings::read(&Params(host.config()?))?;
    let application = Voicemail { settings, host: host.clone() };
    host.application(PLUGIN.name, application);
    Ok(())
}

#[derive(Debug)]
struct Voicemail {
    settings: Settings,
    host: Host,
}

impl Application for Voicemail {
    async fn serve(&self, call: IncomingCall) -> Result<(), CallError> {
        let info = call.info().clone();
        let route = Settings::read(&info.params).map_err(CallError::application)?;
        let settings = route.over(&self.settings);
        let mailbox = self.mailbox(&settings, &info).await?;
        let mut call = match call.answer().await {
            Ok(call) => call,
            Err(error) => return missed(&mailbox, &info, error).await,
        };
        match self.greet(&mut call, &settings, &mailbox).await {
            Ok(true) => {}
            Ok(false) => return Ok(mailbox.missed(&info).await?),
            Err(error) => return missed(&mailbox, &info, error).await,
        }
        let recording = mailbox.record(&mut call, settings.mode());
        let take = recording
            .max(settings.max())
            .warn(settings.warn())
            .silence(settings.silence())
            .stop_on(DONE)
            .await;
        match take {
            Ok(take) => deliver(&mut call, &settings, &mailbox, take).await,
            Err(CallError::Mailbox(MailboxError::Full)) => {
                mailbox.missed(&info).await?;
                say(&mut call, Prompt::named("vm/full")).await
            }
            Err(error) => failed(&mut call, error).await,
        }
    }
}

impl Voicemail {
    /// The mailbox, or the refusal: whom nobody knows is 404; a callee who was tried is known, and only has no
    /// mailbox, which is 480.
    async fn mailbox(&self, settings: &Settings, info: &CallInfo) -> Result<Mailbox, CallError> {
        let owner = settings.mailbox(info)?;
        match self.host.mailboxes().owner_of(&owner).await {
            Err(MailboxError::NotFound) if info.unavailable.is_some() => {
                Err(CallError::refuse(480, "Temporarily Unavailable"))
            }
            found => Ok(found?),
        }
    }

    /// Greets the caller; whether he may speak now.
    async fn greet(
        &self,
        call: &mut Call,
        settings: &Settings,
        mailbox: &Mailbox,
    ) -> Result<bool, CallError> {
        let announce = settings.mode() == Mode::Announce;
        if !announce && mailbox.is_full().await? {
            say(call, Prompt::named("vm/full")).await?;
            return Ok(false);
        }
        let usual = match call.info().unavailable {
            _ if announce => "vm/announce",
            Some(Unavailable::Busy) => "vm/busy",
            Some(_) => "vm/unavailable",
            None => "vm/intro",
        };
        let usual = Prompt::named(usual);
        let own = match &settings.greeting {
            Some(greeting) => Some(self.sound(greeting)),
            None => mailbox.greeting().await?.map(Prompt::file),
        };
        let greeting = own.unwrap_or_else(|| usual.clone());
        match call.play(greeting).stop_on(DONE).await {
            Err(CallError::Prompt { path, reason }) => {
                tracing::warn!(path = %path.display(), %reason, "greeting cannot be played, the usual one is");
                say(call, usual).await?;
            }
            played => drop(played?),
        }
        if announce {
            return Ok(false);
        }
        call.play(Prompt::beep()).await?;
        Ok(true)
    }

    fn sound(&self, name: &str) -> Prompt {
        match self.host.find(name) {
            Some(path) if path.is_file() => Prompt::file(path),
            _ => Prompt::named(name),
        }
    }
}

/// Commits what was said, then tells the caller.
async fn deliver(
    call: &mut Call,
    settings: &Settings,
    mailbox: &Mailbox,
    take: Take,
) -> Result<(), CallError> {
    let ended_by = take.ended_by;
    let delivered = mailbox.deliver(take, settings.min()).await;
    if ended_by == EndedBy::HangUp {
        return delivered.map(drop).map_err(CallError::from);
    }
    match delivered {
        Ok(Some(_)) => say(call, Prompt::named("vm/saved")).await,
        Ok(None) => say(call, Prompt::named("vm/too-short")).await,
        Err(error) => failed(call, error.into()).await,
    }
}

/// Notes a call that ended before it could become a message, and ends it so.
async fn missed(mailbox: &Mailbox, info: &CallInfo, ended: CallError) -> Result<(), CallError> {
    if let Err(error) = mailbox.missed(info).await {
        tracing::warn!(call = %info.id, %error, "missed call is not noted");
    }
    Err(ended)
}

/// Tells the caller that his message is lost, so that he does not rely on it.
async fn failed(call: &mut Call, error: CallError) -> Result<(), CallError> {
    if !error.is_normal_end() {
        say(call, Prompt::named("vm/failed")).await?;
    }
    Err(error)
}

/// Plays a prompt whose absence must not cost anybody a message.
async fn say(call: &mut Call, prompt: Prompt) -> Result<(), CallError> {
    match call.play(prompt).await {
        Err(CallError::Prompt { path, reason }) => {
            tracing::warn!(path = %path.display(), %reason, "prompt cannot be played");
            Ok(())
        }
        played => played.map(drop),
    }
}
