//! Scripts in the real interpreter, on the scripted core.
//!
//! The core of these tests does not wait, so that hours of a caller's patience pass at once; what Python
//! computes takes the time it takes.

use std::{
    path::{Path, PathBuf},
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

/// A server with the scripts of a test's own.
struct Scripts {
    folder: tempfile::TempDir,
    host: TestHost,
    ivr: Loaded,
}

impl Scripts {
    fn new() -> Self {
        Self::with("")
    }

    /// With more keys of `[plugins.ivr]`.
    fn with(settings: &str) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let host = TestHost::new().instant().search(top());
        let table = format!("scripts = {:?}\n{settings}", folder.path());
        let ivr = host.load(ivr::PLUGIN, &table).expect("loads");
        Self { folder, host, ivr }
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
