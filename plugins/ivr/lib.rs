//! Applications in Python: the scripts of `ivr_scripts/`.
//!
//! A script is one file with a function `serve(call)`. Written as `async def`, it runs on the one thread of
//! an asyncio loop together with thousands of others; as a plain `def`, on a thread of its own. A script
//! without `serve` is a classic one: it runs from top to bottom for each call, with the globals `caller`,
//! `callee`, `messages_path`, `wav_path` and the module `ivr`.
//!
//! No thread of the server ever waits for the interpreter: a call is attended by its own task, which gets
//! the script's verbs over a bounded channel ([`line`]) and hands results back through a queue that the loop
//! drains in batches (`lane`). A `watch` ends what holds the loop too long, and the attendant what goes on too
//! long after its call (`run`).

mod application;
mod interpreter;
mod lane;
mod line;
mod names;
mod request;
mod run;
mod scripts;
mod value;
mod watch;
mod wire;

use std::{path::PathBuf, sync::Arc, time::Duration};

use sems_app::{ConfigError, Host, LoadError, Params, Plugin};
use serde::Deserialize;

use crate::application::{Ground, Ivr, Limits};

/// The plugin `ivr`: routes name it with `app = "ivr"` and `script = "<file>.py"`; their other keys reach the
/// script as `call.params`.
pub const PLUGIN: Plugin = Plugin { name: "ivr", check, check_table, files, load };

/// `[plugins.ivr]`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Settings {
    /// The folder of the scripts.
    scripts: String,
    /// The folder of the sounds that classic scripts know as `wav_path`.
    sounds: String,
    /// The folder that classic scripts know as `messages_path`; `messages` in the plugin's data folder when
    /// none is given.
    messages: Option<PathBuf>,
    /// How many plain `def` and classic scripts may run at once, a thread each; a caller beyond gets 503.
    max_calls: usize,
    /// How long a coroutine may hold the loop.
    #[serde(with = "sems_app::duration")]
    budget: Duration,
    /// How long a script may go on when its call is over.
    #[serde(with = "sems_app::duration")]
    after_hang_up: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            scripts: "ivr_scripts".to_owned(),
            sounds: "sounds/en".to_owned(),
            messages: None,
            max_calls: 500,
            budget: Duration::from_secs(1),
            after_hang_up: Duration::from_secs(60),
        }
    }
}

impl Settings {
    fn read(table: &Params) -> Result<Self, ConfigError> {
        let settings: Self = table.read()?;
        let fault =
            |key: &str, reason: &str| Err(ConfigError { key: key.to_owned(), reason: reason.to_owned() });
        if settings.max_calls == 0 {
            return fault("max_calls", "at least one call");
        }
        if settings.budget < Duration::from_millis(50) {
            return fault("budget", "at least 50ms: scripts need some time to think");
        }
        Ok(settings)
    }
}

fn check(params: &Params) -> Result<(), ConfigError> {
    scripts::name(params).map(|_| ())
}

fn check_table(table: &Params) -> Result<(), ConfigError> {
    Settings::read(table).map(drop)
}

fn files(params: &Params, table: &Params) -> Vec<(&'static str, String)> {
    let settings = Settings::read(table).unwrap_or_default();
    let script = scripts::name(params).map(|name| format!("{}/{name}", settings.scripts));
    script.into_iter().map(|path| ("script", path)).collect()
}

fn load(host: &mut Host) -> Result<(), LoadError> {
    let settings = Settings::read(&Params(host.config()?))?;
    let missing = |what: &str, error: std::io::Error| LoadError::Missing(format!("{what}: {error}"));
    let data = host.data_dir("ivr").map_err(|error| missing("the data folder of scripts", error))?;
    // Recordings without a path of their own, of calls that a crash cut off.
    drop(std::fs::remove_dir_all(data.join(line::TEMPORARY)));
    let messages = settings.messages.unwrap_or_else(|| data.join("messages"));
    std::fs::create_dir_all(&messages).map_err(|error| missing("the messages of scripts", error))?;
    let scripts = host.find(&settings.scripts).unwrap_or_else(|| {
        tracing::warn!(folder = settings.scripts, "the folder of the scripts is not there");
        PathBuf::from(&settings.scripts)
    });
    let sounds = host.find(&settings.sounds).unwrap_or_else(|| PathBuf::from(&settings.sounds));
    let ground = Arc::new(Ground { host: host.clone(), data, messages, sounds, scripts });
    interpreter::start(&ground.scripts)?;
    let limits =
        Limits { max_threads: settings.max_calls, budget: settings.budget, patience: settings.after_hang_up };
    let ivr = Ivr::new(ground, limits).map_err(|error| missing("the thread of the scripts", error))?;
    host.application("ivr", ivr);
    Ok(())
}
