//! The kinds of values that are more than text or a number.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    str::FromStr,
};

/// A transport that can be listened on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Listener {
    /// RFC 3261 over UDP.
    Udp,
    /// RFC 3261 over TCP.
    Tcp,
    /// RFC 3261 over TLS.
    Tls,
    /// RFC 7118: WebSockets.
    Ws,
    /// RFC 7118 over TLS.
    Wss,
}

impl Listener {
    const ALL: [(Self, &'static str); 5] =
        [(Self::Udp, "udp"), (Self::Tcp, "tcp"), (Self::Tls, "tls"), (Self::Ws, "ws"), (Self::Wss, "wss")];

    /// Whether it needs a certificate.
    pub fn is_secure(self) -> bool {
        matches!(self, Self::Tls | Self::Wss)
    }
}

/// A place where SIP is heard: `udp:0.0.0.0:5060`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Listen {
    /// How.
    pub transport: Listener,
    /// Where. Port 0 lets the kernel choose; an IPv6 one hears IPv6 only.
    pub address: SocketAddr,
}

impl Listen {
    pub(super) fn defaults() -> Vec<Self> {
        let all = |ip: IpAddr| {
            let address = SocketAddr::new(ip, 5060);
            [Listener::Udp, Listener::Tcp].map(|transport| Self { transport, address })
        };
        [all(Ipv4Addr::UNSPECIFIED.into()), all(Ipv6Addr::UNSPECIFIED.into())].concat()
    }
}

impl fmt::Display for Listen {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = Listener::ALL.iter().find(|(transport, _)| *transport == self.transport);
        write!(f, "{}:{}", scheme.map_or("", |(_, name)| name), self.address)
    }
}

impl FromStr for Listen {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let form =
            || format!("\"{text}\" is not of the form \"udp:0.0.0.0:5060\", with udp, tcp, tls, ws or wss");
        let (scheme, address) = text.split_once(':').ok_or_else(form)?;
        let (transport, _) = Listener::ALL.into_iter().find(|(_, name)| *name == scheme).ok_or_else(form)?;
        let address = address.parse().map_err(|_| form())?;
        Ok(Self { transport, address })
    }
}

/// The address that we tell others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PublicAddress {
    /// The local address that the kernel would use towards the peer.
    Auto,
    /// This one.
    Fixed(IpAddr),
}

impl FromStr for PublicAddress {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        let ip: IpAddr =
            text.parse().map_err(|_| format!("\"{text}\" is neither \"auto\" nor an IP address"))?;
        if ip.is_unspecified() || ip.is_multicast() {
            return Err(format!("{ip} is an address that nobody can send to"));
        }
        Ok(Self::Fixed(ip))
    }
}

/// A number of media threads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workers {
    /// One per core.
    Auto,
    /// So many, 1 to 256.
    Count(usize),
}

impl Workers {
    /// How many that are on this machine, at least 1.
    pub fn count(self) -> usize {
        match self {
            Self::Auto => std::thread::available_parallelism().map_or(1, usize::from),
            Self::Count(count) => count,
        }
    }
}

/// A codec that can be offered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Codec {
    /// RFC 7587.
    Opus,
    /// RFC 3551 section 4.5.2.
    G722,
    /// G.711 µ-law, RFC 3551 section 4.5.14.
    Pcmu,
    /// G.711 A-law, RFC 3551 section 4.5.14.
    Pcma,
}

impl Codec {
    /// Its name in `sems.toml`, that of its `rtpmap` in lower case.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opus => "opus",
            Self::G722 => "g722",
            Self::Pcmu => "pcmu",
            Self::Pcma => "pcma",
        }
    }
}

impl FromStr for Codec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Opus, Self::G722, Self::Pcmu, Self::Pcma]
            .into_iter()
            .find(|codec| codec.as_str().eq_ignore_ascii_case(text))
            .ok_or_else(|| format!("\"{text}\" is none of opus, g722, pcmu, pcma"))
    }
}

/// A text that never reaches a log: its `Debug` hides it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Hides a text.
    pub fn new(text: impl Into<String>) -> Self {
        Self(text.into())
    }

    /// The text.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}
