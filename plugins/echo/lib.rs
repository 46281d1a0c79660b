//! `echo`: the caller hears himself, until he hangs up.
//!
//! ```toml
//! [plugins.echo]
//! max_duration = "0s"      # then a goodbye and our BYE; 0s: as long as the caller likes
//! intro = false            # say first what this is
//! ```
//! The same keys on a route override these.

use std::{future::IntoFuture, time::Duration};

use sems_app::{
    Application, CallError, ConfigError, Host, IncomingCall, LoadError, Params, Plugin, Prompt, TextDuration,
};
use serde::Deserialize;

/// The plugin.
pub const PLUGIN: Plugin = Plugin { name: "echo", check, check_table: check, files: Params::no_files, load };

/// Any of these ends the introduction.
const ANY_DIGIT: &str = "0123456789*#ABCD";

#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    max_duration: Option<TextDuration>,
    intro: Option<bool>,
}

impl Settings {
    fn over(self, other: Self) -> Self {
        Self { max_duration: self.max_duration.or(other.max_duration), intro: self.intro.or(other.intro) }
    }
}

fn check(params: &Params) -> Result<(), ConfigError> {
    params.read::<Settings>().map(drop)
}

fn load(host: &mut Host) -> Result<(), LoadError> {
    let settings = host.config()?;
    host.application(PLUGIN.name, Echo { settings });
    Ok(())
}

#[derive(Debug)]
struct Echo {
    settings: Settings,
}

impl Application for Echo {
    async fn serve(&self, call: IncomingCall) -> Result<(), CallError> {
        let route: Settings = call.info().params.read().map_err(CallError::application)?;
        let settings = route.over(self.settings);
        let mut call = call.answer().await?;
        if settings.intro.unwrap_or(false) {
            call.play(Prompt::named("echo/intro")).stop_on(ANY_DIGIT).await?;
        }
        let limit = settings.max_duration.map_or(Duration::ZERO, Duration::from);
        if limit.is_zero() {
            return call.echo().await.map(drop);
        }
        match tokio::time::timeout(limit, call.echo().into_future()).await {
            Ok(ended) => ended.map(drop),
            Err(_) => call.play(Prompt::named("goodbye")).await.map(drop),
        }
    }
}
