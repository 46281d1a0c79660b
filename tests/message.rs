//! The mailbox by telephone, and scripts, as callers and operators meet them.

mod field;

use std::{fs, time::Duration};

use field::{
    Server, eventually,
    phone::{Caller, Heard},
    rows::{count, rows},
    speech::{assert_whole, said, sound_file, words},
    tone_file, wav,
};
use tempfile::TempDir;

const PATIENCE: Duration = Duration::from_secs(30);

/// A mailbox whose number can be typed; its PIN is 482915.
const NUMBERED: &str = "[[account]]\nuser = \"7331\"\npassword = \"7331-secret\"\nemail = \"desk@example.org\"\npin = \"482915\"\n";

/// What may be said in a mailbox.
const PROMPTS: [&str; 9] = [
    "message/menu",
    "message/next_message",
    "message/deleted",
    "message/no_messages",
    "message/enter_mailbox",
    "message/enter_pin",
    "message/wrong_pin",
    "message/locked",
    "message/goodbye",
];

/// A server on whose voicemail the greeting is short.
fn server() -> Server {
    let dir = TempDir::new().expect("a temporary folder");
    let greeting = dir.path().join("greeting.wav");
    tone_file(&greeting, 700.0, Duration::from_millis(300));
    Server::start_in(
        dir,
        &format!("[plugins.voicemail]\ngreeting = {greeting:?}\nmode = \"box\"\n{NUMBERED}"),
    )
}

/// Leaves a message with a tone of a second and a half.
fn leave(server: &Server, user: &str, hz: f32) {
    let before = count(&server.data(), "SELECT COUNT(*) FROM message");
    let path = server.dir.path().join("said.wav");
    sound_file(&path, &[(0.0, 1.5), (hz, 1.5)]);
    let heard = Caller::to(server, user, 3.5, "left").says(&path).call();
    assert!(heard.call.success, "{:?} {:?}", heard.call, server.log());
    eventually("the message", PATIENCE, || {
        (count(&server.data(), "SELECT COUNT(*) FROM message") == before + 1).then_some(())
    });
}

/// When a tone is first heard, for half a second at least.
fn tone(heard: &Heard, hz: f64) -> Option<f64> {
    heard.tone(hz).into_iter().find(|(start, end)| end - start > 0.5).map(|(start, _)| start)
}

fn silence(server: &Server) -> std::path::PathBuf {
    let path = server.dir.path().join("silence.wav");
    sound_file(&path, &[(0.0, 0.1)]);
    path
}

/// SEMS-IV-1, SEMS-IV-2, SEMS-IV-3: the owner, proved by digest, hears the menu without a PIN; 1 listens, 3 goes
/// on, 2 deletes, another digit repeats; the oldest first; after the last one "no more messages".
#[test]
fn the_owner_hears_deletes_and_skips_his_messages() {
    let server = server();
    leave(&server, "alice", 900.0);
    leave(&server, "alice", 1300.0);
    let quiet = silence(&server);
    let owner = |name: &str, digits: &str| {
        Caller::to(&server, "message", 90.0, name).login("alice").says(&quiet).presses(digits).call()
    };
    // 9 repeats the menu, which is then heard whole; then listen, next, listen, delete.
    let heard = owner("first", "9,,,,,,,,,,,,,,,,1,,,,,,,,,,3,,,,1,,,,,,,,,,2");
    assert_eq!(heard.call.summary["ended_by"], "peer", "{:?} {:?}", heard.call, server.log());
    let expected =
        ["message/menu", "message/next_message", "message/deleted", "message/no_messages", "message/goodbye"];
    assert_eq!(words(&heard, &PROMPTS), expected, "{:?}", server.log());
    let (first, second) = (tone(&heard, 900.0), tone(&heard, 1300.0));
    assert!(first.is_some() && first < second, "the oldest first: {first:?}, {second:?}");
    let menu = said(&heard, "message/menu")[0];
    assert!(first > Some(menu + 6.0), "not before the key");
    let kept = rows(
        &server.data(),
        "SELECT heard_at IS NOT NULL, deleted_at IS NOT NULL FROM message ORDER BY received",
    );
    assert_eq!(kept, [[1, 0], [1, 1]], "heard, kept; heard, deleted");

    // A new one comes before the one that was heard; nothing was lost of what is typed ahead.
    leave(&server, "alice", 1700.0);
    let heard = owner("second", "1,,,,,,,,,,3,,,,1,,,,,,,,,,3");
    assert_eq!(heard.call.summary["ended_by"], "peer", "{:?}", heard.call);
    let (new, old) = (tone(&heard, 1700.0), tone(&heard, 900.0));
    assert!(new.is_some() && new < old, "unheard before heard: {new:?}, {old:?}");
    assert_eq!(tone(&heard, 1300.0), None, "deleted");
    let ahead = owner("ahead", "33");
    assert_eq!(ahead.call.summary["ended_by"], "peer", "{:?}", ahead.call);
    let expected = ["message/next_message", "message/no_messages", "message/goodbye"];
    assert_eq!(words(&ahead, &PROMPTS), expected);
    // Of somebody else's messages nothing is heard.
    let other = Caller::to(&server, "message", 60.0, "bob").login("bob").says(&quiet).call();
    assert_eq!(words(&other, &PROMPTS), ["message/no_messages", "message/goodbye"], "{:?}", other.call);
}

/// SEMS-IV-2: a stranger opens a mailbox by its number and PIN, never by what his phone claims; three wrong PINs
/// end the call and lock the mailbox.
#[test]
fn a_stranger_needs_the_number_and_the_pin() {
    let server = server();
    leave(&server, "7331", 1300.0);
    let quiet = silence(&server);
    let stranger = |name: &str, digits: &str| {
        Caller::to(&server, "message", 90.0, name)
            .from("sip:7331@elsewhere.example")
            .says(&quiet)
            .presses(digits)
            .call()
    };
    let right = stranger("right", ",,,,,,,,,7331#,,,,,,,,,482915#,1,,,,,,,,,,2");
    assert_eq!(right.call.summary["ended_by"], "peer", "{:?} {:?}", right.call, server.log());
    let heard = words(&right, &PROMPTS);
    let expected = ["message/enter_mailbox", "message/enter_pin", "message/deleted", "message/no_messages"];
    assert_eq!(heard, [&expected[..], &["message/goodbye"]].concat());
    assert!(tone(&right, 1300.0) > Some(8.0), "after the PIN");

    // From as one of our accounts, without its password.
    let claimed = Caller::to(&server, "message", 5.0, "claimed").from("sip:7331@localhost").call();
    assert_eq!(claimed.call.status(), 407, "{:?}", claimed.call);
    let wrong =
        Caller::to(&server, "message", 5.0, "password").from("sip:alice@localhost").login("bob").call();
    assert!([403, 407].contains(&wrong.call.status()), "{:?}", wrong.call);

    leave(&server, "7331", 900.0);
    let wrong = stranger("wrong", "7331#111222#7331#333444#7331#555666#");
    assert_eq!(wrong.call.summary["ended_by"], "peer", "{:?}", wrong.call);
    let heard = words(&wrong, &PROMPTS);
    assert_eq!(heard, ["message/wrong_pin", "message/wrong_pin", "message/locked", "message/goodbye"]);
    let late = stranger("late", "7331#482915#");
    assert_eq!(late.call.summary["ended_by"], "peer", "{:?}", late.call);
    assert_eq!(words(&late, &PROMPTS), ["message/locked", "message/goodbye"], "locked for the right PIN too");
    assert_eq!((tone(&wrong, 900.0), tone(&late, 900.0)), (None, None));
    // A number that is nobody's is not told apart from a wrong PIN.
    let nobody = stranger("nobody", "999#111222#999#333444#999#555666#");
    let heard = words(&nobody, &PROMPTS);
    assert_eq!(heard, ["message/wrong_pin"; 3].into_iter().chain(["message/goodbye"]).collect::<Vec<_>>());
}

/// IVR-A8, IVR-A9: a script that breaks gives its caller an apology and the operator a traceback; a changed one
/// serves the next call; one that does not load leaves the version before it in service.
#[test]
fn scripts_break_change_and_stay() {
    let dir = TempDir::new().expect("a temporary folder");
    let scripts = dir.path().join("scripts");
    fs::create_dir(&scripts).expect("a folder");
    let write = |name: &str, text: &str| fs::write(scripts.join(name), text).expect("a script");
    let version = |hz: u32| {
        format!(
            "import ivr\n\nasync def serve(call):\n    call = await call.answer()\n    await call.play(ivr.tone({hz}, 1.0))\n"
        )
    };
    write("broken.py", &format!("{}    raise RuntimeError('kaput at dinner')\n", version(900)));
    write(
        "plain.py",
        "def serve(call):\n    call = call.answer()\n    call.play('welcome')\n    return {}['key']\n",
    );
    write("changed.py", &version(600));
    let route = |name: &str| format!("[[route]]\nuser = \"{name}\"\napp = \"ivr\"\nscript = \"{name}.py\"\n");
    let routes = ["broken", "plain", "changed"].map(route).concat();
    let server = Server::start_in(dir, &format!("[plugins.ivr]\nscripts = {scripts:?}\n{routes}"));
    let call = |name: &str, ear: &str| Caller::to(&server, name, 30.0, ear).says(&silence(&server)).call();

    for (name, cause, before) in [("broken", "kaput at dinner", None), ("plain", "KeyError", Some("welcome"))]
    {
        let heard = call(name, name);
        assert_eq!(heard.call.summary["ended_by"], "peer", "{:?}", heard.call);
        let expected: Vec<&str> = before.into_iter().chain(["apology"]).collect();
        assert_eq!(words(&heard, &["welcome", "apology", "goodbye"]), expected, "{name}");
        let mut log = Vec::new();
        eventually("a traceback in the log", PATIENCE, || {
            log.extend(server.log());
            let log = log.join("\n");
            (log.contains("Traceback") && log.contains(cause) && log.contains(&format!("{name}.py")))
                .then_some(())
        });
    }

    assert!(tone(&call("changed", "v1"), 600.0).is_some());
    write("changed.py", &version(1200));
    let heard = call("changed", "v2");
    assert!(tone(&heard, 1200.0).is_some() && tone(&heard, 600.0).is_none(), "{:?}", heard.call);
    write("changed.py", "async def serve(call:\n    this is no Python\n");
    let heard = call("changed", "v3");
    assert!(
        tone(&heard, 1200.0).is_some(),
        "the version before goes on: {:?} {:?}",
        heard.call,
        server.log()
    );
    server.logged("SyntaxError", PATIENCE);
    write("changed.py", &version(800));
    assert!(tone(&call("changed", "v4"), 800.0).is_some(), "mended");
}

/// SEMS-IV-5, IVR-A1 to IVR-A7: the snippet of the source document serves real calls. Who calls somebody leaves a
/// message, the owner hears it with 1 and deletes it with 2.
#[test]
fn the_classic_script_takes_and_plays_messages() {
    let script = |user: &str| {
        format!("[[route]]\nuser = \"{user}\"\napp = \"ivr\"\nscript = \"examples/seed_message.py\"\n")
    };
    let server = Server::start(&["message", "carol"].map(script).concat());
    let path = server.dir.path().join("said.wav");
    sound_file(&path, &[(0.0, 6.5), (900.0, 60.0)]);
    let left = Caller::to(&server, "carol", 9.0, "left").says(&path).call();
    assert!(left.call.success, "{:?} {:?}", left.call, server.log());
    assert_eq!(words(&left, &["ivr_invitation", "ivr_no_messages"]), ["ivr_invitation"]);
    let folder = server.data().join("ivr/messages/carol");
    let files = || -> Vec<std::path::PathBuf> {
        let Ok(entries) = fs::read_dir(&folder) else { return Vec::new() };
        entries.filter_map(|entry| Some(entry.ok()?.path())).collect()
    };
    let file = eventually("a message of the script", PATIENCE, || files().pop());
    let name = file.file_name().and_then(|name| name.to_str()).expect("a name").to_owned();
    let time = name.strip_prefix("carol").and_then(|rest| rest.strip_suffix(".wav"));
    assert!(time.is_some_and(|time| time.parse::<u64>().is_ok()), "{name}");
    // The script ends after the hang-up.
    let (mut samples, mut rate) = wav(&file);
    eventually("a finished file", PATIENCE, || {
        let before = samples.len();
        std::thread::sleep(Duration::from_millis(300));
        (samples, rate) = wav(&file);
        (samples.len() == before).then_some(())
    });
    assert_whole("the script's recording", &samples, rate, left.seconds() - 6.5, left.late());

    let quiet = silence(&server);
    let carol = |ear: &str, digits: &str| {
        Caller::to(&server, "message", 60.0, ear).login("carol").says(&quiet).presses(digits).call()
    };
    let prompts = ["ivr_instruction", "ivr_next_message", "ivr_no_messages", "ivr_invitation"];
    // 1 after the whole instruction; the message is played, and the instruction again; then 2.
    let heard = carol("owner", &format!("{}1{}2", ",".repeat(18), ",".repeat(14)));
    assert_eq!(heard.call.summary["ended_by"], "peer", "{:?} {:?}", heard.call, server.log());
    assert_eq!(words(&heard, &prompts), ["ivr_instruction", "ivr_next_message", "ivr_no_messages"]);
    assert!(tone(&heard, 900.0) > Some(8.0), "{:?}", heard.tone(900.0));
    assert!(files().is_empty(), "2 deletes: {:?}", files());
    let heard = carol("empty", "");
    assert_eq!(words(&heard, &prompts), ["ivr_no_messages"], "{:?}", heard.call);
}
