//! The configuration: `sems.toml`, overridden by the environment, checked whole before anything opens.
//!
//! Every key has a default, so that no file at all is a working configuration. [`Config::load`] collects every
//! fault instead of stopping at the first, each with its place.

mod account;
mod advertise;
mod cidr;
mod env;
mod fault;
mod load;
mod mail;
mod path;
mod read;
mod route;
mod setting;
#[cfg(test)]
mod tests;
mod value;

use std::{
    collections::BTreeMap,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    ops::RangeInclusive,
    path::PathBuf,
    time::Duration,
};

use sems_app::Params;
use sems_sip::auth::Algorithm;

pub use account::Account;
pub use advertise::Advertise;
pub use cidr::Cidr;
pub use fault::{ConfigFaults, Fault, Place};
pub use value::{Codec, Listen, Listener, PublicAddress, Secret, Workers};

use crate::{media::MediaIo, routing::Route};

/// Everything that `sems.toml` says.
#[derive(Debug, Clone, PartialEq)]
pub struct Config {
    /// The file it was read from; `None` for the built-in defaults.
    pub file: Option<PathBuf>,
    /// `[server]`
    pub server: Server,
    /// `[sip]`
    pub sip: Sip,
    /// `[streams]`
    pub streams: Streams,
    /// `[tls]`
    pub tls: Tls,
    /// `[dns]`
    pub dns: Dns,
    /// `[media]`
    pub media: Media,
    /// `[calls]`
    pub calls: Calls,
    /// `[abuse]`
    pub abuse: Abuse,
    /// `[registrar]`
    pub registrar: Registrar,
    /// `[http]`
    pub http: Http,
    /// `[store]`
    pub store: Store,
    /// `[mail]`
    pub mail: Mail,
    /// `[log]`
    pub log: Log,
    /// `[[advertise]]`, first match first.
    pub advertise: Vec<Advertise>,
    /// `[[account]]`: what the store is seeded with.
    pub accounts: Vec<Account>,
    /// `[[route]]`, first match first. A file without any has the default ones; `route = []` has none.
    pub routes: Vec<Route>,
    /// `[plugins.<name>]`
    pub plugins: BTreeMap<String, Params>,
    /// What is odd but no fault: a route to an application that is not built in.
    pub warnings: Vec<Fault>,
}

/// `[server]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Server {
    /// Database, recordings, spool, scripts' data. A relative one is below the folder of `sems.toml`.
    pub data_dir: PathBuf,
    /// The domains served, in lower case; never empty. The first one is that of accounts that name none.
    pub domains: Vec<String>,
}

/// `[sip]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sip {
    /// Where SIP is heard; never empty.
    pub listen: Vec<Listen>,
    /// The address that Contact, Via and SDP name.
    pub public_address: PublicAddress,
    /// Proxies whose P-Asserted-Identity, Diversion, History-Info and P-App-* are believed.
    pub trusted: Vec<Cidr>,
    /// The digest algorithms that logins may use, the best first (RFC 8760); never empty.
    pub digest: Vec<Algorithm>,
    /// How many MiB of the last SIP messages are kept for whoever asks about a call; 0 keeps none.
    pub trace_mib: u32,
    /// The Server and User-Agent headers (RFC 3261 sections 20.35 and 20.41).
    pub user_agent: String,
    /// The session interval asked for (RFC 4028 section 4), at least `min_session_expires`; zero for none.
    pub session_expires: Duration,
    /// The shortest session interval accepted, at least 90 s (RFC 4028 section 5).
    pub min_session_expires: Duration,
    /// How long a server may say nothing before its next address is tried (RFC 3263 section 4.3).
    pub failover_after: Duration,
}

/// `[streams]`: SIP over connections.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Streams {
    /// Connections at once, at least 1; fewer where the system allows fewer open files.
    pub max: usize,
    /// Connections at once of one IPv4 address or IPv6 /64, at least 1.
    pub max_per_peer: usize,
    /// Connections at once that have not brought a message yet, at least 1; one peer gets a tenth of them.
    pub max_half_open: usize,
    /// How long such a connection is kept.
    pub half_open_timeout: Duration,
    /// How long a connection on which nothing comes is kept.
    pub idle_timeout: Duration,
    /// How often WebSockets are pinged, at least 1 s.
    pub ping: Duration,
    /// The longest message, in bytes; 4096 to 1048576.
    pub max_message: usize,
}

/// `[tls]`
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Our certificate and those between it and its authority, in PEM. There for every `tls:` and `wss:` listener.
    pub certificate: Option<PathBuf>,
    /// Its private key, in PEM.
    pub key: Option<PathBuf>,
    /// The authorities, in PEM, whose certificates are accepted from servers that we connect to; none for those of
    /// the system.
    pub authorities: Option<PathBuf>,
}

/// `[dns]`: how servers are found by name (RFC 3263).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dns {
    /// The servers that are asked; none for those of the system.
    pub servers: Vec<SocketAddr>,
    /// How long one may take to answer, at least 100 ms.
    pub timeout: Duration,
    /// How long an address that failed is left for the last.
    pub avoid: Duration,
}

/// `[media]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Media {
    /// RTP ports, an even/odd pair a leg: begins even, ends odd.
    pub rtp_ports: RangeInclusive<u16>,
    /// The number of media threads.
    pub workers: Workers,
    /// How media threads receive and send.
    pub io: MediaIo,
    /// Silence on the wire this long ends a call that is not on hold; zero never does.
    pub rtp_timeout: Duration,
    /// The codecs offered, the best first; never empty.
    pub codecs: Vec<Codec>,
    /// The folder of prompts below `sounds`.
    pub language: String,
    /// Where prompts are, looked up as [`Config::find`] does.
    pub sounds: String,
}

/// `[calls]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Calls {
    /// Ringing this long is "no-answer".
    pub ring_timeout: Duration,
    /// Calls at once; beyond, 503 with Retry-After.
    pub max: usize,
    /// New calls in a second; beyond, 503 with Retry-After. 0 for no limit.
    pub per_second: u32,
    /// Calls at once of one source that is not trusted; beyond, 503 with Retry-After. 0 for no limit.
    pub max_per_source: usize,
}

/// `[abuse]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Abuse {
    /// Sources that are neither limited nor banned, beside `sip.trusted`.
    pub exempt: Vec<Cidr>,
    /// So many failures ban their source; 0 bans nobody.
    pub failures: u32,
    /// The failures that count are no further apart.
    pub within: Duration,
    /// How long nothing of a banned source is answered.
    pub ban: Duration,
    /// Messages a second of a source that has proved no account; those beyond are ignored. 0 for no limit.
    pub requests_per_second: u32,
}

/// `[registrar]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Registrar {
    /// The shortest registration accepted (423 below, RFC 3261 section 10.3).
    pub min_expires: Duration,
    /// The longest granted.
    pub max_expires: Duration,
    /// Contacts of one account at once, at least 1.
    pub max_contacts: usize,
}

/// `[http]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Http {
    /// Where the API is heard.
    pub listen: SocketAddr,
}

/// `[store]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Store {
    /// `sqlite:<path below data_dir>`
    pub database: String,
    /// `file:<path below data_dir>`
    pub recordings: String,
}

/// `[mail]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mail {
    /// `file:<folder below data_dir>`, `smtp://[user@]host[:port]` or `smtps://[user@]host[:port]`.
    pub transport: String,
    /// The password of the user in `transport`.
    pub password: Option<Secret>,
    /// The From header of mails (RFC 5322 section 3.6.2).
    pub from: String,
}

/// `[log]`
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Log {
    /// `error`, `warn`, `info`, `debug` or `trace`, or directives such as `info,sems_core=debug`.
    pub level: String,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            file: None,
            server: Server { data_dir: PathBuf::from("var"), domains: vec!["localhost".to_owned()] },
            sip: Sip::default(),
            streams: Streams::default(),
            tls: Tls::default(),
            dns: Dns { servers: Vec::new(), timeout: Duration::from_secs(2), avoid: Duration::from_secs(60) },
            media: Media::default(),
            calls: Calls {
                ring_timeout: Duration::from_secs(25),
                max: 4000,
                per_second: 0,
                max_per_source: 0,
            },
            abuse: Abuse::default(),
            registrar: Registrar {
                min_expires: Duration::from_secs(60),
                max_expires: Duration::from_secs(3600),
                max_contacts: 10,
            },
            http: Http { listen: SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 8080) },
            store: Store { database: "sqlite:sems.db".to_owned(), recordings: "file:recordings".to_owned() },
            mail: Mail {
                transport: "file:mail".to_owned(),
                password: None,
                from: "Voicemail <voicemail@localhost>".to_owned(),
            },
            log: Log { level: "info".to_owned() },
            advertise: Vec::new(),
            accounts: Vec::new(),
            routes: crate::routing::default_routes(),
            plugins: BTreeMap::new(),
            warnings: Vec::new(),
        }
    }
}

impl Default for Sip {
    fn default() -> Self {
        Self {
            listen: Listen::defaults(),
            public_address: PublicAddress::Auto,
            trusted: Vec::new(),
            digest: vec![Algorithm::Sha256, Algorithm::Md5],
            trace_mib: 16,
            user_agent: concat!("sems/", env!("CARGO_PKG_VERSION")).to_owned(),
            session_expires: Duration::from_secs(1800),
            min_session_expires: Duration::from_secs(90),
            failover_after: Duration::from_secs(4),
        }
    }
}

impl Default for Streams {
    fn default() -> Self {
        Self {
            max: 20_000,
            max_per_peer: 1000,
            max_half_open: 1000,
            half_open_timeout: Duration::from_secs(30),
            // Above the longest registration.
            idle_timeout: Duration::from_secs(2 * 3600),
            ping: Duration::from_secs(30),
            max_message: 65_536,
        }
    }
}

impl Default for Abuse {
    fn default() -> Self {
        let block = |text: &str| text.parse().ok();
        Self {
            exempt: ["127.0.0.0/8", "::1/128"].into_iter().filter_map(block).collect(),
            failures: 10,
            within: Duration::from_secs(60),
            ban: Duration::from_secs(600),
            requests_per_second: 200,
        }
    }
}

impl Default for Media {
    fn default() -> Self {
        Self {
            rtp_ports: 10_000..=29_999,
            workers: Workers::Auto,
            io: MediaIo::Auto,
            rtp_timeout: Duration::from_secs(60),
            codecs: vec![Codec::Opus, Codec::G722, Codec::Pcmu, Codec::Pcma],
            language: "en".to_owned(),
            sounds: "sounds".to_owned(),
        }
    }
}
