//! `async def serve(call)`.

use std::{sync::Arc, time::Duration};

use sems_app::{
    CallError, Uri,
    testing::{Event, Side},
};

use crate::{Scripts, caller};

const MENU: &str = r##"
import ivr

async def serve(call):
    assert call.caller == "sip:bob@example.com" and call.caller.user == "bob", call.caller
    assert call.callee.user == "script" and call.callee.host == "example.org"
    assert call.identity == "stranger" and call.account is None
    assert call.params == {"script": "menu.py"}, call.params
    await call.ringing()
    call = await call.answer()
    while True:
        match await call.ask("welcome", timeout=10):
            case "1":
                await call.play("one")
            case "2":
                assert await call.digits(4) == "1234"
                await call.play("two")
            case "":
                await call.play("goodbye")
                return
"##;

// SEMS-IV-1
#[tokio::test]
async fn digits_drive_a_dialogue() {
    let scripts = Scripts::new();
    scripts.write("menu.py", MENU);
    let person = caller().hears("welcome").presses("1").hears("one").presses("21234").hears_out("two");
    let outcome = scripts.call("menu.py", person).await;
    assert_eq!(outcome.heard(), ["welcome", "one", "two", "welcome", "goodbye"], "{:?}", outcome.result);
    assert_eq!((outcome.status, outcome.ended_by), (200, Some(Side::Application)));
    assert!(outcome.events().any(|event| *event == Event::Rang));
}

// IVR-A1
#[tokio::test]
async fn a_hang_up_in_a_verb_is_an_exception_that_except_exception_lets_through() {
    let scripts = Scripts::new();
    let source = r##"
import ivr

async def serve(call):
    call = await call.answer()
    try:
        try:
            await call.play("welcome", repeat=True)
        except Exception:
            open(call.header("X-Note") + ".swallowed", "w").close()
    except ivr.HungUp:
        open(call.header("X-Note"), "w").close()
        raise
"##;
    scripts.write("hangup.py", source);
    let note = scripts.folder.path().join("note");
    let name = note.display().to_string();
    let person = caller().info(|info| info.headers.push(("x-note".into(), name))).hears("welcome").hangs_up();
    let outcome = scripts.call("hangup.py", person).await;
    assert!(matches!(outcome.result, Err(CallError::HungUp)), "{:?}", outcome.result);
    assert_eq!(outcome.ended_by, Some(Side::Caller));
    assert!(note.exists() && !note.with_extension("swallowed").exists());
}

#[tokio::test]
async fn a_call_is_not_bridged_with_itself() {
    let scripts = Scripts::new();
    let source = r##"
async def serve(call):
    call = await call.answer()
    try:
        await call.bridge(call)
    except ValueError:
        await call.play("refused")
"##;
    scripts.write("bridge.py", source);
    assert_eq!(scripts.call("bridge.py", caller()).await.heard(), ["refused"]);
}

// IVR-A8
#[tokio::test]
async fn a_broken_script_apologises_and_hangs_up() {
    let scripts = Scripts::new();
    scripts.write("broken.py", "async def serve(call):\n    call = await call.answer()\n    1 / 0\n");
    let outcome = scripts.call("broken.py", caller()).await;
    assert_eq!(outcome.heard(), ["apology"]);
    assert_eq!(outcome.ended_by, Some(Side::Application));
    assert!(matches!(outcome.result, Err(CallError::Application(_))));
}

#[tokio::test]
async fn a_script_that_fails_before_the_answer_refuses_with_a_status() {
    let scripts = Scripts::new();
    scripts.write("broken.py", "async def serve(call):\n    1 / 0\n");
    assert_eq!(scripts.call("broken.py", caller()).await.status, 500);
    scripts.write("none.py", "async def serve(call):\n    await call.mailbox('nobody')\n");
    assert_eq!(scripts.call("none.py", caller()).await.status, 404);
    scripts.write("busy.py", "async def serve(call):\n    await call.reject(486)\n");
    assert_eq!(scripts.call("busy.py", caller()).await.status, 486);
    scripts.write("gone.py", "async def serve(call):\n    await call.redirect('bob', 'sip:b@example.net')\n");
    let outcome = scripts.call("gone.py", caller()).await;
    let to = vec![Uri::sip("bob", "example.org"), Uri::sip("b", "example.net")];
    assert!(outcome.events().any(|event| *event == Event::Redirected(to.clone())));
    scripts.write("silent.py", "async def serve(call):\n    pass\n");
    assert_eq!(scripts.call("silent.py", caller()).await.status, 480);
}

#[tokio::test]
async fn wrong_arguments_are_errors_in_the_script_alone() {
    let scripts = Scripts::new();
    let source = r##"
import ivr

async def refused(verb, *args, **named):
    try:
        await verb(*args, **named)
    except (TypeError, ValueError, OverflowError):
        return
    raise AssertionError(f"{args} {named} were taken")

async def serve(call):
    await refused(call.reject, 200)
    await refused(call.reject, -1)
    call = await call.answer()
    await refused(call.play, 42)
    await refused(call.play, "welcome", stop_on="x")
    await refused(call.digits, 0)
    await refused(call.digits, 1, timeout=-1)
    await refused(call.digits, 1, timeout=float("nan"))
    await refused(call.record, max_seconds=0)
    await refused(call.record, max_seconds=float("inf"))
    await refused(call.dial, "")
    await refused(call.dial, "sip:a@b:99999999")
    endless = []
    endless.append(endless)
    await refused(call.play, endless)
    try:
        ivr.tone(float("nan"), 1)
    except ValueError:
        await call.play(["welcome", ivr.silence(0.5), ivr.tone(440, 0.5)])
"##;
    scripts.write("wrong.py", source);
    let outcome = scripts.call("wrong.py", caller()).await;
    assert_eq!(outcome.heard(), ["welcome", "tone 440 Hz"], "{:?}", outcome.result);
}

#[tokio::test]
async fn a_cancelled_verb_is_stopped_and_the_next_one_goes_on() {
    let scripts = Scripts::new();
    // The clock of the core is virtual, so the limit falls at once; what matters is that the sound ends.
    let source = r##"
import asyncio

async def serve(call):
    call = await call.answer()
    music = asyncio.create_task(call.play("music", repeat=True))
    await asyncio.sleep(0)
    await asyncio.sleep(0.01)
    music.cancel()
    await call.play("done")
"##;
    scripts.write("cancel.py", source);
    let outcome =
        scripts.call("cancel.py", caller().waits(Duration::from_secs(1_000_000_000)).hangs_up()).await;
    let heard = outcome.heard();
    assert_eq!((heard.first(), heard.last()), (Some(&"music"), Some(&"done")), "{:?}", outcome.result);
}

#[tokio::test]
async fn a_leg_is_dialled_and_bridged() {
    let scripts = Scripts::new();
    let source = r##"
import ivr

async def serve(call):
    call = await call.answer()
    try:
        await call.dial("busy")
    except ivr.NotAnswered as error:
        assert error.status == 486
    other = await call.dial("alice", timeout=5)
    assert await other.ask("screen") == "1"
    await call.bridge(other)
    await call.play("goodbye")
"##;
    scripts.write("dial.py", source);
    let alice = caller().hears("screen").presses("1").hangs_up();
    let person = caller().is_refused("sip:busy@example.org", 486).reaches("sip:alice@example.org", alice);
    // Each second that passes lets the other leg's task run.
    let person = (0..1000).fold(person, |person, _| person.waits(Duration::from_secs(1)));
    let outcome = scripts.call("dial.py", person).await;
    assert_eq!(
        outcome.heard(),
        ["goodbye"],
        "{:?} {:?}",
        outcome.result,
        outcome.events().collect::<Vec<_>>()
    );
}

#[tokio::test]
async fn a_recording_without_a_path_ends_with_the_call() {
    let scripts = Scripts::new();
    let source = r##"
import os, ivr

async def serve(call):
    call = await call.answer()
    take = await call.record(max_seconds=20)
    assert take.ended_by == "#" and 2.9 < take.seconds < 4.1, take
    await call.play(take.path)
    take = await call.record("kept.wav")
    assert take.ended_by == "hang-up", take
"##;
    scripts.write("record.py", source);
    let person =
        caller().speaks(Duration::from_secs(3)).presses("#").waits(Duration::from_secs(5)).hangs_up();
    let outcome = scripts.call("record.py", person).await;
    assert!(outcome.result.is_ok(), "{:?}", outcome.result);
    let paths: Vec<_> = outcome.recordings().into_iter().map(|(path, ..)| path).collect();
    assert_eq!(outcome.heard(), [paths[0].display().to_string()]);
    assert!(!paths[0].exists(), "the temporary one");
    assert_eq!(paths[1], scripts.host.folder().join("ivr/kept.wav"));
    assert!(paths[1].exists());
}

#[tokio::test]
async fn a_message_is_left_from_python() {
    let scripts = Scripts::new();
    scripts.host.mailboxes().add("alice@example.org");
    let source = r##"
async def serve(call):
    mailbox = await call.mailbox("alice")
    call = await call.answer()
    await mailbox.leave_message(max_seconds=30)
"##;
    scripts.write("leave.py", source);
    let outcome = scripts.call("leave.py", caller().speaks(Duration::from_secs(5)).hangs_up()).await;
    let messages = scripts.host.mailboxes().messages_of("alice@example.org");
    assert_eq!(messages.len(), 1, "{:?}", outcome.result);
    assert!(messages[0].order < outcome.bye_order().expect("held"), "safe before the BYE is answered");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_coroutines_talk_at_once() {
    let scripts = Arc::new(Scripts::new());
    // Nobody goes on before all are there: a thousand calls are open on one thread of Python.
    let source = r##"
import asyncio

waiting = set()

async def serve(call):
    call = await call.answer()
    gate = asyncio.get_running_loop().create_future()
    waiting.add(gate)
    if len(waiting) == 1000:
        for gate_of_other in waiting:
            gate_of_other.set_result(None)
    await gate
    for _ in range(5):
        await call.play("welcome")
    assert await call.ask("menu") == "1"
"##;
    scripts.write("many.py", source);
    let calls: Vec<_> = (0..1000)
        .map(|_| {
            let scripts = scripts.clone();
            tokio::spawn(async move { scripts.call("many.py", caller().hears("menu").presses("1")).await })
        })
        .collect();
    for call in calls {
        let outcome = call.await.expect("no panic");
        assert!(outcome.result.is_ok(), "{:?}", outcome.result);
        assert_eq!(outcome.heard().len(), 6);
    }
}
