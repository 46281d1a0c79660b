//! The scripts: read when they are first called, and again when they have changed.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use pyo3::prelude::*;
use sems_app::{ConfigError, Params};

use crate::interpreter;

/// The file name of the script in the parameters of a route.
///
/// # Errors
/// A route without `script`, or whose script is no `.py` file below the folder of the scripts.
pub(crate) fn name(params: &Params) -> Result<String, ConfigError> {
    let wrong = |reason: &str| Err(ConfigError { key: "script".to_owned(), reason: reason.to_owned() });
    let Some(value) = params.0.get("script") else {
        return wrong("a route to ivr needs the file name of its script");
    };
    let Some(name) = value.as_str() else { return wrong("the file name of a script is text") };
    let outside = name.starts_with('/') || name.split('/').any(|part| matches!(part, "" | "." | ".."));
    if outside || !name.ends_with(".py") {
        return wrong("a script is a .py file in the folder of the scripts");
    }
    Ok(name.to_owned())
}

/// How a script wants to be run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `async def serve(call)`.
    Coroutine,
    /// `def serve(call)`.
    Plain,
    /// No `serve`: from top to bottom.
    Classic,
}

/// One version of a script, ready to run.
#[derive(Debug)]
pub(crate) struct Script {
    kind: Kind,
    /// The function `serve`, or the code of a classic script.
    object: Py<PyAny>,
}

impl Script {
    pub(crate) fn kind(&self) -> Kind {
        self.kind
    }

    pub(crate) fn object<'py>(&self, py: Python<'py>) -> Bound<'py, PyAny> {
        self.object.bind(py).clone()
    }
}

/// What tells one version of a file from the next.
type Stamp = (SystemTime, u64);

#[derive(Default)]
struct Slot {
    /// The version that serves calls.
    script: Option<Arc<Script>>,
    /// The version that was tried last.
    tried: Option<Stamp>,
}

/// All scripts that were called so far. Their names come from the configuration alone, so they are few.
pub(crate) struct Library {
    folder: PathBuf,
    /// How long the top level of a script may take.
    loading: Duration,
    slots: Mutex<HashMap<String, Arc<tokio::sync::Mutex<Slot>>>>,
}

impl Library {
    pub(crate) fn new(folder: PathBuf, loading: Duration) -> Self {
        Self { folder, loading, slots: Mutex::default() }
    }

    /// The script as it is now. A version that does not load is reported once, and the one before it serves on.
    ///
    /// # Errors
    /// Why there is no version that serves.
    pub(crate) async fn current(&self, name: &str) -> Result<Arc<Script>, String> {
        let slot = {
            let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
            slots.entry(name.to_owned()).or_default().clone()
        };
        let mut slot = slot.lock().await;
        let path = self.folder.join(name);
        let stamp = tokio::fs::metadata(&path)
            .await
            .and_then(|meta| Ok((meta.modified()?, meta.len())))
            .map_err(|error| error.to_string());
        match stamp {
            Ok(stamp) if slot.tried == Some(stamp) => {}
            Ok(stamp) => {
                slot.tried = Some(stamp);
                match load(path, self.loading).await {
                    Ok(script) => {
                        tracing::info!(script = name, "loaded");
                        slot.script = Some(Arc::new(script));
                    }
                    Err(reason) => {
                        let kept = slot.script.is_some();
                        tracing::error!(
                            script = name,
                            kept,
                            "the script does not load: {}",
                            reason.trim_end()
                        );
                    }
                }
            }
            // An editor may be replacing the file just now.
            Err(reason) if slot.script.is_none() => return Err(format!("{}: {reason}", path.display())),
            Err(_) => {}
        }
        slot.script.clone().ok_or_else(|| format!("the script {name} does not load"))
    }
}

async fn load(path: PathBuf, limit: Duration) -> Result<Script, String> {
    let file = path.clone();
    let loading = tokio::task::spawn_blocking(move || {
        Python::attach(|py| {
            let loaded = interpreter::call(py, "load", (&file,));
            loaded
                .and_then(|loaded| loaded.extract::<(String, Py<PyAny>)>())
                .map_err(|error| error.to_string())
        })
    });
    let loaded = tokio::time::timeout(limit, loading).await;
    let Ok(loaded) = loaded else {
        interrupt(path);
        return Err(format!("its top level did not end within {limit:?}"));
    };
    let (kind, object) = loaded.map_err(|error| error.to_string())??;
    let kind = match kind.as_str() {
        "coroutine" => Kind::Coroutine,
        "plain" => Kind::Plain,
        "classic" => Kind::Classic,
        // The embedded code gives the traceback in place of a kind.
        _ => return Err(kind),
    };
    Ok(Script { kind, object })
}

/// Ends the thread that loads a script for ever. Attaching may take as long as that script likes, so nobody
/// waits for it.
fn interrupt(path: PathBuf) {
    let interrupt = move || Python::attach(|py| interpreter::call(py, "stop_loading", (path,)).map(drop));
    drop(std::thread::Builder::new().name("ivr-interrupt".to_owned()).spawn(interrupt));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn named(text: &str) -> Result<String, ConfigError> {
        name(&Params(text.parse().expect("a table")))
    }

    #[test]
    fn a_route_names_a_file_below_the_folder() {
        assert_eq!(named("script = \"examples/seed_message.py\"").as_deref(), Ok("examples/seed_message.py"));
        for bad in [
            "",
            "script = 1",
            "script = \"../x.py\"",
            "script = \"/x.py\"",
            "script = \"x\"",
            "script = \"a//b.py\"",
        ] {
            assert_eq!(named(bad).expect_err(bad).key, "script");
        }
    }
}
