//! A changed script serves the next call; a broken one does not.

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use crate::{Scripts, caller};

fn playing(sound: &str) -> String {
    format!("async def serve(call):\n    call = await call.answer()\n    await call.play({sound:?})\n")
}

/// As an editor does a while later: file systems keep the time of a change in steps.
fn edit(scripts: &Scripts, source: &str, seconds: u64) {
    scripts.write("edited.py", source);
    let file =
        std::fs::File::options().append(true).open(scripts.folder.path().join("edited.py")).expect("open");
    file.set_modified(SystemTime::now() + Duration::from_secs(seconds)).expect("set");
}

// IVR-A9
#[tokio::test]
async fn an_edit_serves_the_next_call_and_a_syntax_error_keeps_the_old_version() {
    let scripts = Scripts::new();
    edit(&scripts, &playing("one"), 0);
    assert_eq!(scripts.call("edited.py", caller()).await.heard(), ["one"]);
    edit(&scripts, &playing("two"), 1);
    assert_eq!(scripts.call("edited.py", caller()).await.heard(), ["two"]);
    for (broken, at) in [("def serve(call:\n", 2), ("import nowhere\nasync def serve(call): pass\n", 3)] {
        edit(&scripts, broken, at);
        assert_eq!(scripts.call("edited.py", caller()).await.heard(), ["two"]);
    }
    std::fs::remove_file(scripts.folder.path().join("edited.py")).expect("removed");
    assert_eq!(scripts.call("edited.py", caller()).await.heard(), ["two"]);
    edit(&scripts, &playing("three"), 4);
    assert_eq!(scripts.call("edited.py", caller()).await.heard(), ["three"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn scripts_that_are_called_for_the_first_time_together_all_load() {
    let scripts = Arc::new(Scripts::new());
    let long = playing("one") + &"    if call: call = [[[call, 1], (2, {3: 4})], 5][0][0][0]\n".repeat(2000);
    let calls: Vec<_> = (0..20)
        .map(|number| {
            let (scripts, name) = (scripts.clone(), format!("{number}.py"));
            scripts.write(&name, &long);
            tokio::spawn(async move { scripts.call(&name, caller()).await })
        })
        .collect();
    for call in calls {
        assert_eq!(call.await.expect("no panic").heard(), ["one"]);
    }
}

#[tokio::test]
async fn a_script_that_never_loaded_is_500() {
    let scripts = Scripts::new();
    edit(&scripts, "async def serve(:\n", 0);
    assert_eq!(scripts.call("edited.py", caller()).await.status, 500);
    assert_eq!(scripts.call("absent.py", caller()).await.status, 500);
    edit(&scripts, "async def serve(no, such, arguments): pass\n", 1);
    assert_eq!(scripts.call("edited.py", caller()).await.status, 500);
}
