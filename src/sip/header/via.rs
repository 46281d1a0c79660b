//! Via.

use std::fmt;
use std::net::IpAddr;

use super::{Arity, Header, HeaderError, HeaderName};
use crate::grammar::{self, Scan};
use crate::message::Kept;
use crate::params::Params;
use crate::text::{Part, Text};
use crate::uri::Host;

/// The transport named in a Via (RFC 3261 §20.42, RFC 7118 §5).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(missing_docs)]
pub enum Transport {
    Udp,
    Tcp,
    Tls,
    Sctp,
    TlsSctp,
    Ws,
    Wss,
    /// Any other token.
    Other(Text),
}

impl Transport {
    /// Reads a transport, in any case.
    pub fn parse(text: &Text) -> Option<Self> {
        Self::read(Part::whole(text))
    }

    fn read(text: Part<'_>) -> Option<Self> {
        const KNOWN: [Transport; 7] = [
            Transport::Udp,
            Transport::Tcp,
            Transport::Tls,
            Transport::Sctp,
            Transport::TlsSctp,
            Transport::Ws,
            Transport::Wss,
        ];
        let known = KNOWN.iter().find(|known| known.as_str().eq_ignore_ascii_case(&text)).cloned();
        known.or_else(|| grammar::is_token(&text).then(|| Self::Other(text.to_text())))
    }

    /// The name as it stands in a Via.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Udp => "UDP",
            Self::Tcp => "TCP",
            Self::Tls => "TLS",
            Self::Sctp => "SCTP",
            Self::TlsSctp => "TLS-SCTP",
            Self::Ws => "WS",
            Self::Wss => "WSS",
            Self::Other(token) => token,
        }
    }

    /// Whether it delivers everything in order, so that nothing is sent twice.
    pub const fn is_reliable(&self) -> bool {
        !matches!(self, Self::Udp | Self::Other(_))
    }
}

impl fmt::Display for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One hop that a request took, and where its response goes (RFC 3261 §20.42).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Via {
    /// How the request was sent.
    pub transport: Transport,
    /// Who sent it.
    pub host: Host,
    /// The port it listens on, if told.
    pub port: Option<u16>,
    /// branch, rport, received, maddr, ttl and others.
    pub params: Params,
}

/// What every branch of an RFC 3261 implementation begins with (§8.1.1.7).
pub const MAGIC_COOKIE: &str = "z9hG4bK";

impl Via {
    /// A Via of our own with a branch, asking for the source port (RFC 3581).
    pub fn new(transport: Transport, host: Host, port: Option<u16>, branch: &str) -> Self {
        let mut params = Params::new().with("branch", branch);
        params.set("rport", None);
        Self { transport, host, port, params }
    }

    /// The transaction's identifier.
    pub fn branch(&self) -> Option<&str> {
        self.params.get("branch")
    }

    /// Whether the client asked for responses to go to the port it sent from (RFC 3581 §3).
    pub fn wants_rport(&self) -> bool {
        self.params.has("rport")
    }

    /// The source port that a server noted (RFC 3581 §4).
    pub fn rport(&self) -> Option<u16> {
        self.params.get("rport").and_then(grammar::port)
    }

    /// The source address that a server noted (RFC 3261 §18.2.1).
    pub fn received(&self) -> Option<IpAddr> {
        let text = self.params.get("received")?;
        text.trim_start_matches('[').trim_end_matches(']').parse().ok()
    }

    /// Where to send responses instead, usually a multicast group (RFC 3261 §18.2.2).
    pub fn maddr(&self) -> Option<&str> {
        self.params.get("maddr")
    }

    /// Notes the source address.
    pub fn set_received(&mut self, source: IpAddr) {
        self.params.set("received", Some(&source.to_string()));
    }

    /// Notes the source port.
    pub fn set_rport(&mut self, port: u16) {
        self.params.set("rport", Some(&port.to_string()));
    }
}

impl Header for Via {
    const NAME: HeaderName = HeaderName::Via;
    const ARITY: Arity = Arity::List;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        let malformed = |what| HeaderError::malformed(Self::NAME, what);
        let mut scan = Scan::new(&value);
        // Another version than 2.0 is of the grammar: a request of that version is refused for its start line.
        if !scan.eat_text("SIP/2.0/") {
            for _ in ["name", "version"] {
                if scan.skip_space().take(grammar::TOKEN).is_empty() || !scan.skip_space().eat(b'/') {
                    return Err(malformed("does not begin with SIP/2.0/transport"));
                }
            }
        }
        let transport = scan.skip_space().take(grammar::TOKEN);
        let transport = Transport::read(value.part(transport))
            .ok_or(malformed("does not begin with SIP/2.0/transport"))?;
        if !scan.at_space() {
            return Err(malformed("has no sent-by"));
        }
        let host = scan.skip_space().host(value).map_err(malformed)?;
        let port = scan.skip_space().port().map_err(malformed)?;
        let params = scan.params(value).map_err(malformed)?;
        Ok(Self { transport, host, port, params })
    }

    fn kept(kept: &Kept) -> Option<Self> {
        kept.via.clone()
    }
}

impl fmt::Display for Via {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SIP/2.0/{} {}", self.transport, self.host)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)
    }
}
