//! Calls that we place: the INVITE for a contact, and the `dial` verb of applications.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use sems_app::{
    Call, CallError, CallId, CallInfo, Identity, Params, Unavailable, Uri,
    command::{self, DialOptions, Reply},
};
use sems_sip::{
    Request, Text,
    endpoint::Invite,
    header::{MaxForwards, NameAddr, Route},
};
use tokio::{
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};

use super::{
    actor::{Actor, Stage},
    attempt::Inviting,
    fork::{Fork, Tried},
    party::Party,
    registry::Entry,
};
use crate::{
    location::{Aor, Target},
    shared::Shared,
    trace::Trace,
};

/// The INVITE that carries a caller's on to a contact: same From and To, one hop less to go.
pub(super) fn onward(call: &CallId, request: &Request) -> Inviting {
    let call = call.clone();
    let from = request.headers.from().map(|from| from.0.clone()).ok();
    let to = request.headers.to().map(|to| to.0.clone()).ok();
    let left = request.headers.optional::<MaxForwards>().ok().flatten().map_or(70, |hops| hops.0);
    Arc::new(move |target, flow, body| {
        let own = NameAddr::new(target.uri.clone());
        let from = from.clone().map_or_else(|| own.clone(), plain);
        let to = to.clone().map_or(own, plain);
        let mut invite = Invite::new(flow, target.uri.clone(), from, to);
        invite.call_id = Some(Trace::leg_id(&call).into());
        invite.body = Some(body);
        invite.max_forwards = u32::from(left.saturating_sub(1));
        invite.route = routes(target);
        invite
    })
}

/// Without tag and other parameters.
fn plain(mut address: NameAddr) -> NameAddr {
    address.params = Default::default();
    address
}

fn routes(target: &Target) -> Vec<NameAddr> {
    use sems_sip::Header;
    target.route.iter().filter_map(|path| Route::parse(&Text::from(path.clone())).ok()).map(|r| r.0).collect()
}

/// Carries out [`command::Command::Dial`]: rings the account's phones and answers with the leg that took it. Gives
/// up when the call that dials is over (`alive` ends).
pub(super) async fn serve(
    shared: Arc<Shared>,
    origin: Arc<CallInfo>,
    mut alive: watch::Receiver<()>,
    to: Uri,
    options: DialOptions,
    mut reply: Reply<Call>,
) {
    let from = options.from.clone().unwrap_or_else(|| origin.caller().clone());
    let aor = Aor::new(to.user().unwrap_or_default(), to.host());
    let targets = shared.location.targets(&aor, SystemTime::now());
    let (Some(from_address), Some(to_address)) = (address(&from), address(&to)) else {
        let _ = reply.send(Err(CallError::refuse(416, "Unsupported URI Scheme")));
        return;
    };
    let call = origin.id.clone();
    let inviting: Inviting = Arc::new(move |target, flow, body| {
        let mut invite = Invite::new(flow, target.uri.clone(), from_address.clone(), to_address.clone());
        invite.call_id = Some(Trace::leg_id(&call).into());
        invite.body = Some(body);
        invite.route = routes(target);
        invite
    });
    let mut fork = Fork::start(&shared, &targets, None, &inviting);
    let deadline = Instant::now() + options.timeout;
    loop {
        let failed = tokio::select! {
            tried = fork.next() => match tried {
                Tried::Provisional { .. } => continue,
                Tried::Answered { party, body } => {
                    answered(shared, &origin, from, to, *party, body, reply).await;
                    return;
                }
                Tried::Failed { status } => status,
            },
            () = sleep_until(deadline) => 408,
            () = reply.closed() => 487,
            // Nothing is ever sent.
            _ = alive.changed() => {
                fork.cancel(None).await;
                let _ = reply.send(Err(CallError::HungUp));
                return;
            }
        };
        fork.cancel(None).await;
        let _ = reply.send(Err(CallError::NotAnswered { status: failed }));
        return;
    }
}

async fn answered(
    shared: Arc<Shared>,
    origin: &CallInfo,
    from: Uri,
    to: Uri,
    mut party: Party,
    body: Option<Bytes>,
    reply: Reply<Call>,
) {
    let agreed = match body {
        Some(body) => party.take_answer(&body),
        None => Err(CallError::NoCommonCodec),
    };
    if let Err(error) = agreed {
        party.end(Some("SIP;cause=488")).await;
        let _ = reply.send(Err(error));
        return;
    }
    let info = Arc::new(CallInfo {
        id: CallId(format!("{:016x}", rand::random::<u64>()).into()),
        request_uri: to.clone(),
        to,
        from,
        from_name: None,
        identity: Identity::Stranger,
        mailbox: None,
        unavailable: None::<Unavailable>,
        params: Params::default(),
        headers: Vec::new(),
        received: SystemTime::now(),
    });
    let (commands, receiver) = mpsc::channel(command::COMMANDS);
    let mut entry = Entry::dialled(&shared, info.clone(), origin);
    entry.answered(party.media());
    entry.codec(party.negotiated());
    if reply.send(Ok(Call::new(info, commands))).is_err() {
        party.end(None).await;
        return;
    }
    let ending = Actor::new(shared.clone(), party, Stage::Up, receiver, &mut entry).run(None).await;
    entry.ended();
    let cdr = entry.cdr(ending);
    cdr.iter().for_each(super::tell);
    if let Some(cdr) = cdr
        && let Err(error) = shared.store.write_cdr(&cdr).await
    {
        tracing::error!(call = cdr.id, %error, "the call record was not written");
    }
    // Only now: shutdown waits for calls, and so for their records.
    drop(entry);
}

/// The server of a relay route as a target.
pub(super) fn server(request: &Request, to: &Uri) -> Vec<Target> {
    let Some(server) = address(to) else { return Vec::new() };
    let next_hop = Some(server.uri);
    vec![Target {
        uri: request.uri.clone(),
        flow: None,
        more: Vec::new(),
        flow_only: false,
        route: Vec::new(),
        next_hop,
    }]
}

fn address(uri: &Uri) -> Option<NameAddr> {
    uri.to_string().parse().ok().map(NameAddr::new)
}
