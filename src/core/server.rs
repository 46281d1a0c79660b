//! The server as a whole: what starts in which order, and how it stops.

use std::{
    collections::HashMap,
    fmt::Write,
    future::Future,
    io,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use sems_app::{DynApplication, Host, HostBackend, LoadError, Params, Plugin};
use sems_media::CodecKind;
use sems_sip::{Endpoint, Method, Transport, flow::Advertised};
use sems_store::{Store, StoreError};
use tokio::sync::{mpsc, watch};

use crate::{
    accounts::Accounts,
    call::Calls,
    config::{Codec, Config, Listener as Kind},
    counters::Counters,
    desk::Desk,
    host::CoreHost,
    identity::Gate,
    locate::Locator,
    location::{Aor, Binding, Change, Location, flow_text, parse_flow},
    media::{Engine, EngineConfig, EngineError},
    shared::Shared,
    signalling::{Ask, Parts, Signalling, Task},
    snapshot::Snapshots,
    trace::Trace,
    transport::{self, Advertise, Entrance, Limits, Listener, Room, Streams, Tls, TlsError, UdpSockets},
    view::View,
};

/// Registrations on their way to the store: some seconds of 10,000 a second.
const CHANGES: usize = 65_536;
/// Registrations written in one transaction.
const CHANGES_AT_ONCE: usize = 512;
/// How long calls may go on after SIGTERM.
const DRAIN: Duration = Duration::from_secs(30);
/// How long calls may take to end once they are told to: a held BYE and its commit.
const STOP: Duration = Duration::from_secs(8);
/// Files beside those of calls: database, logs, listeners, HTTP, scripts.
const OTHER_FILES: u64 = 512;
/// Connections of SIP that there is room for in any case.
const LEAST_CONNECTIONS: u64 = 128;
/// RTP and RTCP sockets of two legs; a call that is recorded has one leg and a file.
const FILES_A_CALL: u64 = 4;

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StartError {
    /// An address of `sip.listen` cannot be had.
    #[error("sip.listen: cannot listen on {what}: {reason}")]
    Listen {
        /// The listener as configured.
        what: String,
        /// What the system said.
        reason: io::Error,
    },
    /// The database, the spool or the recordings.
    #[error("store: {0}")]
    Store(#[from] StoreError),
    /// The media threads or their ports.
    #[error("media: {0}")]
    Media(#[from] EngineError),
    /// The files of `[tls]`.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// `[dns]`.
    #[error("dns: {0}")]
    Dns(String),
    /// A plugin.
    #[error("plugin {name}: {reason}")]
    Plugin {
        /// Which.
        name: &'static str,
        /// Its reason.
        reason: LoadError,
    },
    /// Fewer open files are allowed than `calls.max` needs.
    #[error("calls.max = {calls} needs {needed} open files, but only {allowed} are allowed (ulimit -Hn)")]
    Files {
        /// `calls.max`.
        calls: usize,
        /// What that needs.
        needed: u64,
        /// What may be had.
        allowed: u64,
    },
}

const MIB: usize = 1 << 20;

/// A running server.
#[derive(Debug)]
pub struct Server {
    shared: Arc<Shared>,
    listeners: Vec<Listener>,
    view: Arc<View>,
    stop: watch::Sender<bool>,
    store_tasks: Vec<tokio::task::JoinHandle<()>>,
    tls: Arc<Tls>,
}

impl Server {
    /// Binds everything, loads the plugins and begins to take calls.
    ///
    /// # Errors
    /// See [`StartError`]; nothing stays bound then.
    pub async fn start(config: Config, store: Store, plugins: &[Plugin]) -> Result<Self, StartError> {
        let room = room(&config)?;
        let tls = Tls::new(&config.tls)?;
        let config = Arc::new(config);
        let accounts = Accounts::read(&store).await?;
        let engine = Engine::start(engine_config(&config))?;
        let (changes, changed) = mpsc::channel(CHANGES);
        let location = Arc::new(Location::new(changes));
        restore(&store, &location).await?;
        let host = Arc::new(CoreHost { config: config.clone(), mailboxes: store.mailboxes() });
        let applications = load(plugins, &config, &host)?;
        let (signalling, asks) = Signalling::channel();
        let counters = Arc::new(Counters::default());
        let shared = Arc::new(Shared {
            engine,
            signalling,
            store: store.clone(),
            location,
            applications,
            calls: Calls::new(),
            counters: counters.clone(),
            connections: room.clone(),
            locator: Locator::new(&config.dns).map_err(|error| StartError::Dns(error.to_string()))?,
            bans: Arc::default(),
            codecs: config.media.codecs.iter().map(codec).collect(),
            advertise: Advertise::new(&config),
            ring_timeout: config.calls.ring_timeout,
            failover_after: config.sip.failover_after,
        });
        let (events, stream_events) = mpsc::channel(transport::EVENTS);
        let mut udp = UdpSockets::new();
        let entrance = Entrance { events, room, tls: tls.clone() };
        let listeners = listen(&config, &mut udp, &entrance)?;
        let gate = Gate::new(Instant::now(), &config.server.domains, rand::random(), &config.sip);
        let desk = Desk::new(shared.clone(), config.clone(), accounts, gate, listeners.clone());
        let parts = Parts {
            endpoint: endpoint(&config, &shared, &listeners),
            udp,
            streams: Streams::new(entrance),
            stream_events,
            asks,
            desk,
            trace: Trace::new(config.sip.trace_mib as usize * MIB),
            counters,
        };
        tokio::spawn(Task::new(parts).run());
        let (stop, stopped) = watch::channel(false);
        let writer = tokio::spawn(write_behind(store.clone(), changed, stopped.clone()));
        let outbox = {
            let (store, stopped) = (store.clone(), stopped.clone());
            tokio::spawn(async move { store.run_outbox(stopped).await })
        };
        tokio::spawn(upkeep(store, shared.location.clone(), stopped));
        let view = Arc::new(View::new(shared.clone()));
        Ok(Self { shared, listeners, view, stop, store_tasks: vec![writer, outbox], tls })
    }

    /// The listeners as `sip=udp:127.0.0.1:5060 ...`, each with its real port.
    pub fn ready_line(&self) -> String {
        self.listeners.iter().fold("ready".to_owned(), |mut line, listener| {
            let transport = listener.transport.via_token().to_ascii_lowercase();
            // Writing to a String cannot fail.
            let _ = write!(line, " sip={transport}:{}", listener.address);
            line
        })
    }

    /// What the API may see.
    pub fn snapshots(&self) -> Arc<dyn Snapshots> {
        self.view.clone()
    }

    /// Takes over the routes, accounts, trusted peers and certificates of a configuration that was read anew.
    /// Listeners, media and store stay as they are.
    ///
    /// # Errors
    /// The store or the files of `[tls]`; everything stays as it was then.
    pub async fn reload(&self, config: Config) -> Result<(), StartError> {
        let accounts = Accounts::read(&self.shared.store).await?;
        self.tls.reload(&config.tls)?;
        self.shared.signalling.ask(Ask::Reload { config: Arc::new(config), accounts }).await;
        Ok(())
    }

    /// Refuses new calls, gives those under way 30 s (or until `hurry`), ends them, and completes what the
    /// store has to write.
    pub async fn stop(self, hurry: impl Future<Output = ()>) {
        self.view.drain();
        self.shared.signalling.ask(Ask::Drain).await;
        tokio::select! {
            () = self.idle() => {}
            () = tokio::time::sleep(DRAIN) => tracing::warn!("calls are ended after 30 s of draining"),
            () = hurry => tracing::warn!("calls are ended at once"),
        }
        self.shared.calls.stop();
        if tokio::time::timeout(STOP, self.idle()).await.is_err() {
            tracing::error!("some calls did not end in time");
        }
        self.stop.send_replace(true);
        for task in self.store_tasks {
            // A mail that hangs is tried again after the next start.
            let _ = tokio::time::timeout(Duration::from_secs(2), task).await;
        }
        let engine = self.shared.engine.clone();
        // It waits for its threads to finish their recordings.
        let _ = tokio::task::spawn_blocking(move || engine.shutdown()).await;
    }

    async fn idle(&self) {
        while self.shared.calls.len() > 0 {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

/// Room for as many connections as are wanted and the open files allow.
fn room(config: &Config) -> Result<Arc<Room>, StartError> {
    let streams = &config.streams;
    let total = raise_file_limit(config.calls.max, streams.max)?.min(streams.max);
    if total < streams.max {
        tracing::warn!(streams.max, total, "the limit of open files leaves room for fewer connections");
    }
    Ok(Room::new(Limits {
        total,
        per_peer: streams.max_per_peer,
        half_open: streams.max_half_open,
        idle: streams.idle_timeout,
        first: streams.half_open_timeout,
        ping: streams.ping,
        message: streams.max_message,
    }))
}

/// Allows the open files that the calls need. Returns how many connections there is room for besides.
fn raise_file_limit(calls: usize, connections: usize) -> Result<usize, StartError> {
    let needed = OTHER_FILES + LEAST_CONNECTIONS + FILES_A_CALL * calls as u64;
    let wanted = needed + connections as u64;
    let room = |files: u64| (LEAST_CONNECTIONS + files.min(wanted) - needed) as usize;
    let limit = getrlimit(Resource::Nofile);
    if limit.current.is_none_or(|current| current >= wanted) {
        return Ok(room(wanted));
    }
    let allowed = limit.maximum.unwrap_or(u64::MAX);
    // Root may raise the hard limit as well; others take what they are allowed.
    for files in [wanted, allowed.clamp(needed, wanted)] {
        let raised = Rlimit { current: Some(files), maximum: limit.maximum.map(|hard| hard.max(files)) };
        if setrlimit(Resource::Nofile, raised).is_ok() {
            return Ok(room(files));
        }
    }
    Err(StartError::Files { calls, needed, allowed })
}

fn codec(codec: &Codec) -> CodecKind {
    match codec {
        Codec::Opus => CodecKind::Opus,
        Codec::G722 => CodecKind::G722,
        Codec::Pcmu => CodecKind::Pcmu,
        Codec::Pcma => CodecKind::Pcma,
    }
}

fn engine_config(config: &Config) -> EngineConfig {
    EngineConfig {
        workers: config.media.workers.count(),
        rtp_ports: config.media.rtp_ports.clone(),
        realtime: true,
        io: config.media.io,
        rtp_timeout: config.media.rtp_timeout,
        quarantine: Duration::from_secs(2),
        sounds: config.find(&config.media.sounds).into_iter().collect(),
        language: config.media.language.clone(),
    }
}

fn endpoint(config: &Config, shared: &Shared, listeners: &[Listener]) -> Endpoint {
    let mut endpoint = Endpoint::new(endpoint_config(config), rand::random());
    if !shared.advertise.is_empty() {
        let advertise = shared.advertise.clone();
        endpoint.advertise(Advertised::new(move |flow| advertise.sent_by(flow)));
    }
    let tcp = listeners.iter().filter(|listener| listener.transport == Transport::Tcp);
    endpoint.set_stream_listeners(tcp.map(|listener| listener.address).collect());
    endpoint
}

fn endpoint_config(config: &Config) -> sems_sip::endpoint::Config {
    let usual = sems_sip::endpoint::Config::default();
    // Text messages, subscriptions and transfers are not served yet: 405.
    let later = [Method::Message, Method::Subscribe, Method::Refer];
    let allow = usual.allow.iter().filter(|method| !later.contains(method)).cloned().collect();
    sems_sip::endpoint::Config {
        user_agent: config.sip.user_agent.clone(),
        session_expires: config.sip.session_expires,
        min_se: config.sip.min_session_expires,
        allow,
        supported: ["100rel", "timer", "path", "outbound"].map(str::to_owned).into(),
        ..usual
    }
}

fn listen(config: &Config, udp: &mut UdpSockets, entrance: &Entrance) -> Result<Vec<Listener>, StartError> {
    let mut listeners: Vec<Listener> = Vec::new();
    for wanted in &config.sip.listen {
        let bound = match wanted.transport {
            Kind::Udp => udp.listen(wanted.address),
            Kind::Tcp => entrance.listen(Transport::Tcp, wanted.address),
            Kind::Tls => entrance.listen(Transport::Tls, wanted.address),
            Kind::Ws => entrance.listen(Transport::Ws, wanted.address),
            Kind::Wss => entrance.listen(Transport::Wss, wanted.address),
        };
        match bound {
            Ok(listener) => listeners.push(listener),
            // A machine without IPv6 can still serve IPv4 on the default listeners.
            Err(error)
                if wanted.address.is_ipv6() && wanted.address.ip().is_unspecified() && no_family(&error) =>
            {
                tracing::warn!(listen = %wanted.address, "no IPv6 on this machine");
            }
            Err(reason) => return Err(StartError::Listen { what: wanted.to_string(), reason }),
        }
    }
    Ok(listeners)
}

fn no_family(error: &io::Error) -> bool {
    error.raw_os_error() == Some(libc::EAFNOSUPPORT) || error.kind() == io::ErrorKind::AddrNotAvailable
}

fn load(
    plugins: &[Plugin],
    config: &Config,
    host: &Arc<CoreHost>,
) -> Result<HashMap<String, Arc<dyn DynApplication>>, StartError> {
    let mut applications = HashMap::new();
    for plugin in plugins {
        let table: Params = config.plugins.get(plugin.name).cloned().unwrap_or_default();
        let backend: Arc<dyn HostBackend> = host.clone();
        let mut host = Host::new(backend, table);
        (plugin.load)(&mut host).map_err(|reason| StartError::Plugin { name: plugin.name, reason })?;
        applications.extend(host.into_applications());
    }
    Ok(applications)
}

/// Takes in the registrations of the last run (SER-M7).
async fn restore(store: &Store, location: &Location) -> Result<(), StoreError> {
    for kept in store.bindings().await? {
        let (Some((flow, outbound)), Ok(contact)) = (parse_flow(&kept.received), kept.contact.parse()) else {
            tracing::warn!(contact = kept.contact, "a stored registration cannot be read");
            continue;
        };
        if matches!(flow.transport, Transport::Ws | Transport::Wss) {
            // A browser was where its connection was; it comes back with another.
            continue;
        }
        let binding = Binding {
            contact,
            flow,
            path: kept.path,
            call_id: kept.call_id,
            cseq: kept.cseq,
            user_agent: kept.user_agent,
            q: kept.q,
            expires: kept.expires,
            outbound,
        };
        location.restore(Aor::new(&kept.user, &kept.domain), binding);
    }
    Ok(())
}

/// Writes registrations to the store, many in one transaction.
async fn write_behind(store: Store, mut changed: mpsc::Receiver<Change>, mut stop: watch::Receiver<bool>) {
    let mut changes = Vec::with_capacity(CHANGES_AT_ONCE);
    loop {
        tokio::select! {
            biased;
            taken = changed.recv_many(&mut changes, CHANGES_AT_ONCE) => if taken == 0 { return },
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let mut saved = Vec::new();
        for change in changes.drain(..) {
            match change {
                Change::Save(aor, binding) => saved.push(stored(aor, &binding)),
                Change::Remove(aor, contact) => {
                    // What was saved before it in this batch must be there to be removed.
                    save(&store, &mut saved).await;
                    if let Err(error) = store.remove_binding(&aor.user, &aor.domain, &contact).await {
                        tracing::error!(%error, "a registration could not be removed from the store");
                    }
                }
            }
        }
        save(&store, &mut saved).await;
    }
}

async fn save(store: &Store, saved: &mut Vec<sems_store::Binding>) {
    if !saved.is_empty()
        && let Err(error) = store.save_bindings(saved).await
    {
        tracing::error!(%error, "registrations could not be stored");
    }
    saved.clear();
}

fn stored(aor: Aor, binding: &Binding) -> sems_store::Binding {
    sems_store::Binding {
        user: aor.user,
        domain: aor.domain,
        contact: binding.contact.to_string(),
        received: flow_text(&binding.flow, binding.outbound.as_ref()),
        path: binding.path.clone(),
        call_id: binding.call_id.clone(),
        cseq: binding.cseq,
        user_agent: binding.user_agent.clone(),
        q: binding.q,
        expires: binding.expires,
    }
}

/// Once a minute: forgets expired registrations, purges deleted messages.
async fn upkeep(store: Store, location: Arc<Location>, mut stop: watch::Receiver<bool>) {
    let mut minute = tokio::time::interval(Duration::from_secs(60));
    loop {
        tokio::select! {
            _ = minute.tick() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        let now = SystemTime::now();
        location.expire(now);
        if let Err(error) = store.purge(now).await {
            tracing::error!(%error, "deleted messages could not be purged");
        }
    }
}
