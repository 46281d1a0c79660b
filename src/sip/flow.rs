//! Where a message came from, and goes back to.

use std::{
    cmp::Ordering,
    fmt,
    hash::{Hash, Hasher},
    net::SocketAddr,
    sync::Arc,
};

/// What carries messages between two addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Transport {
    /// Datagrams (RFC 3261 section 18).
    Udp,
    /// A TCP connection.
    Tcp,
    /// A TLS connection.
    Tls,
    /// A WebSocket (RFC 7118).
    Ws,
    /// A WebSocket over TLS.
    Wss,
}

impl Transport {
    /// Whether messages arrive whole or the connection is reported lost: retransmission is then not ours.
    pub fn is_reliable(self) -> bool {
        self != Self::Udp
    }

    /// The token of the Via header.
    pub fn via_token(self) -> &'static str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Ws => "WS",
            Self::Wss => "WSS",
        }
    }

    /// The value of a URI's `transport` parameter; none for UDP, which is the default.
    pub fn uri_parameter(self) -> Option<&'static str> {
        match self {
            Self::Udp => None,
            Self::Tcp => Some("tcp"),
            Self::Tls => Some("tls"),
            Self::Ws => Some("ws"),
            Self::Wss => Some("wss"),
        }
    }

    /// The port that is meant where none is written.
    pub fn default_port(self) -> u16 {
        match self {
            Self::Udp | Self::Tcp => 5060,
            Self::Tls => 5061,
            Self::Ws => 80,
            Self::Wss => 443,
        }
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.via_token())
    }
}

/// What Via and Contact say of us to the other end of a flow, `host:port`; none for our end as it is.
#[derive(Clone, Default)]
pub struct Advertised(Option<Arc<Rule>>);

type Rule = dyn Fn(&Flow) -> Option<String> + Send + Sync;

impl Advertised {
    /// By this rule, which is asked for every request and every Contact.
    pub fn new(rule: impl Fn(&Flow) -> Option<String> + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(rule)))
    }

    /// What it says on a flow.
    pub fn on(&self, flow: &Flow) -> Option<String> {
        self.0.as_ref().and_then(|rule| rule(flow))
    }
}

impl fmt::Debug for Advertised {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() { "Advertised(rule)" } else { "Advertised(none)" })
    }
}

/// A transport and its two ends. For streams this names the connection.
#[derive(Debug, Clone)]
pub struct Flow {
    /// What carries the messages.
    pub transport: Transport,
    /// Our end.
    pub local: SocketAddr,
    /// The other end.
    pub remote: SocketAddr,
    /// On streams: where a connection to this peer can be opened when there is none (RFC 3261 section 18.2.2);
    /// none where nobody listens. It is no part of the flow's identity.
    pub reconnect: Option<SocketAddr>,
    /// On TLS connections that we open: the host name that the peer has to prove (RFC 5922). Two names at one
    /// address are two connections.
    pub name: Option<Arc<str>>,
}

impl Flow {
    /// A flow that messages came by. Where it is a stream, it cannot be opened again.
    pub fn new(transport: Transport, local: SocketAddr, remote: SocketAddr) -> Self {
        Self { transport, local, remote, reconnect: None, name: None }
    }

    /// A datagram flow.
    pub fn udp(local: SocketAddr, remote: SocketAddr) -> Self {
        Self::new(Transport::Udp, local, remote)
    }

    /// A flow to an address that the peer listens on.
    pub fn to_listener(transport: Transport, local: SocketAddr, remote: SocketAddr) -> Self {
        Self { reconnect: Some(remote), ..Self::new(transport, local, remote) }
    }

    /// The same way with a new connection; none where no connection can be opened, or where this is that flow.
    pub(crate) fn again(&self) -> Option<Self> {
        let remote = self.reconnect.filter(|remote| *remote != self.remote)?;
        // By the name that it has to prove, a connection that we open is told from one that came from there.
        let tls = matches!(self.transport, Transport::Tls | Transport::Wss);
        let name = self.name.clone().or_else(|| tls.then(|| remote.ip().to_string().into()));
        Some(Self { remote, name, ..self.clone() })
    }

    fn identity(&self) -> (Transport, SocketAddr, SocketAddr, Option<&str>) {
        (self.transport, self.local, self.remote, self.name.as_deref())
    }
}

impl fmt::Display for Flow {
    /// `TCP 192.0.2.1:5060 -> 198.51.100.7:40000`
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} -> {}", self.transport, self.local, self.remote)
    }
}

impl PartialEq for Flow {
    fn eq(&self, other: &Self) -> bool {
        self.identity() == other.identity()
    }
}

impl Eq for Flow {}

impl Hash for Flow {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
    }
}

impl PartialOrd for Flow {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Flow {
    fn cmp(&self, other: &Self) -> Ordering {
        self.identity().cmp(&other.identity())
    }
}
