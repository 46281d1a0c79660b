//! Scripts in the real interpreter, on the scripted core.
//!
//! The core of these tests does not wait, so that hours of a caller's patience pass at once; what Python
//! computes takes the time it takes.

use std::{
    path::{Path, PathBuf},
    sync::{Condvar, Mutex},
    time::Duration,
};

use sems_app::testing::{Caller, Loaded, Outcome, TestHost};

mod blocking;
mod classic;
mod coroutines;
mod documented;
mod limits;
mod message;
mod reload;

/// The top of the repository, where `ivr_scripts` and `sounds` are.
fn top() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// Who has the one interpreter of this process: so many tests together, or one alone.
static INTERPRETER: (Mutex<usize>, Condvar) = (Mutex::new(0), Condvar::new());
const ALONE: usize = usize::MAX;

/// A test's turn, until it is dropped. One whose scripts hold the interpreter for long takes it alone: beside it, a
/// loop of another test would be late through no fault of its script, and the script interrupted.
struct Turn;

impl Turn {
    fn shared() -> Self {
        Self::take(|tests| *tests != ALONE, |tests| *tests += 1)
    }

    fn alone() -> Self {
        Self::take(|tests| *tests == 0, |tests| *tests = ALONE)
    }

    fn take(free: impl Fn(&usize) -> bool, take: impl Fn(&mut usize)) -> Self {
        let (tests, ended) = &INTERPRETER;
        let tests = tests.lock().expect("whole");
        take(&mut ended.wait_while(tests, |tests| !free(tests)).expect("whole"));
        Self
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let (tests, ended) = &INTERPRETER;
        let mut tests = tests.lock().expect("whole");
        *tests = if *tests == ALONE { 0 } else { *tests - 1 };
        ended.notify_all();
    }
}

/// A server with the scripts of a test's own.
struct Scripts {
    folder: tempfile::TempDir,
    host: TestHost,
    ivr: Loaded,
    _turn: Turn,
}

impl Scripts {
    fn new() -> Self {
        Self::with("")
    }

    /// With more keys of `[plugins.ivr]`.
    fn with(settings: &str) -> Self {
        Self::during(Turn::shared(), settings)
    }

    /// For scripts that hold the interpreter.
    fn alone(settings: &str) -> Self {
        Self::during(Turn::alone(), settings)
    }

    fn during(turn: Turn, settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let host = TestHost::new().instant().search(top());
        let table = format!("scripts = {:?}\n{settings}", folder.path());
        let ivr = host.load(ivr::PLUGIN, &table).expect("loads");
        Self { folder, host, ivr, _turn: turn }
    }

    fn write(&self, name: &str, source: &str) -> &Self {
        std::fs::write(self.folder.path().join(name), source).expect("written");
        self
    }

    async fn call(&self, name: &str, caller: Caller) -> Outcome {
        let call = self.ivr.call(caller.params(&format!("script = {name:?}")));
        tokio::time::timeout(Duration::from_secs(60), call).await.expect("the call ends")
    }
}

/// A stranger who calls the script's number.
fn caller() -> Caller {
    Caller::calling("sip:script@example.org")
}

#[test]
fn a_route_needs_its_script_and_the_plugin_known_keys() {
    let scripts = Scripts::new();
    assert!(scripts.ivr.check("script = \"message.py\"\nmailbox = \"alice\"").is_ok());
    assert_eq!(scripts.ivr.check("").expect_err("no script").key, "script");
    let host = TestHost::new();
    for table in ["script = \"x\"", "budget = 1", "budget = \"1ms\"", "max_calls = 0"] {
        assert!(host.load(ivr::PLUGIN, table).is_err(), "{table}");
    }
}
