//! A call, from its INVITE to its record: the callee's phones first where there is one, applications then.

mod actor;
mod connect;
mod dial;
mod digits;
mod fork;
mod party;
mod refer;
mod registry;
mod verb;
mod verbs;

use std::{sync::Arc, time::SystemTime};

use sems_app::{CallInfo, IncomingCall, Params, Unavailable, command};
use sems_sip::{
    Flow, Request,
    endpoint::{LegEvent, LegId, Reply},
};
use tokio::sync::mpsc;

pub(crate) use registry::Calls;

use self::{
    actor::{Actor, EndedSide, Ending, Stage},
    connect::{Connected, connect},
    party::Party,
    registry::Entry,
};
use crate::{
    location::Aor,
    routing::{Query, Router, Target},
    shared::Shared,
    signalling::Ask,
};

/// A call that was admitted.
pub(crate) struct Invitation {
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
}

/// Serves a call to its end, and writes its record.
pub(crate) async fn serve(shared: Arc<Shared>, invitation: Invitation) {
    let Invitation { leg, flow, request, events, info, plan, router, callee } = invitation;
    let offer = (!request.body.is_empty()).then(|| request.body.clone());
    let caller = Party::caller(shared.clone(), leg, events, flow.local.ip(), offer);
    let info = Arc::new(info);
    tracing::info!(call = %info.id, from = %info.from, to = %info.request_uri, source = %flow.remote, "call");
    let mut entry = Entry::new(shared.clone(), info, &flow, &request);
    let ending = match plan {
        Plan::Application { name, params } => {
            entry.serve(&name, params, None);
            application(&shared, caller, &mut entry, &name).await
        }
        Plan::Account(aor) => {
            account(&shared, caller, &mut entry, &request, &flow, &aor, &router, callee.as_ref()).await
        }
    };
    entry.ended();
    let cdr = entry.cdr(ending);
    tracing::info!(call = %entry.id(), status = ending.status, by = ending.by.as_str(), "call ended");
    drop(entry);
    if let Some(cdr) = cdr
        && let Err(error) = shared.store.write_cdr(&cdr).await
    {
        tracing::error!(call = cdr.id, %error, "the call record was not written");
    }
}

/// The callee's phones; then, on the same call, the application for his absence (SEMS-VM-4).
#[allow(clippy::too_many_arguments, reason = "one caller; a struct would only rename the invitation")]
async fn account(
    shared: &Arc<Shared>,
    mut caller: Party,
    entry: &mut Entry,
    request: &Request,
    flow: &Flow,
    aor: &Aor,
    router: &Router,
    callee: Option<&Aor>,
) -> Ending {
    let targets = shared.location.targets(aor, SystemTime::now());
    let connected = if targets.is_empty() {
        Connected::Unavailable { why: Unavailable::Offline, status: 480 }
    } else {
        let invite = dial::onward(request);
        connect(shared, &mut caller, entry, &targets, shared.ring_timeout, invite).await
    };
    let (why, status) = match connected {
        Connected::Over(ending) => return ending,
        Connected::Unavailable { why, status } => (why, status),
    };
    if let Some(media) = caller.media() {
        media.unbridge();
    }
    let info = entry.info().clone();
    let query = Query {
        user: info.request_uri.user().unwrap_or_default(),
        domain: callee.map_or("", |aor| &aor.domain),
        from: &info.from,
        method: "INVITE",
        source: flow.remote.ip(),
        registered: !targets.is_empty(),
        on: Some(why),
    };
    let Some(route) = router.find(&query) else {
        return refuse(shared, &caller, status).await;
    };
    let Target::App { name, params } = &route.target;
    entry.serve(name, params.clone(), Some(why));
    application(shared, caller, entry, name).await
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
