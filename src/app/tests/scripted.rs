//! The scripted core keeps the contract of the command wire, on which tests of plugins stand.

use std::{future::IntoFuture, time::Duration};

use sems_app::{
    BoxFuture, CallError, Deposit, DynApplication, IncomingCall, Mailbox, MailboxBackend, MailboxError,
    MailboxId, Mailboxes, MessageId, MessageInfo, Mode, Prompt, Spool, Uri,
    testing::{Caller, Event, Side, TestHost, write_wav},
};

const URI: &str = "sip:test@example.org";

fn secs(seconds: u64) -> Duration {
    Duration::from_secs(seconds)
}

fn digits_of(outcome: &sems_app::testing::Outcome) -> Vec<&str> {
    outcome
        .events()
        .filter_map(|event| match event {
            Event::Digits(digits) => Some(digits.as_str()),
            _ => None,
        })
        .collect()
}

#[tokio::test(start_paused = true)]
async fn digits_typed_ahead_are_never_lost() {
    async fn serve(call: IncomingCall) -> Result<(), CallError> {
        let mut call = call.answer().await?;
        call.play(Prompt::named("first")).await?;
        let stopped = call.play(Prompt::named("menu")).stop_on("123").await?;
        assert_eq!(stopped.digit, Some('1'));
        let rest = call.digits(3).await?;
        assert_eq!(rest, "23");
        Ok(())
    }
    let outcome = TestHost::new().call(&serve, Caller::calling(URI).hears("first").presses("123#")).await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
    assert_eq!(outcome.heard(), ["first"], "the menu does not begin where its answer is there");
    assert_eq!(digits_of(&outcome), ["23"]);
    assert_eq!(outcome.unfinished, []);
}

#[tokio::test(start_paused = true)]
async fn digits_end_by_count_by_pound_and_by_time() {
    async fn serve(call: IncomingCall) -> Result<(), CallError> {
        let mut call = call.answer().await?;
        for ask in ["count", "pound", "between", "first"] {
            call.play(Prompt::named(ask)).await?;
            call.digits(4).timeout(secs(60)).between(secs(3)).await?;
        }
        Ok(())
    }
    let caller = Caller::calling(URI)
        .hears_out("count")
        .presses("1234")
        .hears_out("pound")
        .presses("12#")
        .hears_out("between")
        .presses("1")
        .waits(secs(2))
        .presses("2")
        .waits(secs(4))
        .presses("3")
        .hears_out("first")
        .waits(secs(61));
    let outcome = TestHost::new().call(&serve, caller).await;
    assert_eq!(digits_of(&outcome), ["1234", "12", "12", "3"]);
    assert_eq!(outcome.ended_by, Some(Side::Application));
}

#[tokio::test(start_paused = true)]
async fn a_hang_up_ends_every_verb_at_once() {
    async fn serve(call: IncomingCall) -> Result<(), CallError> {
        let mut call = call.answer().await?;
        let first = call.play(Prompt::named("long")).repeat().await;
        assert!(matches!(first, Err(CallError::HungUp)));
        assert!(matches!(call.digits(1).await, Err(CallError::HungUp)));
        assert!(matches!(call.dial(Uri::sip("a", "b")).await, Err(CallError::HungUp)));
        assert!(matches!(call.record("/nowhere/x.wav").await, Err(CallError::HungUp)));
        call.hang_up().await
    }
    let outcome = TestHost::new().call(&serve, Caller::calling(URI).waits(secs(7)).hangs_up()).await;
    assert!(matches!(outcome.result, Err(CallError::HungUp)));
    assert_eq!((outcome.ended_by, outcome.lasted), (Some(Side::Caller), secs(7)));
    assert!(outcome.sounds().last().is_some_and(|sound| !sound.whole && sound.lasted == secs(1)));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_verb_stops() {
    async fn serve(call: IncomingCall) -> Result<(), CallError> {
        let mut call = call.answer().await?;
        let echo = tokio::time::timeout(secs(3), call.echo().into_future()).await;
        assert!(echo.is_err());
        call.play(Prompt::named("after")).await?;
        Ok(())
    }
    let outcome = TestHost::new().call(&serve, Caller::calling(URI)).await;
    assert_eq!(outcome.heard(), ["after"]);
    assert_eq!(outcome.lasted, secs(5));
}

#[tokio::test(start_paused = true)]
async fn a_dialled_leg_is_bridged_until_one_hangs_up() {
    async fn serve(call: IncomingCall) -> Result<(), CallError> {
        let mut call = call.answer().await?;
        let busy = call.dial(Uri::sip("busy", "example.org")).await;
        assert!(matches!(busy, Err(CallError::NotAnswered { status: 486 })), "{busy:?}");
        let other = call.dial(Uri::sip("carol", "example.org")).await?;
        call.bridge(other).await?;
        call.play(Prompt::named("goodbye")).await?;
        Ok(())
    }
    let caller = |seconds| {
        let carol = Caller::calling("sip:carol@example.org").waits(secs(seconds)).hangs_up();
        Caller::calling(URI)
            .is_refused("sip:busy@example.org", 486)
            .reaches("sip:carol@example.org", carol)
            .waits(secs(30))
            .hangs_up()
    };
    let stays = TestHost::new().call(&serve, caller(10)).await;
    assert_eq!(stays.heard(), ["goodbye"]);
    assert_eq!(stays.lasted, secs(12));
    let leaves = TestHost::new().call(&serve, caller(60)).await;
    assert_eq!((leaves.heard(), leaves.lasted), (vec![], secs(30)));
    assert!(matches!(leaves.result, Err(CallError::HungUp)));
}

#[tokio::test(start_paused = true)]
async fn refusals_have_the_status_of_their_error() {
    let host = TestHost::new();
    let reject = |call: IncomingCall| async move { call.reject(603).await };
    let redirect = |call: IncomingCall| async move { call.redirect(vec![Uri::sip("a", "b")]).await };
    let nothing = |_: IncomingCall| async { Ok(()) };
    let full = |_: IncomingCall| async { Err(CallError::NoCapacity("threads")) };
    let cases: [(&dyn DynApplication, u16); 4] =
        [(&reject, 603), (&redirect, 302), (&nothing, 480), (&full, 503)];
    for (application, status) in cases {
        let outcome = host.call(application, Caller::calling(URI)).await;
        assert_eq!((outcome.status, outcome.ended_by), (status, None));
    }
}

#[tokio::test]
async fn an_instant_host_waits_for_no_clock() {
    async fn serve(call: IncomingCall) -> Result<(), CallError> {
        let mut call = call.answer().await?;
        call.play(Prompt::Silence(secs(86_400))).await?;
        call.digits(1).timeout(secs(60)).await.map(drop)
    }
    let outcome = TestHost::new().instant().call(&serve, Caller::calling(URI)).await;
    assert_eq!(outcome.lasted, secs(3600), "the caller's patience");
    assert_eq!(outcome.ended_by, Some(Side::Caller));
}

#[tokio::test(start_paused = true)]
async fn files_last_as_long_as_they_are_and_must_be_there() {
    let host = TestHost::new();
    let path = host.folder().join("sound.wav");
    write_wav(&path, Duration::from_millis(1250), &[]).expect("a writable folder");
    let serve = move |call: IncomingCall| {
        let path = path.clone();
        async move {
            let mut call = call.answer().await?;
            call.play(path.clone()).await?;
            let missing = call.play(path.with_extension("mp3")).await;
            assert!(matches!(missing, Err(CallError::Prompt { .. })), "{missing:?}");
            Ok(())
        }
    };
    let outcome = host.call(&serve, Caller::calling(URI)).await;
    assert!(outcome.result.is_ok());
    assert_eq!(outcome.lasted, Duration::from_millis(1250));
}

/// A store whose spool file already holds sound, or not, when the core is gone.
struct Halfway {
    path: std::path::PathBuf,
    discarded: std::sync::atomic::AtomicBool,
}

fn ready<'a, T: Send + 'a>(value: T) -> BoxFuture<'a, Result<T, MailboxError>> {
    Box::pin(std::future::ready(Ok(value)))
}

impl MailboxBackend for Halfway {
    fn owner_of<'a>(&'a self, _: &'a Uri) -> BoxFuture<'a, Result<MailboxId, MailboxError>> {
        ready(MailboxId("1".into()))
    }
    fn greeting<'a>(
        &'a self,
        _: &'a MailboxId,
    ) -> BoxFuture<'a, Result<Option<std::path::PathBuf>, MailboxError>> {
        ready(None)
    }
    fn is_full<'a>(&'a self, _: &'a MailboxId) -> BoxFuture<'a, Result<bool, MailboxError>> {
        ready(false)
    }
    fn begin<'a>(&'a self, _: &'a MailboxId, _: &'a Deposit) -> BoxFuture<'a, Result<Spool, MailboxError>> {
        ready(Spool { path: self.path.clone(), id: MessageId("m".into()) })
    }
    fn commit<'a>(
        &'a self,
        _: &'a MailboxId,
        spool: &'a Spool,
        _: Duration,
    ) -> BoxFuture<'a, Result<MessageId, MailboxError>> {
        ready(spool.id.clone())
    }
    fn discard<'a>(&'a self, _: &'a MailboxId, _: &'a Spool) -> BoxFuture<'a, Result<(), MailboxError>> {
        self.discarded.store(true, std::sync::atomic::Ordering::SeqCst);
        ready(())
    }
    fn missed<'a>(&'a self, _: &'a MailboxId, _: &'a Deposit) -> BoxFuture<'a, Result<(), MailboxError>> {
        ready(())
    }
    fn messages<'a>(&'a self, _: &'a MailboxId) -> BoxFuture<'a, Result<Vec<MessageInfo>, MailboxError>> {
        ready(Vec::new())
    }
    fn audio<'a>(
        &'a self,
        _: &'a MailboxId,
        _: &'a MessageId,
    ) -> BoxFuture<'a, Result<std::path::PathBuf, MailboxError>> {
        ready(self.path.clone())
    }
    fn mark_heard<'a>(
        &'a self,
        _: &'a MailboxId,
        _: &'a MessageId,
    ) -> BoxFuture<'a, Result<(), MailboxError>> {
        ready(())
    }
    fn delete<'a>(&'a self, _: &'a MailboxId, _: &'a MessageId) -> BoxFuture<'a, Result<(), MailboxError>> {
        ready(())
    }
    fn verify_pin<'a>(&'a self, _: &'a MailboxId, _: &'a str) -> BoxFuture<'a, Result<bool, MailboxError>> {
        ready(false)
    }
}

// A core that dies in the middle of a recording answers nothing; what is on the disk must not be thrown away.
#[tokio::test(start_paused = true)]
async fn what_was_said_outlives_a_core_that_failed() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    for (sound, discarded) in [(secs(0), true), (secs(3), false)] {
        let path = folder.path().join("spool.wav");
        write_wav(&path, sound, &[]).expect("a writable folder");
        let store = std::sync::Arc::new(Halfway { path, discarded: false.into() });
        let mailboxes = Mailboxes::new(store.clone());
        let mailbox: Mailbox =
            mailboxes.owner_of(&Uri::sip("alice", "example.org")).await.expect("a mailbox");
        let (commands, mut core) = tokio::sync::mpsc::channel(1);
        let info = std::sync::Arc::new(Caller::calling(URI).into_info());
        let mut call = sems_app::Call::new(info, commands);
        let recording = mailbox.record(&mut call, Mode::Both).into_future();
        let (recorded, ()) = tokio::join!(recording, async { drop(core.recv().await) });
        assert!(matches!(recorded, Err(CallError::HungUp)), "{recorded:?}");
        assert_eq!(store.discarded.load(std::sync::atomic::Ordering::SeqCst), discarded, "{sound:?}");
    }
}
