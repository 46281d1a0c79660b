//! The calls under way: what the API shows, what limits count, what shutdown waits for.

use std::{
    sync::{
        Arc, Weak,
        atomic::{AtomicUsize, Ordering},
    },
    time::SystemTime,
};

use dashmap::DashMap;
use sems_app::{CallId, CallInfo, Params, Unavailable};
use sems_media::{Direction, Negotiated};
use sems_sip::{Flow, Request};
use tokio::sync::watch;

use super::actor::Ending;
use crate::{
    media::MediaLeg,
    shared::Shared,
    snapshot::{CallSnapshot, CallState},
    sources::Source,
};

/// What is known of a call under way.
#[derive(Debug)]
struct Record {
    info: Arc<CallInfo>,
    call_id: String,
    source: String,
    application: Option<String>,
    held: bool,
    codec: Option<&'static str>,
    answered: Option<SystemTime>,
    ended: Option<SystemTime>,
    media: Weak<MediaLeg>,
}

/// All calls under way.
#[derive(Debug)]
pub(crate) struct Calls {
    records: DashMap<CallId, Record>,
    count: AtomicUsize,
    /// Calls of each source that has a share.
    shares: DashMap<Source, usize>,
    /// Set to stop every call.
    stopping: watch::Sender<bool>,
}

impl Calls {
    pub(crate) fn new() -> Self {
        Self {
            records: DashMap::new(),
            count: AtomicUsize::new(0),
            shares: DashMap::new(),
            stopping: watch::Sender::new(false),
        }
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Ordering::Relaxed)
    }

    /// The media of a call, for bridging.
    pub(crate) fn media_of(&self, id: &CallId) -> Option<Arc<MediaLeg>> {
        self.records.get(id)?.media.upgrade()
    }

    /// Ends every call.
    pub(crate) fn stop(&self) {
        self.stopping.send_replace(true);
    }

    /// Tells a call when it must end.
    pub(crate) fn stopping(&self) -> Stopping {
        Stopping(self.stopping.subscribe())
    }

    /// What the API shows.
    pub(crate) fn snapshot(&self) -> Vec<CallSnapshot> {
        self.records.iter().map(|record| record.snapshot()).collect()
    }
}

/// Tells a call when it must end.
#[derive(Debug)]
pub(crate) struct Stopping(watch::Receiver<bool>);

impl Stopping {
    /// Resolves when it must.
    pub(crate) async fn asked(&mut self) {
        // The sender lives as long as the server; its end is the same message.
        drop(self.0.wait_for(|stop| *stop).await);
    }
}

impl Record {
    fn snapshot(&self) -> CallSnapshot {
        let state = match (self.answered, self.ended) {
            (_, Some(_)) => CallState::Ending,
            (Some(_), None) if self.held => CallState::Held,
            (Some(_), None) => CallState::Talking,
            (None, None) => CallState::Ringing,
        };
        let since = self.info.received.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        CallSnapshot {
            id: self.info.id.to_string(),
            from: self.info.from.to_string(),
            to: self.info.request_uri.to_string(),
            application: self.application.clone(),
            state,
            since: since.as_secs_f64(),
            codec: self.codec.map(str::to_owned),
        }
    }
}

/// One of the calls that `calls.max` allows, from before its task begins; dropping it gives it back.
pub(crate) struct Seat {
    shared: Arc<Shared>,
    source: Option<Source>,
}

impl Seat {
    /// Takes one, if fewer than `max` are taken, and of its source fewer than its share.
    pub(crate) fn take(shared: &Arc<Shared>, max: usize, share: Option<(Source, usize)>) -> Option<Self> {
        let mut seat = Self::extra(shared);
        // Ours is counted already.
        if shared.calls.len() > max {
            return None;
        }
        if let Some((source, most)) = share {
            let mut taken = shared.calls.shares.entry(source).or_default();
            if *taken >= most {
                return None;
            }
            *taken += 1;
            seat.source = Some(source);
        }
        Some(seat)
    }

    /// Takes one for a leg that an admitted call needs.
    pub(crate) fn extra(shared: &Arc<Shared>) -> Self {
        shared.calls.count.fetch_add(1, Ordering::Relaxed);
        Self { shared: shared.clone(), source: None }
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.shared.calls.count.fetch_sub(1, Ordering::Relaxed);
        if let Some(source) = self.source {
            self.shared.calls.shares.remove_if_mut(&source, |_, taken| {
                *taken -= 1;
                *taken == 0
            });
        }
    }
}

/// A call's own place among the calls; dropping it takes the call out.
pub(crate) struct Entry {
    info: Arc<CallInfo>,
    shared: Arc<Shared>,
    _seat: Seat,
}

impl Entry {
    /// A call that came in.
    pub(crate) fn new(seat: Seat, info: Arc<CallInfo>, flow: &Flow, request: &Request) -> Self {
        let call_id = request.headers.call_id().map(|id| id.0.to_string()).unwrap_or_default();
        Self::insert(seat, info, call_id, flow.remote.to_string())
    }

    /// A leg that an application dialled for the call `origin`.
    pub(crate) fn dialled(shared: &Arc<Shared>, info: Arc<CallInfo>, origin: &CallInfo) -> Self {
        Self::insert(Seat::extra(shared), info, String::new(), format!("call {}", origin.id))
    }

    fn insert(seat: Seat, info: Arc<CallInfo>, call_id: String, source: String) -> Self {
        let shared = seat.shared.clone();
        let record = Record {
            info: info.clone(),
            call_id,
            source,
            application: None,
            codec: None,
            held: false,
            answered: None,
            ended: None,
            media: Weak::new(),
        };
        shared.calls.records.insert(info.id.clone(), record);
        Self { info, shared, _seat: seat }
    }

    pub(crate) fn id(&self) -> &CallId {
        &self.info.id
    }

    pub(crate) fn info(&self) -> &Arc<CallInfo> {
        &self.info
    }

    /// The call goes to an application, with the parameters of the route and the callee's reason.
    pub(crate) fn serve(&mut self, application: &str, params: Params, unavailable: Option<Unavailable>) {
        let mut info = CallInfo::clone(&self.info);
        info.params = params;
        info.unavailable = unavailable;
        self.info = Arc::new(info);
        self.change(|record| record.application = Some(application.to_owned()));
    }

    pub(crate) fn answered(&self, media: Option<&Arc<MediaLeg>>) {
        self.shared.counters.calls_answered.increment();
        self.change(|record| {
            record.answered.get_or_insert_with(SystemTime::now);
            record.media = media.map(Arc::downgrade).unwrap_or_default();
        });
    }

    pub(crate) fn codec(&self, negotiated: Option<&Negotiated>) {
        self.change(|record| {
            record.codec = negotiated.map(|agreed| agreed.codec.name());
            record.held = negotiated.is_some_and(|agreed| agreed.direction != Direction::SendRecv);
        });
    }

    /// What the two sides of a connected call have agreed on: held while one of them holds.
    pub(crate) fn talks(&self, caller: Option<&Negotiated>, callee: Option<&Negotiated>) {
        let holds = |side: Option<&Negotiated>| side.is_some_and(|s| s.direction != Direction::SendRecv);
        self.change(|record| {
            record.codec = caller.map(|agreed| agreed.codec.name());
            record.held = holds(caller) || holds(callee);
        });
    }

    pub(crate) fn ended(&self) {
        self.change(|record| {
            record.ended.get_or_insert_with(SystemTime::now);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Record)) {
        if let Some(mut record) = self.shared.calls.records.get_mut(&self.info.id) {
            change(&mut record);
        }
    }

    /// The call's record for the CDR, as it stands.
    pub(crate) fn cdr(&self, ending: Ending) -> Option<sems_store::Cdr> {
        let record = self.shared.calls.records.get(&self.info.id)?;
        Some(sems_store::Cdr {
            id: self.info.id.to_string(),
            sip_call_id: record.call_id.clone(),
            from: self.info.from.to_string(),
            to: self.info.request_uri.to_string(),
            application: record.application.clone(),
            source: record.source.clone(),
            started: self.info.received,
            answered: record.answered,
            ended: record.ended.unwrap_or_else(SystemTime::now),
            status: ending.status,
            ended_by: ending.by.as_str().to_owned(),
            codec: record.codec.map(str::to_owned),
        })
    }
}

impl Drop for Entry {
    fn drop(&mut self) {
        self.shared.calls.records.remove(&self.info.id);
    }
}
