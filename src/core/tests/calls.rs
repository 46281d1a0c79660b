//! Calls through a whole server on the loopback: who is refused with what, when a BYE is answered, who stops ringing.

mod softphone;

use std::{net::SocketAddr, time::Duration};

use sems_app::{Host, IncomingCall, LoadError, Mode, Params, Plugin};
use sems_core::{
    Server,
    config::Config,
    routing::{Conditions, Glob, Route, Target},
    snapshot::CallState,
};
use sems_sip::endpoint::{LegEvent, Reply};
use sems_store::{AccountSeed, Store, StoreConfig};
use softphone::{Phone, SECRET};
use tempfile::TempDir;

/// How long the application takes before it commits a message.
const THINKING: Duration = Duration::from_millis(400);

/// SER-06: an application of a plugin, made without a change of the core.
const PLUGIN: Plugin = Plugin {
    name: "test",
    check: |_| Ok(()),
    check_table: |_| Ok(()),
    files: sems_app::Params::no_files,
    load,
};

/// The applications under test; each is routed to by its name.
fn load(host: &mut Host) -> Result<(), LoadError> {
    let mailboxes = host.mailboxes();
    host.application("take", move |call: IncomingCall| {
        let mailboxes = mailboxes.clone();
        async move {
            let mailbox = mailboxes.owner_of(&sems_app::Uri::sip("alice", "localhost")).await?;
            let mut call = call.answer().await?;
            let take = mailbox.record(&mut call, Mode::Box).await?;
            tokio::time::sleep(THINKING).await;
            mailbox.deliver(take, Duration::ZERO).await?;
            Ok(())
        }
    });
    host.application("dial", |call: IncomingCall| async move {
        let mut call = call.answer().await?;
        let other = call.dial(sems_app::Uri::sip("alice", "localhost")).await?;
        call.bridge(other).await
    });
    host.application("forget", |call: IncomingCall| async move {
        // Changes its mind before the ACK is here.
        let _ = tokio::time::timeout(Duration::ZERO, call.answer()).await;
        Ok(())
    });
    host.application("wait", |call: IncomingCall| async move {
        let mut call = call.answer().await?;
        call.echo().await?;
        Ok(())
    });
    Ok(())
}

struct Running {
    server: Server,
    address: SocketAddr,
    folder: TempDir,
}

async fn start(change: impl FnOnce(&mut Config)) -> Running {
    let folder = tempfile::tempdir().expect("a folder");
    let mut config = Config::default();
    config.server.data_dir = folder.path().to_owned();
    config.sip.listen = vec!["udp:127.0.0.1:0".parse().expect("a listener")];
    config.calls.max = 20;
    config.routes = ["take", "dial", "wait", "forget"]
        .into_iter()
        .enumerate()
        .map(|(index, name)| Route {
            index,
            when: Conditions { user: vec![Glob::new(name)], ..Conditions::default() },
            target: Target::App { name: name.to_owned(), params: Params::default() },
        })
        .collect();
    change(&mut config);
    let store = Store::open(StoreConfig::new(folder.path())).await.expect("a store");
    let alice = AccountSeed {
        user: "alice".to_owned(),
        domain: "localhost".to_owned(),
        password: Some(SECRET.to_owned()),
        ..AccountSeed::default()
    };
    store.seed_accounts(&[alice]).await.expect("an account");
    let server = Server::start(config, store, &[PLUGIN]).await.expect("a server");
    let address = server.ready_line().rsplit(':').next().and_then(|port| port.parse().ok());
    let address = SocketAddr::from(([127, 0, 0, 1], address.expect("a port")));
    Running { server, address, folder }
}

impl Running {
    fn calls(&self) -> usize {
        self.server.snapshots().calls().len()
    }

    fn state(&self) -> CallState {
        self.server.snapshots().calls().first().expect("a call").state
    }

    /// Until a message is being recorded.
    async fn recording(&self, phone: &mut Phone) {
        let spool = self.folder.path().join("spool");
        for _ in 0..1000 {
            let files = std::fs::read_dir(&spool).into_iter().flatten().flatten();
            if files.into_iter().any(|file| file.path().extension().is_some_and(|kind| kind == "wav")) {
                return;
            }
            phone.step(Duration::from_millis(10)).await;
        }
        panic!("nothing is recorded");
    }

    async fn idle(&self) {
        for _ in 0..500 {
            if self.calls() == 0 {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("calls are left: {:?}", self.server.snapshots().calls());
    }
}

#[tokio::test]
async fn each_refusal_has_its_status() {
    let running = start(|config| config.calls.max = 1).await;
    let mut phone = Phone::new("stranger", running.address).await;
    for (to, status) in [
        ("sip:nobody@localhost", 404),
        ("sip:alice@far.example", 403),
        // Known, not registered, and no route for that.
        ("sip:alice@localhost", 480),
    ] {
        assert_eq!(phone.refusal(to).await, status, "{to}");
        running.idle().await;
    }
    // Whoever claims to be Alice must prove it, and who cannot is refused.
    phone.call_as("sip:alice@localhost", "sip:wait@localhost", None);
    assert_eq!(phone.failure().await, 407);
    let wrong = sems_sip::endpoint::Credentials { user: "alice".to_owned(), password: "guess".to_owned() };
    phone.call_as("sip:alice@localhost", "sip:wait@localhost", Some(wrong));
    assert_eq!(phone.failure().await, 403);
    // `calls.max`: refusals and challenges take no place, a call does, and gives it back.
    let leg = phone.call("sip:wait@localhost");
    phone.answered().await;
    assert_eq!(phone.refusal("sip:wait@localhost").await, 503);
    phone.hang_up(leg).await;
    running.idle().await;
    phone.call("sip:wait@localhost");
    loop {
        match phone.leg_event().await {
            LegEvent::Answered { .. } => break,
            LegEvent::Ended { .. } | LegEvent::Provisional { .. } => {}
            other => panic!("no answer: {other:?}"),
        }
    }
}

/// SEMS-VM-2: a message is safe before its caller's BYE is answered.
#[tokio::test]
async fn the_answer_to_a_bye_waits_for_the_commit() {
    let running = start(|_| {}).await;
    let mut phone = Phone::new("stranger", running.address).await;
    let leg = phone.call("sip:take@localhost");
    phone.answered().await;
    running.recording(&mut phone).await;
    let took = phone.hang_up(leg).await;
    assert!(took >= THINKING, "the BYE was answered after {took:?}");
    running.idle().await;
}

#[tokio::test]
async fn so_it_does_when_the_take_was_ended_by_a_digit_before() {
    let running = start(|_| {}).await;
    let mut phone = Phone::new("stranger", running.address).await;
    let leg = phone.call("sip:take@localhost");
    phone.answered().await;
    running.recording(&mut phone).await;
    phone.press(leg, '#').await;
    // The file is complete by now; the application thinks.
    phone.step(Duration::from_millis(150)).await;
    let took = phone.hang_up(leg).await;
    assert!(took >= THINKING / 4, "the BYE was answered after {took:?}");
    running.idle().await;
}

#[tokio::test]
async fn a_bye_elsewhere_is_answered_at_once() {
    let running = start(|_| {}).await;
    let mut phone = Phone::new("stranger", running.address).await;
    let leg = phone.call("sip:wait@localhost");
    phone.answered().await;
    phone.step(Duration::from_millis(50)).await;
    assert!(phone.hang_up(leg).await < THINKING);
    running.idle().await;
}

#[tokio::test]
async fn who_is_dialled_stops_ringing_when_the_caller_hangs_up() {
    let running = start(|_| {}).await;
    let mut alice = Phone::new("alice", running.address).await;
    alice.register().await;
    let mut phone = Phone::new("stranger", running.address).await;
    let leg = phone.call("sip:dial@localhost");
    phone.answered().await;
    phone.step(Duration::from_millis(20)).await;
    alice.rung().await;
    alice.step(Duration::from_millis(20)).await;
    phone.hang_up(leg).await;
    assert!(matches!(alice.leg_event().await, LegEvent::Cancelled { .. }));
    running.idle().await;
}

#[tokio::test]
async fn a_callee_who_redirects_or_challenges_is_unavailable() {
    let running = start(|_| {}).await;
    let mut alice = Phone::new("alice", running.address).await;
    alice.register().await;
    for (theirs, ours) in [(302, 480), (401, 480), (486, 486), (603, 603)] {
        let mut phone = Phone::new("stranger", running.address).await;
        phone.call("sip:alice@localhost");
        phone.step(Duration::from_millis(20)).await;
        let leg = alice.rung().await;
        alice.endpoint.reject(std::time::Instant::now(), leg, Reply::new(theirs));
        alice.step(Duration::from_millis(20)).await;
        assert!(matches!(alice.leg_event().await, LegEvent::Ended { .. }));
        assert_eq!(phone.failure().await, ours, "{theirs}");
        running.idle().await;
    }
}

#[tokio::test]
async fn an_answer_that_the_application_drops_is_still_a_call_to_be_hung_up() {
    let running = start(|_| {}).await;
    let mut phone = Phone::new("stranger", running.address).await;
    phone.call("sip:forget@localhost");
    phone.answered().await;
    match phone.leg_event().await {
        LegEvent::Bye { id, .. } => phone.respond(id, 200),
        other => panic!("no BYE: {other:?}"),
    }
    phone.step(Duration::from_millis(20)).await;
    running.idle().await;
}

#[tokio::test]
async fn a_callee_who_hangs_up_ends_the_call_of_both() {
    let running = start(|_| {}).await;
    let mut alice = Phone::new("alice", running.address).await;
    alice.register().await;
    let mut phone = Phone::new("stranger", running.address).await;
    let call = phone.call("sip:alice@localhost");
    phone.step(Duration::from_millis(20)).await;
    let leg = alice.rung().await;
    let answer = alice.answer();
    alice.endpoint.accept(std::time::Instant::now(), leg, Some(answer));
    assert!(matches!(alice.leg_event().await, LegEvent::Acked { .. }));
    phone.answered().await;
    phone.step(Duration::from_millis(50)).await;
    assert_eq!(running.state(), CallState::Talking);
    // SER-02: hold is answered, and shown.
    phone.endpoint.modify(std::time::Instant::now(), call, phone.held());
    match phone.leg_event().await {
        LegEvent::Answer { body: Some(body) } => {
            let body = String::from_utf8_lossy(&body).into_owned();
            assert!(body.contains("a=recvonly"), "{body}");
        }
        other => panic!("no answer: {other:?}"),
    }
    phone.step(Duration::from_millis(50)).await;
    assert_eq!(running.state(), CallState::Held);
    assert!(alice.hang_up(leg).await < THINKING);
    match phone.leg_event().await {
        LegEvent::Bye { id, .. } => phone.respond(id, 200),
        other => panic!("no BYE: {other:?}"),
    }
    phone.step(Duration::from_millis(20)).await;
    running.idle().await;
}
