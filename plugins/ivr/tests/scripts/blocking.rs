//! `def serve(call)`, a thread each.

use std::{sync::Arc, time::Duration};

use sems_app::{CallError, testing::Side};

use crate::{Scripts, caller};

// SEMS-IV-1
#[tokio::test]
async fn a_plain_function_has_the_same_verbs() {
    let scripts = Scripts::new();
    scripts.host.mailboxes().add("bob@example.com");
    scripts.host.mailboxes().leave("bob@example.com", "sip:x@y", Duration::from_secs(3));
    let source = r##"
import ivr

def serve(call):
    assert isinstance(call, ivr.BlockingIncomingCall)
    assert call.account.user == "bob"
    mailbox = call.mailbox()
    call = call.answer()
    (message,) = mailbox.messages()
    assert message.seconds == 3 and not message.heard and message.caller == "sip:x@y"
    call.play(mailbox.audio(message))
    mailbox.mark_heard(message)
    if call.ask("menu") == "2":
        mailbox.delete(message.id)
    call.play("done")
"##;
    scripts.write("plain.py", source);
    let person = caller().account("sip:bob@example.com").hears("menu").presses("2");
    let outcome = scripts.call("plain.py", person).await;
    assert_eq!(outcome.heard().last(), Some(&"done"), "{:?}", outcome.result);
    let messages = scripts.host.mailboxes().messages_of("bob@example.com");
    assert!(messages[0].deleted && messages[0].info.heard);
}

#[tokio::test]
async fn a_hang_up_ends_a_plain_script_normally() {
    let scripts = Scripts::new();
    scripts.write(
        "plain.py",
        "def serve(call):\n    call = call.answer()\n    call.play('welcome', repeat=True)\n",
    );
    let outcome = scripts.call("plain.py", caller().hears("welcome").hangs_up()).await;
    assert!(matches!(outcome.result, Err(CallError::HungUp)), "{:?}", outcome.result);
    assert_eq!((outcome.heard(), outcome.ended_by), (vec!["welcome"], Some(Side::Caller)));
}

// IVR-A8
#[tokio::test]
async fn a_broken_plain_script_apologises() {
    let scripts = Scripts::new();
    scripts.write("plain.py", "def serve(call):\n    call = call.answer()\n    call.play(None)\n");
    assert_eq!(scripts.call("plain.py", caller()).await.heard(), ["apology"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn threads_are_bounded_and_given_back() {
    let scripts = Arc::new(Scripts::with("max_calls = 2"));
    let folder = scripts.folder.path().display().to_string();
    let source = format!(
        "import os, time\ndef serve(call):\n    call = call.answer()\n    open({folder:?} + '/in' + call.id, 'w').close()\n\
         \x20   while not os.path.exists({folder:?} + '/go'):\n        time.sleep(0.01)\n    call.play('welcome')\n"
    );
    scripts.write("slow.py", &source);
    let begun: Vec<_> = (0..2)
        .map(|_| {
            let scripts = scripts.clone();
            tokio::spawn(async move { scripts.call("slow.py", caller()).await })
        })
        .collect();
    let inside = || std::fs::read_dir(scripts.folder.path()).expect("there").count() - 1;
    while inside() < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    let third = scripts.call("slow.py", caller()).await;
    assert_eq!(third.status, 503);
    scripts.write("go", "");
    for call in begun {
        assert_eq!(call.await.expect("no panic").heard(), ["welcome"]);
    }
    assert_eq!(scripts.call("slow.py", caller()).await.heard(), ["welcome"]);
}
