//! Each machine against its table: state and input, what is done, the state that follows.

use std::time::Duration;

use super::{
    Step, Timing, client::Client, client_invite::ClientInvite, server::Server, server_invite::ServerInvite,
};
use crate::{
    StatusCode,
    net::epoch,
    timer::{Timer, Timers},
};

const T1: Duration = Duration::from_millis(500);
const T2: Duration = Duration::from_secs(4);

fn timing(reliable: bool) -> Timing {
    Timing { t1: T1, t2: T2, t4: Duration::from_secs(5), reliable }
}

/// The timers that are set, with their distance from now.
fn set(timers: &Timers) -> Vec<(Timer, Duration)> {
    let all = [
        Timer::A,
        Timer::B,
        Timer::D,
        Timer::E,
        Timer::F,
        Timer::G,
        Timer::H,
        Timer::I,
        Timer::J,
        Timer::K,
        Timer::L,
        Timer::M,
        Timer::Cancel,
    ];
    all.into_iter().filter_map(|timer| timers.at(timer).map(|at| (timer, at - epoch()))).collect()
}

const PATIENCE: Duration = Duration::from_secs(32);
const T4: Duration = Duration::from_secs(5);

/// Steps a machine through rows of (state, input, next state, action, timers set by this step).
macro_rules! check {
    ($reliable:expr, $(($from:expr, $input:expr, $to:expr, $action:expr, $timers:expr)),* $(,)?) => {
        $({
            let mut timers = Timers::default();
            let mut machine = $from;
            let mut step = Step { now: epoch(), timing: timing($reliable), timers: &mut timers };
            let action = machine.step(&mut step, $input);
            let row = concat!(stringify!($from), " on ", stringify!($input));
            assert_eq!((machine, action), ($to, $action), "{row}");
            let expected: &[(Timer, Duration)] = &$timers;
            assert_eq!(set(&timers), expected, "{row}");
        })*
    };
}

const OK: StatusCode = StatusCode(200);
const RINGING: StatusCode = StatusCode(180);
const BUSY: StatusCode = StatusCode(486);

#[test]
fn the_invite_client_follows_its_table() {
    use super::{
        ClientAction::{Ack, AckAndDeliver, Deliver, Fail, Nothing, Resend},
        ClientInput::{Cancelled, Response, Timer as Fired, TransportError},
    };
    use ClientInvite::{Accepted, Completed, Proceeding, Terminated};
    let calling = ClientInvite::Calling { interval: T1 };
    check!(
        false,
        (calling, Fired(Timer::A), ClientInvite::Calling { interval: T1 * 2 }, Resend, [(Timer::A, T1 * 2)]),
        (calling, Fired(Timer::B), Terminated, Fail, []),
        (calling, TransportError, Terminated, Fail, []),
        (calling, Response(RINGING), Proceeding, Deliver, []),
        (calling, Response(OK), Accepted, Deliver, [(Timer::M, PATIENCE)]),
        (calling, Response(BUSY), Completed, AckAndDeliver, [(Timer::D, PATIENCE)]),
        (Proceeding, Response(RINGING), Proceeding, Deliver, []),
        (Proceeding, Response(OK), Accepted, Deliver, [(Timer::M, PATIENCE)]),
        (Proceeding, Response(BUSY), Completed, AckAndDeliver, [(Timer::D, PATIENCE)]),
        (Proceeding, Cancelled, Proceeding, Nothing, [(Timer::Cancel, PATIENCE)]),
        (Proceeding, Fired(Timer::Cancel), Terminated, Fail, []),
        (Completed, Response(BUSY), Completed, Ack, []),
        (Completed, Response(OK), Completed, Nothing, []),
        (Completed, Fired(Timer::D), Terminated, Nothing, []),
        (Accepted, Response(OK), Accepted, Deliver, []),
        (Accepted, Response(BUSY), Accepted, Nothing, []),
        (Accepted, Response(RINGING), Accepted, Nothing, []),
        (Accepted, TransportError, Accepted, Nothing, []),
        (Accepted, Fired(Timer::M), Terminated, Nothing, []),
    );
    check!(
        true,
        (Proceeding, Response(BUSY), Terminated, AckAndDeliver, []),
        (Proceeding, Response(OK), Accepted, Deliver, [(Timer::M, PATIENCE)]),
    );
}

#[test]
fn the_client_follows_its_table() {
    use super::{
        ClientAction::{Deliver, Fail, Nothing, Resend},
        ClientInput::{Response, Timer as Fired, TransportError},
    };
    use Client::{Completed, Proceeding, Terminated};
    let trying = |interval| Client::Trying { interval };
    check!(
        false,
        (trying(T1), Fired(Timer::E), trying(T1 * 2), Resend, [(Timer::E, T1 * 2)]),
        (trying(T2), Fired(Timer::E), trying(T2), Resend, [(Timer::E, T2)]),
        (trying(T1), Fired(Timer::F), Terminated, Fail, []),
        (trying(T1), TransportError, Terminated, Fail, []),
        (trying(T1), Response(RINGING), Proceeding, Nothing, []),
        (trying(T1), Response(BUSY), Completed, Deliver, [(Timer::K, T4)]),
        (Proceeding, Fired(Timer::E), Proceeding, Resend, [(Timer::E, T2)]),
        (Proceeding, Fired(Timer::F), Terminated, Fail, []),
        (Proceeding, Response(OK), Completed, Deliver, [(Timer::K, T4)]),
        (Completed, Response(OK), Completed, Nothing, []),
        (Completed, Fired(Timer::K), Terminated, Nothing, []),
    );
    check!(true, (trying(T1), Response(OK), Terminated, Deliver, []));
}

#[test]
fn the_invite_server_follows_its_table() {
    use super::{
        ServerAction::{Nothing, Resend, Send},
        ServerInput::{Ack, Request, Response, Timer as Fired},
    };
    use ServerInvite::{Accepted, Confirmed, Proceeding, Terminated};
    let completed = |interval| ServerInvite::Completed { interval };
    check!(
        false,
        (Proceeding, Request, Proceeding, Resend, []),
        (Proceeding, Response(RINGING), Proceeding, Send, []),
        (Proceeding, Response(OK), Accepted, Send, [(Timer::L, PATIENCE)]),
        (Proceeding, Response(BUSY), completed(T1), Send, [(Timer::G, T1), (Timer::H, PATIENCE)]),
        (completed(T1), Request, completed(T1), Resend, []),
        (completed(T1), Fired(Timer::G), completed(T1 * 2), Resend, [(Timer::G, T1 * 2)]),
        (completed(T2), Fired(Timer::G), completed(T2), Resend, [(Timer::G, T2)]),
        (completed(T1), Fired(Timer::H), Terminated, Nothing, []),
        (completed(T1), Ack, Confirmed, Nothing, [(Timer::I, T4)]),
        (completed(T1), Response(OK), completed(T1), Nothing, []),
        (Confirmed, Ack, Confirmed, Nothing, []),
        (Confirmed, Request, Confirmed, Nothing, []),
        (Confirmed, Fired(Timer::I), Terminated, Nothing, []),
        (Accepted, Request, Accepted, Nothing, []),
        (Accepted, Ack, Accepted, Nothing, []),
        (Accepted, Fired(Timer::L), Terminated, Nothing, []),
    );
    check!(
        true,
        (Proceeding, Response(BUSY), completed(T1), Send, [(Timer::H, PATIENCE)]),
        (completed(T1), Ack, Terminated, Nothing, []),
    );
}

#[test]
fn the_server_follows_its_table() {
    use super::{
        ServerAction::{Nothing, Resend, Send},
        ServerInput::{Request, Response, Timer as Fired},
    };
    use Server::{Completed, Terminated, Trying};
    check!(
        false,
        (Trying, Request, Trying, Nothing, []),
        (Trying, Response(OK), Completed, Send, [(Timer::J, PATIENCE)]),
        (Trying, Response(RINGING), Trying, Nothing, []),
        (Trying, Fired(Timer::Unanswered), Terminated, Nothing, []),
        (Completed, Request, Completed, Resend, []),
        (Completed, Response(OK), Completed, Nothing, []),
        (Completed, Fired(Timer::J), Terminated, Nothing, []),
    );
    check!(true, (Trying, Response(OK), Terminated, Send, []));
}
