//! `announcement`: plays a sound, once or again and again, before answering or after.
//!
//! ```toml
//! [[route]]
//! user = "welcome"
//! app = "announcement"
//! file = "sounds/en/welcome.wav"   # WAV, MP3, Ogg or FLAC; or prompt = "welcome", in the caller's language
//! loop = false                     # until the caller hangs up
//! early = false                    # in early media (183), unanswered; then refuse with `status`
//! status = 480
//! ```

use std::sync::Arc;

use sems_app::{Application, CallError, ConfigError, Host, IncomingCall, LoadError, Params, Plugin, Prompt};
use serde::Deserialize;

/// The plugin.
pub const PLUGIN: Plugin = Plugin { name: "announcement", check, check_table, files, load };

/// The status after an early announcement where the route names none.
const STATUS: u16 = 480;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Route {
    file: Option<String>,
    prompt: Option<String>,
    #[serde(default, rename = "loop")]
    repeat: bool,
    #[serde(default)]
    early: bool,
    status: Option<u16>,
}

/// Nothing to configure but on routes.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {}

impl Route {
    fn read(params: &Params) -> Result<Self, ConfigError> {
        let route: Self = params.read()?;
        let fault =
            |key: &str, reason: &str| Err(ConfigError { key: key.to_owned(), reason: reason.to_owned() });
        match (&route.file, &route.prompt) {
            (None, None) => return fault("file", "an announcement needs a `file` or a `prompt`"),
            (Some(_), Some(_)) => {
                return fault("prompt", "an announcement has a `file` or a `prompt`, not both");
            }
            _ => {}
        }
        if route.early && route.repeat {
            return fault("loop", "an early announcement that never ends would never refuse the call");
        }
        match route.status {
            Some(_) if !route.early => fault("status", "only an early announcement refuses the call"),
            Some(status) if !(400..700).contains(&status) => fault("status", "a refusal is 400 to 699"),
            _ => Ok(route),
        }
    }
}

fn check(params: &Params) -> Result<(), ConfigError> {
    Route::read(params).map(drop)
}

fn check_table(table: &Params) -> Result<(), ConfigError> {
    table.read::<Settings>().map(drop)
}

fn files(params: &Params, _table: &Params) -> Vec<(&'static str, String)> {
    params.text("file").map(|path| ("file", path.to_owned())).into_iter().collect()
}

fn load(host: &mut Host) -> Result<(), LoadError> {
    let Settings {} = host.config()?;
    let application = Announcement { host: host.clone() };
    host.application(PLUGIN.name, application);
    Ok(())
}

#[derive(Debug)]
struct Announcement {
    host: Host,
}

impl Announcement {
    fn sound(&self, route: &Route) -> Result<Prompt, CallError> {
        match (&route.file, &route.prompt) {
            (Some(file), _) => match self.host.find(file) {
                Some(path) => Ok(Prompt::file(path)),
                None => Err(CallError::Prompt { path: file.into(), reason: "no such file".into() }),
            },
            (None, Some(prompt)) => Ok(Prompt::named(prompt.as_str())),
            (None, None) => Err(CallError::application("neither `file` nor `prompt`")),
        }
    }
}

impl Application for Announcement {
    async fn serve(&self, call: IncomingCall) -> Result<(), CallError> {
        let route = Route::read(&call.info().params).map_err(CallError::application)?;
        let sound = self.sound(&route)?;
        if route.early {
            let mut call = call.early().await?;
            call.play(sound).await?;
            let reason: Arc<str> = "Announcement Played".into();
            return Err(CallError::Refused { status: route.status.unwrap_or(STATUS), reason });
        }
        let mut call = call.answer().await?;
        let play = call.play(sound);
        let play = if route.repeat { play.repeat() } else { play };
        play.await.map(drop)
    }
}
