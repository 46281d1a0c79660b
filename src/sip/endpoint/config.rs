//! What an endpoint is told once.

use std::time::Duration;

use crate::message::Method;

/// When provisional responses are sent reliably (RFC 3262), given that the caller supports it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reliable {
    /// Only when the caller requires `100rel`.
    WhenRequired,
    /// Whenever the caller supports `100rel`.
    WhenSupported,
}

/// The settings of an [`Endpoint`](super::Endpoint).
#[derive(Debug, Clone)]
pub struct Config {
    /// The Server and User-Agent headers; empty for none.
    pub user_agent: String,
    /// The round-trip estimate of RFC 3261 section 17.1.1.1; 500 ms.
    pub t1: Duration,
    /// The longest interval between retransmissions; 4 s.
    pub t2: Duration,
    /// How long a message stays in the network; 5 s.
    pub t4: Duration,
    /// The session interval asked for and granted (RFC 4028); zero turns session timers off. 1800 s.
    pub session_expires: Duration,
    /// The smallest session interval accepted; at least 90 s.
    pub min_se: Duration,
    /// When provisional responses are sent reliably.
    pub reliable_provisionals: Reliable,
    /// The methods that are accepted; others known to SIP get 405, unknown ones 501.
    pub allow: Vec<Method>,
    /// The option tags of the Supported header; a Require of any other is answered 420.
    pub supported: Vec<String>,
    /// How long a BYE waits for [`respond`](super::Endpoint::respond) before the endpoint answers it with 200.
    pub bye_timeout: Duration,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            user_agent: String::new(),
            t1: Duration::from_millis(500),
            t2: Duration::from_secs(4),
            t4: Duration::from_secs(5),
            session_expires: Duration::from_secs(1800),
            min_se: Duration::from_secs(90),
            reliable_provisionals: Reliable::WhenRequired,
            allow: vec![
                Method::Invite,
                Method::Ack,
                Method::Cancel,
                Method::Bye,
                Method::Options,
                Method::Info,
                Method::Prack,
                Method::Update,
                Method::Message,
                Method::Refer,
                Method::Notify,
                Method::Subscribe,
                Method::Register,
            ],
            supported: ["100rel", "timer", "replaces"].map(str::to_owned).into(),
            bye_timeout: Duration::from_secs(10),
        }
    }
}
