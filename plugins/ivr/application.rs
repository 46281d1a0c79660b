//! The application `ivr`: finds the script, runs it, attends its call, and cleans up behind it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use sems_app::{Application, CallError, CallInfo, Host, IncomingCall, Prompt};
use tokio::sync::Semaphore;

use crate::{
    lane::Ended,
    line::{Attendant, LegParts},
    names,
    run::{Names, Run, Stop, Threaded},
    scripts::{self, Kind, Library, Script},
    watch::Lanes,
};

/// The server's half of what scripts stand on.
pub(crate) struct Ground {
    pub(crate) host: Host,
    /// Where relative paths of recordings begin.
    pub(crate) data: PathBuf,
    /// `messages_path` of classic scripts.
    pub(crate) messages: PathBuf,
    /// `wav_path` of classic scripts.
    pub(crate) sounds: PathBuf,
    /// Where the scripts are.
    pub(crate) scripts: PathBuf,
}

impl Ground {
    /// Finds sound files named by a relative path: beside the scripts, among their data, then where the
    /// configuration looks.
    pub(crate) fn resolve(&self, prompt: Prompt) -> Prompt {
        match prompt {
            Prompt::File(path) if path.is_relative() => {
                let beside = [&self.scripts, &self.data].map(|folder| folder.join(&*path));
                let found = beside.into_iter().find(|path| path.exists());
                let found = found.or_else(|| path.to_str().and_then(|path| self.host.find(path)));
                found.map_or(Prompt::File(path), Prompt::file)
            }
            Prompt::Sequence(parts) => Prompt::sequence(parts.iter().cloned().map(|part| self.resolve(part))),
            other => other,
        }
    }
}

/// The top level of a script may take as many budgets: it is run once, beside the loop.
const LOADING: u32 = 10;

/// What scripts may take.
pub(crate) struct Limits {
    /// How many run at once on threads of their own.
    pub(crate) max_threads: usize,
    /// How long a coroutine may hold the loop.
    pub(crate) budget: Duration,
    /// How long a script may go on when its call is over.
    pub(crate) patience: Duration,
}

/// The application.
pub(crate) struct Ivr {
    ground: Arc<Ground>,
    library: Library,
    lanes: Arc<Lanes>,
    threads: Arc<Semaphore>,
    patience: Duration,
}

impl Ivr {
    pub(crate) fn new(ground: Arc<Ground>, limits: Limits) -> std::io::Result<Self> {
        let Limits { max_threads, budget, patience } = limits;
        let library = Library::new(ground.scripts.clone(), budget * LOADING);
        let threads = Arc::new(Semaphore::new(max_threads.min(Semaphore::MAX_PERMITS)));
        Ok(Self { ground, library, lanes: Lanes::begin(budget)?, threads, patience })
    }

    /// Begins the script.
    fn begin(&self, script: Arc<Script>, parts: LegParts) -> Result<Run, CallError> {
        let patience = self.patience;
        let names = match script.kind() {
            Kind::Coroutine => {
                let lane = self.lanes.current();
                let (number, end) = lane.start(script, parts);
                return Ok(Run { end, stop: Stop::Task(lane, number), patience });
            }
            Kind::Classic => Some(self.names(&parts.info)?),
            Kind::Plain => None,
        };
        let full = CallError::NoCapacity("all threads of scripts are taken");
        let permit = self.threads.clone().try_acquire_owned().map_err(|_| full.clone())?;
        let (stop, end) = Threaded { script, parts, names, permit }.start().map_err(|_| full)?;
        Ok(Run { end, stop, patience })
    }

    fn names(&self, info: &CallInfo) -> Result<Names, CallError> {
        let callee = names::callee(info).ok_or_else(|| CallError::refuse(404, "Not Found"))?;
        let folder = |path: &PathBuf| format!("{}/", path.display());
        Ok((names::caller(info), callee, folder(&self.ground.messages), folder(&self.ground.sounds)))
    }
}

impl Application for Ivr {
    async fn serve(&self, call: IncomingCall) -> Result<(), CallError> {
        let info = call.info().clone();
        let name = scripts::name(&info.params).map_err(CallError::application)?;
        let script = self.library.current(&name).await.map_err(CallError::application)?;
        let (mut attendant, parts) = Attendant::of_incoming(self.ground.clone(), call);
        let run = self.begin(script, parts)?;
        let (traceback, status) = match attendant.attend(run).await {
            Some(Ended::Returned) => return Ok(()),
            Some(Ended::HungUp) => return Err(CallError::HungUp),
            Some(Ended::Raised { traceback, status }) => (traceback, status),
            None => ("it did not give back the loop, which was abandoned".to_owned(), 500),
        };
        tracing::error!(script = name, call = %info.id, "the script failed: {}", traceback.trim_end());
        let answered = attendant.apologise().await;
        if !answered && status != 500 {
            return Err(CallError::refuse(status, ""));
        }
        Err(CallError::application(format_args!("the script {name} failed")))
    }
}
