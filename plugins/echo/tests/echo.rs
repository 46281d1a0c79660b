//! Echo against the scripted core.

use std::time::Duration;

use sems_app::{
    CallError,
    testing::{Caller, Event, Side, TestHost},
};

const SOUNDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../sounds/en");

fn echoed(outcome: &sems_app::testing::Outcome) -> Vec<Duration> {
    outcome
        .events()
        .filter_map(|event| match event {
            Event::Echoed { lasted } => Some(*lasted),
            _ => None,
        })
        .collect()
}

// SEMS-EC-1
#[tokio::test(start_paused = true)]
async fn the_voice_comes_back_until_the_caller_hangs_up() {
    let echo = TestHost::new().sounds(SOUNDS).load(echo::PLUGIN, "").expect("loads");
    let caller = Caller::calling("sip:echo@example.org")
        .presses("12#")
        .speaks(Duration::from_secs(20 * 60))
        .hangs_up();
    let outcome = echo.call(caller).await;
    assert!(matches!(outcome.result, Err(CallError::HungUp)), "{outcome:?}");
    assert_eq!((outcome.status, outcome.ended_by), (200, Some(Side::Caller)));
    assert_eq!(outcome.heard(), [""; 0], "nothing before his own voice");
    let lasted = echoed(&outcome);
    assert_eq!(lasted.len(), 1);
    assert!(lasted[0] >= Duration::from_secs(20 * 60), "{lasted:?}");
}

#[tokio::test(start_paused = true)]
async fn a_limit_ends_the_echo_with_a_goodbye() {
    let host = TestHost::new().sounds(SOUNDS);
    let echo = host.load(echo::PLUGIN, "max_duration = '5m'\nintro = true").expect("loads");
    let outcome = echo.call(Caller::calling("sip:echo@example.org")).await;
    assert!(outcome.result.is_ok(), "{outcome:?}");
    assert_eq!(outcome.heard(), ["echo/intro", "goodbye"]);
    assert_eq!(outcome.ended_by, Some(Side::Application));
    assert_eq!(echoed(&outcome).iter().map(Duration::as_secs).collect::<Vec<_>>(), [300]);
}

#[tokio::test(start_paused = true)]
async fn a_route_overrides_the_configuration() {
    let echo = TestHost::new().load(echo::PLUGIN, "max_duration = '5m'").expect("loads");
    let caller = Caller::calling("sip:echo@example.org").params("max_duration = '10s'");
    let outcome = echo.call(caller).await;
    assert_eq!(echoed(&outcome).iter().map(Duration::as_secs).collect::<Vec<_>>(), [10]);
}

#[test]
fn typos_are_refused() {
    let host = TestHost::new();
    assert!(host.load(echo::PLUGIN, "max_durations = '5m'").is_err());
    let echo = host.load(echo::PLUGIN, "").expect("loads");
    let error = echo.check("max_duration = '5 minutes'").expect_err("no such unit");
    assert!(error.reason.contains("5 minutes"), "{error}");
    assert!(echo.check("max_duration = '10s'").is_ok());
}
