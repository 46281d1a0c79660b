//! Hosts in URIs and Via headers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::grammar::{self, Scan};
use crate::text::{Part, Text};

/// A host: a name or an address.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Host {
    /// A domain name, as it was written.
    Name(Text),
    /// An IPv4 address.
    V4(Ipv4Addr),
    /// An IPv6 address, in brackets when printed.
    V6(Ipv6Addr),
}

impl Host {
    /// Reads a host without port.
    pub fn parse(text: &Text) -> Result<Self, &'static str> {
        match Self::parse_with_port(text)? {
            (host, None) => Ok(host),
            (_, Some(_)) => Err("a port behind the host"),
        }
    }

    /// Reads `host[:port]`, with spaces around the colon as a Via may have them.
    pub fn parse_with_port(text: &Text) -> Result<(Self, Option<u16>), &'static str> {
        let mut scan = Scan::new(text);
        let host = scan.host(Part::whole(text))?;
        let port = scan.skip_space().port()?;
        if scan.skip_space().is_done() { Ok((host, port)) } else { Err("text behind the host") }
    }

    /// A host of which `text` is all, brackets included.
    pub(crate) fn read(source: Part<'_>, text: &str) -> Result<Self, &'static str> {
        let first = text.as_bytes().first().copied();
        if first == Some(b'[') {
            let inner = grammar::strip_brackets(text);
            // The grammar of RFC 3261 allowed three colons before an embedded IPv4 address (RFC 5118 §4.10).
            let address = inner.parse().or_else(|_| inner.replacen(":::", "::", 1).parse());
            return address.map(Self::V6).map_err(|_| "not an IPv6 address");
        }
        if first.is_some_and(|b| b.is_ascii_digit())
            && let Ok(address) = text.parse()
        {
            return Ok(Self::V4(address));
        }
        if text.is_empty() || first == Some(b'.') {
            return Err("not a host name");
        }
        Ok(Self::Name(source.slice(text)))
    }

    /// The address, if it is one.
    pub const fn ip(&self) -> Option<IpAddr> {
        match self {
            Self::Name(_) => None,
            Self::V4(address) => Some(IpAddr::V4(*address)),
            Self::V6(address) => Some(IpAddr::V6(*address)),
        }
    }

    /// Whether both name the same host: names without case, addresses by value.
    pub fn is_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Name(a), Self::Name(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => a == b,
        }
    }
}

impl From<IpAddr> for Host {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Self::V4(address),
            IpAddr::V6(address) => Self::V6(address),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Name(name) => f.write_str(name),
            Self::V4(address) => address.fmt(f),
            Self::V6(address) => write!(f, "[{address}]"),
        }
    }
}
