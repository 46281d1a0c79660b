//! The commands, and how they fail.

pub(crate) mod check;
pub(crate) mod ctl;
mod demo;
mod seed;
pub(crate) mod serve;

use std::{io, path::PathBuf, process::ExitCode};

use sems_app::Plugin;
use sems_core::{
    StartError,
    config::{Config, ConfigFaults},
};
use sems_store::StoreError;

/// Why a command fails; printed on stderr.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    #[error("{0}")]
    Config(#[from] ConfigFaults),
    #[error("{0}")]
    Start(#[from] StartError),
    #[error("store: {0}")]
    Store(#[from] StoreError),
    #[error("{what}: {error}")]
    Io { what: String, error: io::Error },
    #[error("{url}: {status} {body}")]
    Status { url: String, status: u16, body: String },
    #[error("{0}")]
    Api(String),
}

impl Failure {
    /// For `map_err`: what could not be done.
    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        move |error| Self::Io { what: what.into(), error }
    }

    /// 64 (EX_USAGE of sysexits) for a configuration that does not fit, else 1.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Start(StartError::Plugin { .. }) => ExitCode::from(64),
            Self::Start(_) | Self::Store(_) | Self::Io { .. } | Self::Status { .. } | Self::Api(_) => {
                ExitCode::FAILURE
            }
        }
    }
}

/// Reads the configuration named, or the usual one, with the overrides of the environment.
fn configuration(file: Option<&PathBuf>, plugins: &[Plugin]) -> Result<Config, ConfigFaults> {
    let usual = if file.is_none() { Config::usual_file() } else { None };
    // A variable that is no text cannot be one of ours.
    let env = std::env::vars_os()
        .filter_map(|(name, text)| Some((name.into_string().ok()?, text.into_string().ok()?)));
    Config::load(file.or(usual.as_ref()).map(PathBuf::as_path), env, plugins)
}

/// Runs the softphone to its end.
pub(crate) fn dial(dial: crate::dial::Dial) -> ExitCode {
    match tokio::runtime::Builder::new_current_thread().enable_all().build() {
        Ok(runtime) => runtime.block_on(crate::dial::run(dial)),
        Err(error) => {
            eprintln!("cannot start the runtime: {error}");
            ExitCode::FAILURE
        }
    }
}
