//! The `sems` binary: composition only. Arguments here, each command in a module of `cli`.

mod cli;
mod dial;

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use sems_app::Plugin;

/// The plugins built in, in the order they are loaded.
const PLUGINS: &[Plugin] = &[
    #[cfg(feature = "echo")]
    echo::PLUGIN,
    #[cfg(feature = "voicemail")]
    voicemail::PLUGIN,
    #[cfg(feature = "conference")]
    conference::PLUGIN,
    #[cfg(feature = "announcement")]
    announcement::PLUGIN,
    #[cfg(feature = "ivr")]
    ivr::PLUGIN,
];

/// A SIP media server: voicemail, mailbox, conference and echo in one binary.
#[derive(Debug, Parser)]
#[command(version, arg_required_else_help = true)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Serve calls until SIGTERM; SIGHUP reads routes and accounts anew.
    Serve(Configured),
    /// Check the configuration and open nothing.
    Check(Configured),
    /// Call somebody: a softphone without a screen; the last line is a JSON summary.
    Dial(dial::Dial),
    /// Ask the running server.
    Ctl {
        #[command(flatten)]
        configured: Configured,
        #[command(flatten)]
        question: cli::ctl::Question,
    },
}

#[derive(Debug, clap::Args)]
struct Configured {
    /// The configuration [default: sems.toml, else /etc/sems/sems.toml, else the built-in one].
    #[arg(long, value_name = "FILE", global = true)]
    config: Option<PathBuf>,
}

fn main() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::Serve(Configured { config }) => cli::serve::run(config, PLUGINS),
        Command::Check(Configured { config }) => cli::check::run(config, PLUGINS),
        Command::Dial(dial) => return cli::dial(dial),
        Command::Ctl { configured, question } => cli::ctl::run(configured.config, &question, PLUGINS),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("{failure}");
            failure.exit_code()
        }
    }
}
