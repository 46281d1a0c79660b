//! A call, from its INVITE to its record: the callee's phones first where there is one, applications then.

mod actor;
mod attempt;
mod connect;
mod dial;
mod digits;
mod fork;
mod party;
mod refer;
mod registry;
mod verb;
mod verbs;

use std::{
    sync::Arc,
    time::{Duration, SystemTime},
};

use sems_app::{CallInfo, Identity, IncomingCall, Params, Unavailable, command};
use sems_sip::{
    Flow, Request,
    endpoint::{LegEvent, LegId, Reply},
};
use tokio::sync::mpsc;

pub(crate) use registry::{Calls, Seat};

use self::{
    actor::{Actor, EndedSide, Ending, Stage},
    connect::{Connected, connect},
    party::Party,
    registry::Entry,
};
use crate::{
    location::{self, Aor},
    routing::{Query, Router, Target},
    shared::Shared,
    signalling::Ask,
};

/// A call that was admitted.
pub(crate) struct Invitation {
    pub(crate) seat: Seat,
    pub(crate) leg: LegId,
    pub(crate) flow: Flow,
    pub(crate) request: Box<Request>,
    pub(crate) events: mpsc::Receiver<LegEvent>,
    pub(crate) info: CallInfo,
    pub(crate) plan: Plan,
    /// The rules as they were when the call came.
    pub(crate) router: Arc<Router>,
    pub(crate) callee: Option<Aor>,
}

/// Where a call goes first.
#[derive(Debug, Clone)]
pub(crate) enum Plan {
    /// To an application.
    Application {
        /// Its name.
        name: String,
        /// The parameters of the route.
        params: Params,
    },
    /// To the phones of an account, then to the route for its absence.
    Account(Aor),
    /// To another server, then to the route for the callee's absence.
    Relay(sems_app::Uri),
}

/// Serves a call to its end, and writes its record.
pub(crate) async fn serve(shared: Arc<Shared>, invitation: Invitation) {
    let Invitation { seat, leg, flow, request, events, info, plan, router, callee } = invitation;
    let offer = (!request.body.is_empty()).then(|| request.body.clone());
    let caller = Party::caller(shared.clone(), leg, events, &flow, offer);
    let info = Arc::new(info);
    tracing::debug!(call = %info.id, from = %info.from, to = %info.request_uri, source = %flow.remote, "call");
    let mut entry = Entry::new(seat, info, &flow, &request);
    let ending = match plan {
        Plan::Application { name, params } => {
            entry.serve(&name, params, None);
            application(&shared, caller, &mut entry, &name).await
        }
        Plan::Account(aor) => {
            let targets = shared.location.targets(&aor, SystemTime::now());
            let absence = Absence { router: &router, flow: &flow, callee: callee.as_ref() };
            reach(&shared, caller, &mut entry, &request, targets, absence).await
        }
        Plan::Relay(to) => {
            let targets = dial::server(&request, &to);
            let absence = Absence { router: &router, flow: &flow, callee: callee.as_ref() };
            reach(&shared, caller, &mut entry, &request, targets, absence).await
        }
    };
    entry.ended();
    let cdr = entry.cdr(ending);
    if let Some(cdr) = &cdr {
        tell(cdr);
    }
    if let Some(cdr) = cdr
        && let Err(error) = shared.store.write_cdr(&cdr).await
    {
        tracing::error!(call = cdr.id, %error, "the call record was not written");
    }
    // Only now: shutdown waits for calls, and so for their records.
    drop(entry);
}

/// The targets with those ways that a call to this request URI may take.
fn fitting(request: &Request, targets: Vec<location::Target>) -> Vec<location::Target> {
    if !request.uri.is_secure() {
        return targets;
    }
    targets.into_iter().filter_map(location::Target::secured).collect()
}

/// The line of a call in the log.
fn tell(cdr: &sems_store::Cdr) {
    let seconds = cdr.answered.and_then(|answered| cdr.ended.duration_since(answered).ok());
    tracing::info!(
        call = cdr.id,
        from = cdr.from,
        to = cdr.to,
        source = cdr.source,
        application = cdr.application.as_deref().unwrap_or("-"),
        status = cdr.status,
        ended_by = cdr.ended_by,
        seconds = seconds.unwrap_or_default().as_secs(),
        codec = cdr.codec.as_deref().unwrap_or("-"),
        "call ended"
    );
}

/// What finds the route for a callee who does not answer.
struct Absence<'a> {
    router: &'a Router,
    flow: &'a Flow,
    callee: Option<&'a Aor>,
}

impl Absence<'_> {
    fn route(&self, info: &CallInfo, registered: bool, why: Unavailable) -> Option<&crate::routing::Route> {
        self.router.find(&Query {
            user: info.request_uri.user().unwrap_or_default(),
            domain: self.callee.map_or_else(|| info.request_uri.host(), |aor| &aor.domain),
            from: &info.from,
            method: "INVITE",
            source: self.flow.remote.ip(),
            registered,
            on: Some(why),
        })
    }
}

/// Rings the targets; then, on the same call, goes where the route for the callee's absence leads (SEMS-VM-4).
async fn reach(
    shared: &Arc<Shared>,
    mut caller: Party,
    entry: &mut Entry,
    request: &Request,
    targets: Vec<location::Target>,
    absence: Absence<'_>,
) -> Ending {
    let registered = !targets.is_empty();
    let targets = fitting(request, targets);
    let ring = shared.ring_timeout;
    let (why, status) = match ring_all(shared, &mut caller, entry, request, &targets, ring).await {
        Connected::Over(ending) => return ending,
        Connected::Unavailable { why, status } => (why, status),
    };
    let info = entry.info().clone();
    match absence.route(&info, registered, why).map(|route| &route.target) {
        Some(Target::App { name, params }) => {
            entry.serve(name, params.clone(), Some(why));
            application(shared, caller, entry, name).await
        }
        // Strangers reach our accounts, and no server beyond them.
        Some(Target::Relay { to }) if info.identity != Identity::Stranger => {
            let targets = fitting(request, dial::server(request, to));
            match ring_all(shared, &mut caller, entry, request, &targets, ring).await {
                Connected::Over(ending) => ending,
                Connected::Unavailable { status, .. } => refuse(shared, &caller, status).await,
            }
        }
        _ => refuse(shared, &caller, status).await,
    }
}

async fn ring_all(
    shared: &Arc<Shared>,
    caller: &mut Party,
    entry: &Entry,
    request: &Request,
    targets: &[location::Target],
    ring: Duration,
) -> Connected {
    if targets.is_empty() {
        return Connected::Unavailable { why: Unavailable::Offline, status: 480 };
    }
    let connected =
        connect(shared, caller, entry, targets, ring, dial::onward(&entry.id().clone(), request)).await;
    if let (Connected::Unavailable { .. }, Some(media)) = (&connected, caller.media()) {
        // Early media of a callee who then did not answer.
        media.unbridge();
    }
    connected
}

/// Hands the call to an application.
async fn application(shared: &Arc<Shared>, caller: Party, entry: &mut Entry, name: &str) -> Ending {
    let Some(application) = shared.applications.get(name).cloned() else {
        tracing::warn!(call = %entry.id(), application = name, "no such application is built in");
        return refuse(shared, &caller, 404).await;
    };
    let (commands, receiver) = mpsc::channel(command::COMMANDS);
    let incoming = IncomingCall::new(entry.info().clone(), commands);
    let actor = Actor::new(shared.clone(), caller, Stage::Ringing, receiver, entry);
    actor.run(Some(application.serve_boxed(incoming))).await
}

async fn refuse(shared: &Arc<Shared>, caller: &Party, status: u16) -> Ending {
    shared.signalling.ask(Ask::Reject { leg: caller.leg, reply: Reply::new(status) }).await;
    Ending { by: EndedSide::Us, status }
}
