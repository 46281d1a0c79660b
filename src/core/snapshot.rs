//! What the API and the console may see: plain values, copied out of the core.

use std::{pin::Pin, time::Duration};

use serde::Serialize;

/// A call in progress.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct CallSnapshot {
    /// Its name, as in logs and CDRs.
    pub id: String,
    /// The From URI.
    pub from: String,
    /// The request URI.
    pub to: String,
    /// The application that serves it; none while it rings at a callee or talks to one.
    pub application: Option<String>,
    /// Where it is.
    pub state: CallState,
    /// Unix time of the INVITE, in seconds.
    pub since: f64,
    /// The codec negotiated, as in `rtpmap`.
    pub codec: Option<String>,
}

/// Where a call is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum CallState {
    /// Not answered yet.
    Ringing,
    /// Answered.
    Talking,
    /// On hold.
    Held,
    /// Over, its application still at work.
    Ending,
}

/// A conference room with somebody in it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RoomSnapshot {
    /// Its name.
    pub name: String,
    /// How many are in it.
    pub members: usize,
    /// The rate it is mixed at, in Hz.
    pub rate: u32,
}

/// A contact of an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct RegistrationSnapshot {
    /// The address of record.
    pub aor: String,
    /// The contact URI.
    pub contact: String,
    /// Seconds until it expires.
    #[serde(serialize_with = "seconds")]
    pub expires_in: Duration,
    /// The User-Agent header of its REGISTER.
    pub user_agent: String,
    /// Where its REGISTER came from: `udp:192.0.2.1:5060`.
    pub source: String,
}

/// A source that is not listened to.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BanSnapshot {
    /// An IPv4 address, or an IPv6 network of 64 bits.
    pub source: String,
    /// What it did too often.
    pub reason: String,
    /// Unix time of its beginning, in seconds.
    pub since: f64,
    /// Seconds until it ends.
    #[serde(serialize_with = "seconds")]
    pub expires_in: Duration,
    /// Messages from there that were not looked at.
    pub ignored: u64,
}

/// A SIP message of a call.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TracedMessage {
    /// Unix time, in seconds.
    pub at: f64,
    /// Whether we sent it.
    pub sent: bool,
    /// `udp`, `tcp`, ...
    pub transport: String,
    /// Our address.
    pub local: String,
    /// The peer's address.
    pub remote: String,
    /// The message; what is no UTF-8 replaced, answers to challenges hidden.
    pub text: String,
}

fn seconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(duration.as_secs())
}

/// What a counter does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CounterKind {
    /// Only grows.
    Counter,
    /// Goes up and down.
    Gauge,
}

/// A measured number, as Prometheus names them.
#[derive(Debug, Clone, PartialEq)]
pub struct Counter {
    /// Its name: `sems_calls_total`. Samples of one name come one after the other.
    pub name: &'static str,
    /// What it counts, and in which unit.
    pub help: &'static str,
    /// What it does.
    pub kind: CounterKind,
    /// What distinguishes it from others of its name.
    pub labels: Vec<(&'static str, String)>,
    /// Its value.
    pub value: f64,
}

/// Reads the core, and lifts bans; every method is quick and may be called from any thread.
pub trait Snapshots: Send + Sync + 'static {
    /// The calls in progress.
    fn calls(&self) -> Vec<CallSnapshot>;
    /// The rooms.
    fn rooms(&self) -> Vec<RoomSnapshot>;
    /// The registrations that have not expired.
    fn registrations(&self) -> Vec<RegistrationSnapshot>;
    /// The sources that are not listened to.
    fn bans(&self) -> Vec<BanSnapshot>;
    /// Ends the ban of a source, named as [`bans`](Self::bans) shows it or by an address of it; whether there was one.
    fn lift_ban(&self, source: &str) -> bool;
    /// The SIP messages of a call, by its name or a Call-ID, as far as they are still kept.
    fn trace(&self, call: String) -> Pin<Box<dyn Future<Output = Vec<TracedMessage>> + Send>>;
    /// The numbers.
    fn counters(&self) -> Vec<Counter>;
    /// Whether new calls are taken: not before everything is bound, nor while draining.
    fn ready(&self) -> bool;
}
