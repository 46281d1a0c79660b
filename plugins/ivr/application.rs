//! The application `ivr`: finds the script, runs it, attends its call, and cleans up behind it.

use std::{path::PathBuf, sync::Arc, time::Duration};

use pyo3::prelude::*;
use sems_app::{Application, CallError, CallInfo, Host, IncomingCall, Prompt};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, oneshot};

use crate::{
    interpreter,
    lane::Ended,
    line::{Attendant, LegParts},
    names,
    scripts::{self, Kind, Library, Script},
    watch::Lanes,
    wire::Wire,
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

/// The application.
pub(crate) struct Ivr {
    ground: Arc<Ground>,
    library: Library,
    lanes: Arc<Lanes>,
    threads: Arc<Semaphore>,
}

impl Ivr {
    pub(crate) fn new(ground: Arc<Ground>, max_threads: usize, budget: Duration) -> std::io::Result<Self> {
        let library = Library::new(ground.scripts.clone(), budget * LOADING);
        let threads = Arc::new(Semaphore::new(max_threads.min(Semaphore::MAX_PERMITS)));
        Ok(Self { ground, library, lanes: Lanes::begin(budget)?, threads })
    }

    /// Begins the script; the receiver learns how it ends.
    fn begin(&self, script: Arc<Script>, parts: LegParts) -> Result<oneshot::Receiver<Ended>, CallError> {
        if script.kind() == Kind::Coroutine {
            return Ok(self.lanes.current().start(script, parts));
        }
        let names = match script.kind() {
            Kind::Classic => Some(self.names(&parts.info)?),
            Kind::Coroutine | Kind::Plain => None,
        };
        let full = CallError::NoCapacity("all threads of scripts are taken");
        let permit = self.threads.clone().try_acquire_owned().map_err(|_| full.clone())?;
        let (ended, end) = oneshot::channel();
        let run = move || run(script, parts, names, ended, permit);
        std::thread::Builder::new().name("ivr-call".to_owned()).spawn(run).map_err(|_| full)?;
        Ok(end)
    }

    fn names(&self, info: &CallInfo) -> Result<Names, CallError> {
        let callee = names::callee(info).ok_or_else(|| CallError::refuse(404, "Not Found"))?;
        let folder = |path: &PathBuf| format!("{}/", path.display());
        Ok((names::caller(info), callee, folder(&self.ground.messages), folder(&self.ground.sounds)))
    }
}

/// `caller`, `callee`, `messages_path` and `wav_path`.
type Names = (String, String, String, String);

/// Runs a script on this thread.
fn run(
    script: Arc<Script>,
    parts: LegParts,
    names: Option<Names>,
    ended: oneshot::Sender<Ended>,
    permit: OwnedSemaphorePermit,
) {
    let end = Python::attach(|py| {
        let wire = Wire::new(parts, None);
        let ran = match names {
            Some(names) => interpreter::call(py, "run_classic", (script.object(py), wire, names)),
            None => interpreter::call(py, "run_plain", (script.object(py), wire)),
        };
        ran.and_then(|end| end.extract::<(String, String, u16)>())
    });
    let end = match end {
        Ok((kind, traceback, status)) => Ended::read(&kind, traceback, status),
        Err(error) => Ended::Raised { traceback: error.to_string(), status: 500 },
    };
    // Before the attendant lets the next call in.
    drop(permit);
    // The attendant may be gone: the call has ended meanwhile.
    drop(ended.send(end));
}

impl Application for Ivr {
    async fn serve(&self, call: IncomingCall) -> Result<(), CallError> {
        let info = call.info().clone();
        let name = scripts::name(&info.params).map_err(CallError::application)?;
        let script = self.library.current(&name).await.map_err(CallError::application)?;
        let (mut attendant, parts) = Attendant::of_incoming(self.ground.clone(), call);
        let end = self.begin(script, parts)?;
        let (traceback, status) = match attendant.attend(end).await {
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
