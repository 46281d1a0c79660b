//! A script that loops for ever harms only its own call. IVR-A8

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sems_app::testing::Outcome;

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
    let scripts = Arc::new(Scripts::with("budget = \"200ms\""));
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
    let scripts = Arc::new(Scripts::with("budget = \"100ms\""));
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
    assert_eq!(scripts.call("good.py", caller()).await.heard().len(), 20, "the new loop");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_busy_thread_leaves_the_others_alone() {
    let scripts = Arc::new(Scripts::new());
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
