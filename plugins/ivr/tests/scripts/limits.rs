//! A script that loops for ever harms only its own call. IVR-A8

use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant},
};

use sems_app::{CallError, testing::Outcome};

use crate::{Scripts, caller};

const GOOD: &str = r##"
async def serve(call):
    call = await call.answer()
    for _ in range(20):
        await call.play("welcome")
"##;

async fn beside(scripts: &Arc<Scripts>, bad: &str) -> (Outcome, Vec<Outcome>) {
    scripts.write("good.py", GOOD).write("bad.py", bad);
    let call = |name: &'static str| {
        let scripts = scripts.clone();
        tokio::spawn(async move { scripts.call(name, caller()).await })
    };
    let bad = call("bad.py");
    let good: Vec<_> = (0..10).map(|_| call("good.py")).collect();
    let mut outcomes = Vec::new();
    for call in good {
        outcomes.push(call.await.expect("no panic"));
    }
    (bad.await.expect("no panic"), outcomes)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_loop_ends_with_the_apology_and_the_others_go_on() {
    let scripts = Arc::new(Scripts::alone("budget = \"200ms\""));
    let busy = "async def serve(call):\n    call = await call.answer()\n    while True:\n        pass\n";
    let (bad, good) = beside(&scripts, busy).await;
    assert_eq!(bad.heard(), ["apology"]);
    for outcome in good {
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        assert_eq!(outcome.heard().len(), 20);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_loop_that_cannot_be_interrupted_is_abandoned() {
    let scripts = Arc::new(Scripts::alone("budget = \"100ms\""));
    let stubborn = r##"
import time

async def serve(call):
    call = await call.answer()
    end = time.monotonic() + 10
    while time.monotonic() < end:
        try:
            while time.monotonic() < end:
                pass
        except BaseException:
            pass
"##;
    let begun = Instant::now();
    let (bad, _) = beside(&scripts, stubborn).await;
    assert_eq!(bad.heard(), ["apology"]);
    assert!(begun.elapsed() < Duration::from_secs(8), "not by its own end");
    let after = scripts.call("good.py", caller()).await;
    assert_eq!(after.heard().len(), 20, "the new loop: {:?}", after.result);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_thread_leaves_the_others_alone() {
    let scripts = Arc::new(Scripts::alone(""));
    let busy = r##"
import time

def serve(call):
    call = call.answer()
    end = time.monotonic() + 1
    while time.monotonic() < end:
        pass
    call.play("done")
"##;
    let (bad, good) = beside(&scripts, busy).await;
    assert_eq!(bad.heard(), ["done"]);
    assert!(good.iter().all(|outcome| outcome.heard().len() == 20));
}

#[tokio::test]
async fn what_a_script_leaves_behind_is_not_done() {
    let scripts = Scripts::new();
    let source = r##"
import asyncio

async def serve(call):
    call = await call.answer()
    asyncio.create_task(call.play("music", repeat=True))
    await asyncio.sleep(0.05)
"##;
    scripts.write("bad.py", source);
    // The call ends with the script, though the music would play on.
    let outcome = scripts.call("bad.py", caller().waits(Duration::from_secs(1_000_000_000)).hangs_up()).await;
    assert!(outcome.result.is_ok());
}

#[tokio::test]
async fn a_script_that_ignores_the_hang_up_is_left_behind() {
    let scripts = Scripts::new();
    let source = r##"
def serve(call):
    call = call.answer()
    while True:
        try:
            call.play("welcome")
        except:
            pass
"##;
    scripts.write("deaf.py", source);
    let awaited = source.replace("def serve", "async def serve").replace("= call", "= await call");
    scripts.write("deaf_too.py", &awaited.replace("  call.play", "  await call.play"));
    for name in ["deaf.py", "deaf_too.py"] {
        let outcome = scripts.call(name, caller().hears("welcome").hangs_up()).await;
        assert!(matches!(outcome.result, Err(CallError::Application(_))), "{name}: {:?}", outcome.result);
        assert_eq!(outcome.heard(), ["welcome"]);
    }
}

// IVR-A8
#[tokio::test]
async fn a_script_that_computes_on_after_the_hang_up_is_interrupted() {
    let scripts = Scripts::alone("max_calls = 1\nafter_hang_up = \"300ms\"");
    let serve = r##"
def serve(call):
    call = call.answer()
    try:
        call.play("welcome")
    except BaseException:
        pass
    while True:
        pass
"##;
    let classic = r##"
try:
    ivr.play("welcome")
except BaseException:
    pass
while True:
    pass
"##;
    let waiting = r##"
import asyncio

async def serve(call):
    call = await call.answer()
    try:
        await call.play("welcome")
    except BaseException:
        pass
    while True:
        await asyncio.sleep(0.01)
"##;
    scripts.write("plain.py", serve).write("classic.py", classic).write("coroutine.py", waiting);
    // One after the other on the one thread there is: each gives it back.
    for name in ["plain.py", "classic.py", "plain.py", "coroutine.py"] {
        let begun = Instant::now();
        let outcome = scripts.call(name, caller().hears("welcome").hangs_up()).await;
        assert!(matches!(outcome.result, Err(CallError::Application(_))), "{name}: {:?}", outcome.result);
        let took = begun.elapsed();
        assert!(took >= Duration::from_millis(300), "{name}: it may go on for a while");
        assert!(took < Duration::from_secs(4), "{name}: stopped, not given up");
        assert_eq!(outcome.heard(), ["welcome"]);
    }
}

// IVR-A8
#[tokio::test]
async fn a_script_may_finish_its_work_after_the_hang_up() {
    let scripts = Scripts::new();
    let source = r##"
import os, time

def serve(call):
    call = call.answer()
    try:
        call.play("welcome")
    finally:
        time.sleep(0.3)
        open(os.path.dirname(__file__) + "/done", "w").close()
"##;
    scripts.write("plain.py", source);
    let outcome = scripts.call("plain.py", caller().hears("welcome").hangs_up()).await;
    assert!(matches!(outcome.result, Err(CallError::HungUp)), "{:?}", outcome.result);
    assert!(scripts.folder.path().join("done").exists());
}

#[tokio::test]
async fn a_top_level_that_does_not_end_is_interrupted() {
    let scripts = Scripts::alone("budget = \"50ms\"");
    scripts.write("endless.py", "def serve(call): pass\nwhile True: pass\n");
    let begun = Instant::now();
    assert_eq!(scripts.call("endless.py", caller()).await.status, 500);
    assert!(begun.elapsed() >= Duration::from_millis(500));
    // The thread that loaded it is free again, or this runtime would wait for it at the end of the test.
}

// IVR-A8, IVR-A9
#[tokio::test]
async fn tracebacks_are_in_the_log() {
    let log = Log::of_this_process();
    let scripts = Scripts::new();
    scripts.write("divides.py", "async def serve(call):\n    number = 1 / 0\n");
    scripts.call("divides.py", caller()).await;
    scripts.write("worse.py", "async def serve(call)\n");
    scripts.call("worse.py", caller()).await;
    let text = log.text();
    for expected in
        ["ERROR", "divides.py\", line 2, in serve", "number = 1 / 0", "ZeroDivisionError", "SyntaxError"]
    {
        assert!(text.contains(expected), "{expected:?} in {text}");
    }
    let before = text.split("divides.py\", line 2").next().unwrap_or_default();
    let above = before.rsplit("the script failed").next().unwrap_or_default();
    assert!(!above.contains("engine.py"), "nothing of ours in the author's traceback: {text}");
}

#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    /// What is logged from now on, by whatever thread and test: only one subscriber of a process hears all.
    fn of_this_process() -> Self {
        let log = Self::default();
        let writer = log.clone();
        tracing_subscriber::fmt().with_ansi(false).with_writer(move || writer.clone()).init();
        log
    }

    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock().expect("whole")).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().expect("whole").extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
