//! Scripts without `serve`, as the first of their kind were written.

use std::{path::PathBuf, time::Duration};

use sems_app::{
    CallError,
    command::EndedBy,
    testing::{Caller, Loaded, Outcome, TestHost, write_wav},
};

use crate::{Scripts, caller, top};

struct Seed {
    host: TestHost,
    ivr: Loaded,
}

impl Seed {
    fn new() -> Self {
        let host = TestHost::new().instant().search(top());
        let ivr = host.load(ivr::PLUGIN, "").expect("loads");
        Self { host, ivr }
    }

    fn messages(&self) -> PathBuf {
        self.host.folder().join("ivr/messages")
    }

    fn leave(&self, owner: &str, name: &str) -> PathBuf {
        let folder = self.messages().join(owner);
        std::fs::create_dir_all(&folder).expect("made");
        let path = folder.join(name);
        write_wav(&path, Duration::from_secs(3), &[]).expect("written");
        path
    }

    async fn call(&self, caller: Caller) -> Outcome {
        self.ivr.call(caller.params("script = \"examples/seed_message.py\"")).await
    }
}

/// The last parts of the paths of what was heard.
fn heard(outcome: &Outcome) -> Vec<String> {
    let name = |sound: &&str| sound.rsplit('/').next().unwrap_or_default().to_owned();
    outcome.heard().iter().map(name).collect()
}

const INSTRUCTION: &str = "ivr_instruction.wav";
const NEXT: &str = "ivr_next_message.wav";
const NONE: &str = "ivr_no_messages.wav";

fn sound(name: &str) -> String {
    top().join("sounds/en").join(name).display().to_string()
}

fn alice() -> Caller {
    Caller::calling("sip:message@example.org").account("sip:alice@example.org")
}

// IVR-A7, IVR-A6, IVR-A2, SEMS-IV-3, SEMS-IV-4
#[tokio::test]
async fn the_seed_script_plays_deletes_and_goes_on() {
    let seed = Seed::new();
    let files = [seed.leave("alice", "a.wav"), seed.leave("alice", "b.wav")];
    let person = alice().hears(&sound(INSTRUCTION)).presses("1");
    let person = person.hears(&sound(INSTRUCTION)).presses("2").hears(&sound(INSTRUCTION)).presses("3");
    let outcome = seed.call(person).await;
    assert!(outcome.result.is_ok(), "{:?}", outcome.result);
    let heard = heard(&outcome);
    // The second message is played as soon as the first is deleted: x is 1 then.
    let (first, second) = (heard[1].clone(), heard[4].clone());
    assert_eq!(heard, [INSTRUCTION, &first, INSTRUCTION, NEXT, &second, INSTRUCTION, NEXT, NONE]);
    let left: Vec<_> = files.iter().filter(|path| path.exists()).collect();
    assert_eq!(left, [&seed.messages().join("alice").join(second)]);
}

// IVR-A2
#[tokio::test]
async fn other_digits_repeat_the_instruction_and_a_timeout_is_zero() {
    let seed = Seed::new();
    seed.leave("alice", "a.wav");
    let person = alice().hears(&sound(INSTRUCTION)).presses("9").hears(&sound(INSTRUCTION)).presses("#");
    let outcome = seed.call(person).await;
    assert_eq!(heard(&outcome), [INSTRUCTION, INSTRUCTION, INSTRUCTION]);
    let waited =
        outcome.lasted - outcome.sounds().last().map(|sound| sound.at + sound.lasted).unwrap_or_default();
    assert_eq!(waited, Duration::from_secs(60));
}

#[tokio::test]
async fn digits_typed_ahead_are_not_lost() {
    let seed = Seed::new();
    seed.leave("alice", "a.wav");
    let outcome = seed.call(alice().presses("13")).await;
    let heard = heard(&outcome);
    assert_eq!(heard.last().map(String::as_str), Some(NONE), "{heard:?}");
    assert!(heard.contains(&"a.wav".to_owned()));
}

// IVR-A3, IVR-A4, SEMS-IV-5
#[tokio::test]
async fn the_seed_script_takes_a_message() {
    let seed = Seed::new();
    let person = Caller::calling("sip:bob@example.org").hears_out(&sound("ivr_invitation.wav"));
    let outcome = seed.call(person.speaks(Duration::from_secs(4)).hangs_up()).await;
    let [(path, duration, ended_by)] = &outcome.recordings()[..] else { panic!("{:?}", outcome.result) };
    assert_eq!(*ended_by, EndedBy::HangUp);
    assert!(duration.as_secs() >= 4);
    assert_eq!(path.parent(), Some(seed.messages().join("bob").as_path()));
    let name = path.file_stem().and_then(|name| name.to_str()).expect("a name");
    let time: u64 = name.strip_prefix("bob").and_then(|time| time.parse().ok()).expect("callee and time");
    assert!(time > 1_600_000_000, "{time}");
    // And with nobody hanging up, it ends after its 60 s.
    let outcome = seed.call(Caller::calling("sip:carol@example.org").speaks(Duration::from_secs(500))).await;
    assert_eq!(outcome.recordings()[0].2, EndedBy::Limit);
    assert_eq!(outcome.recordings()[0].1, Duration::from_secs(60));
}

// IVR-A5
#[tokio::test]
async fn a_name_is_never_a_path() {
    let seed = Seed::new();
    let kept = seed.leave("alice", "a.wav");
    for callee in ["..%2Fetc", "a%2Fb", "..", "%2e%2e", "a%00b", ".hidden"] {
        let outcome = seed.call(Caller::calling(&format!("sip:{callee}@example.org"))).await;
        assert_eq!(outcome.status, 404, "{callee}");
    }
    // Neither a path, nor nothing, nor the claim to be Alice opens her box.
    for from in
        ["sip:..@example.org", "sip:alice%2F..@example.org", "sip:example.org", "sip:alice@example.org"]
    {
        let outcome = seed.call(Caller::calling("sip:message@example.org").from(from).presses("12")).await;
        assert_eq!(heard(&outcome), [NONE], "{from}");
    }
    assert!(kept.exists());
}

// IVR-A1
#[tokio::test]
async fn a_hang_up_raises_in_a_classic_verb() {
    let seed = Seed::new();
    seed.leave("alice", "a.wav");
    let outcome = seed.call(alice().hears(&sound(INSTRUCTION)).hangs_up()).await;
    assert!(matches!(outcome.result, Err(CallError::HungUp)), "{:?}", outcome.result);
}

#[tokio::test]
async fn a_classic_script_may_import_the_module_too_and_fails_with_an_apology() {
    let scripts = Scripts::new();
    scripts.write("old.py", "import ivr\nivr.play(wav_path + 'welcome.wav')\nivr.play('/no/such.wav')\n");
    let outcome = scripts.call("old.py", caller()).await;
    assert_eq!(heard(&outcome), ["welcome.wav", "apology"]);
}
