//! What the API may see of the core, copied out.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::SystemTime,
};

use sems_sip::Flow;

use crate::{
    shared::Shared,
    snapshot::{
        BanSnapshot, CallSnapshot, Counter, CounterKind, RegistrationSnapshot, RoomSnapshot, Snapshots,
        TracedMessage,
    },
    trace,
};

/// The core's side of [`Snapshots`].
#[derive(Debug)]
pub(crate) struct View {
    shared: Arc<Shared>,
    draining: AtomicBool,
}

impl View {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, draining: AtomicBool::new(false) }
    }

    /// From now on the server is not ready.
    pub(crate) fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }
}

impl Snapshots for View {
    fn calls(&self) -> Vec<CallSnapshot> {
        self.shared.calls.snapshot()
    }

    fn rooms(&self) -> Vec<RoomSnapshot> {
        let rooms = self.shared.engine.rooms();
        rooms
            .into_iter()
            .map(|room| RoomSnapshot { name: room.name, members: room.members, rate: room.rate })
            .collect()
    }

    fn registrations(&self) -> Vec<RegistrationSnapshot> {
        let all = self.shared.location.all(SystemTime::now());
        all.into_iter()
            .map(|(aor, binding, expires_in)| RegistrationSnapshot {
                aor: aor.to_string(),
                contact: binding.contact.to_string(),
                expires_in,
                user_agent: binding.user_agent,
                source: source_text(&binding.flow),
            })
            .collect()
    }

    fn bans(&self) -> Vec<BanSnapshot> {
        self.shared.bans.snapshot(SystemTime::now())
    }

    fn lift_ban(&self, source: &str) -> bool {
        let lifted = self.shared.bans.lift(source);
        if lifted {
            tracing::info!(source, "ban lifted");
        }
        lifted
    }

    fn trace(&self, call: String) -> Pin<Box<dyn Future<Output = Vec<TracedMessage>> + Send>> {
        let shared = self.shared.clone();
        Box::pin(async move {
            let entries = shared.signalling.trace().await;
            // Reading through all of them takes milliseconds.
            let found = tokio::task::spawn_blocking(move || trace::find(&entries, &call)).await;
            found.unwrap_or_default()
        })
    }

    fn counters(&self) -> Vec<Counter> {
        let counters = &self.shared.counters;
        let count = |name, help, value: u64| Counter {
            name,
            help,
            kind: CounterKind::Counter,
            labels: Vec::new(),
            value: value as f64,
        };
        let gauge = |name, help, value: usize| Counter {
            name,
            help,
            kind: CounterKind::Gauge,
            labels: Vec::new(),
            value: value as f64,
        };
        let media = self.shared.engine.counters();
        let registrations = self.shared.location.len(SystemTime::now());
        let mut all = vec![
            gauge("sems_calls", "Calls under way.", self.shared.calls.len()),
            count("sems_calls_total", "Calls admitted.", counters.calls.get()),
            count("sems_calls_answered_total", "Calls answered.", counters.calls_answered.get()),
            count(
                "sems_calls_refused_total",
                "Calls refused with 503 by a limit of [calls].",
                counters.calls_refused_busy.get(),
            ),
            gauge("sems_registrations", "Contacts registered.", registrations),
            count("sems_registers_total", "REGISTERs of proved owners.", counters.registrations.get()),
            count(
                "sems_authentication_failures_total",
                "Requests with wrong credentials.",
                counters.authentication_failures.get(),
            ),
            gauge("sems_bans", "Sources that are not listened to.", self.shared.bans.len()),
            count("sems_bans_total", "Bans begun.", self.shared.bans.begun()),
            count(
                "sems_sip_ignored_total",
                "SIP messages not looked at, of banned sources and of strangers who ask too often.",
                self.shared.bans.ignored(),
            ),
            count("sems_stun_total", "STUN binding requests answered.", counters.stun_answered.get()),
            gauge("sems_connections", "SIP connections.", self.shared.connections.taken_now()),
            count(
                "sems_connections_refused_total",
                "SIP connections not taken because of the limits of [streams].",
                self.shared.connections.refused(),
            ),
            count("sems_media_received_total", "RTP and RTCP packets received.", media.packets_in),
            count("sems_media_sent_total", "RTP and RTCP packets sent.", media.packets_out),
            count(
                "sems_media_send_errors_total",
                "Media packets the kernel would not take.",
                media.send_errors,
            ),
            count("sems_media_late_ticks_total", "Ticks served more than 5 ms late.", media.late_ticks),
        ];
        all.append(&mut counters.sip.counters());
        all
    }

    fn ready(&self) -> bool {
        !self.draining.load(Ordering::Relaxed)
    }
}

/// `udp:192.0.2.1:5060`
fn source_text(flow: &Flow) -> String {
    format!("{}:{}", flow.transport.via_token().to_ascii_lowercase(), flow.remote)
}
