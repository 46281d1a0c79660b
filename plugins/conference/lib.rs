//! `conference`: every request URI that is routed here is a room of its own.
//!
//! ```toml
//! [plugins.conference]
//! max_members = 1000       # 0: no limit
//! tones = true             # two rising tones when somebody comes, two falling ones when somebody leaves
//! ```
//! The same keys on a route override these; `room` names one room for the whole route, `pin` is asked for before
//! it is entered.

use std::{sync::Arc, time::Duration};

use sems_app::{
    Application, Call, CallError, ConfigError, Host, IncomingCall, LoadError, Params, Plugin, Prompt, Room,
    RoomName, Uri,
};
use serde::Deserialize;

/// The plugin.
pub const PLUGIN: Plugin =
    Plugin { name: "conference", check, check_table: check, files: Params::no_files, load };

/// Members of a room where nothing else is configured.
const MAX_MEMBERS: usize = 1000;

/// The room of a request URI without a user part.
const NAMELESS: &str = "conference";

/// How often a PIN may be tried in one call.
const TRIES: usize = 3;

/// The longest PIN.
const PIN_DIGITS: usize = 16;

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    room: Option<String>,
    pin: Option<String>,
    max_members: Option<usize>,
    tones: Option<bool>,
}

impl Settings {
    fn read(params: &Params) -> Result<Self, ConfigError> {
        let settings: Self = params.read()?;
        let fault =
            |key: &str, reason: &str| Err(ConfigError { key: key.to_owned(), reason: reason.to_owned() });
        if settings.room.as_deref().is_some_and(|room| room.trim().is_empty()) {
            return fault("room", "a room needs a name");
        }
        let legal =
            |pin: &str| (1..=PIN_DIGITS).contains(&pin.len()) && pin.bytes().all(|b| b.is_ascii_digit());
        if settings.pin.as_deref().is_some_and(|pin| !legal(pin)) {
            return fault("pin", "a PIN is 1 to 16 digits");
        }
        Ok(settings)
    }

    fn over(self, other: &Self) -> Self {
        Self {
            room: self.room.or_else(|| other.room.clone()),
            pin: self.pin.or_else(|| other.pin.clone()),
            max_members: self.max_members.or(other.max_members),
            tones: self.tones.or(other.tones),
        }
    }
}

fn check(params: &Params) -> Result<(), ConfigError> {
    Settings::read(params).map(drop)
}

fn load(host: &mut Host) -> Result<(), LoadError> {
    let settings = Settings::read(&Params(host.config()?))?;
    host.application(PLUGIN.name, Conference { settings });
    Ok(())
}

#[derive(Debug)]
struct Conference {
    settings: Settings,
}

impl Application for Conference {
    async fn serve(&self, call: IncomingCall) -> Result<(), CallError> {
        let route = Settings::read(&call.info().params).map_err(CallError::application)?;
        let settings = route.over(&self.settings);
        let room = room(&settings, call.request_uri());
        let mut call = call.answer().await?;
        if let Some(pin) = &settings.pin
            && !knows(&mut call, pin).await?
        {
            return call.play(Prompt::named("goodbye")).await.map(drop);
        }
        match call.join(room).await {
            Err(CallError::NoCapacity(_)) => call.play(Prompt::named("conf/full")).await.map(drop),
            left => left.map(drop),
        }
    }
}

fn room(settings: &Settings, request: &Uri) -> Room {
    let tones = settings.tones.unwrap_or(true);
    Room {
        name: name(settings.room.as_deref().or(request.user()).unwrap_or(NAMELESS)),
        join_tone: tones.then(|| two_tones(440.0, 587.0)),
        leave_tone: tones.then(|| two_tones(587.0, 440.0)),
        alone: Some(Prompt::named("conf/alone")),
        max_members: settings.max_members.unwrap_or(MAX_MEMBERS),
    }
}

/// Phones differ in how they write the same address, so case does not make another room.
fn name(user: &str) -> RoomName {
    Arc::from(user.trim().to_lowercase())
}

fn two_tones(first: f32, second: f32) -> Prompt {
    let length = Duration::from_millis(120);
    Prompt::sequence([Prompt::tone(first, length), Prompt::tone(second, length)])
}

async fn knows(call: &mut Call, pin: &str) -> Result<bool, CallError> {
    for _ in 0..TRIES {
        let first = call.play(Prompt::named("conf/enter-pin")).stop_on("0123456789").await?.digit;
        let rest = call.digits(PIN_DIGITS).between(Duration::from_secs(4)).await?;
        let typed: String = first.into_iter().chain(rest.chars()).collect();
        if typed == pin {
            return Ok(true);
        }
        call.play(Prompt::named("conf/wrong-pin")).await?;
    }
    Ok(false)
}
