//! Hosts in URIs and Via headers.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::grammar;
use crate::text::Text;

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
        if let Some(inner) = text.strip_prefix('[') {
            let inner = inner.strip_suffix(']').ok_or("IPv6 address without closing bracket")?;
            // The grammar of RFC 3261 allowed three colons before an embedded IPv4 address (RFC 5118 §4.10).
            let address = inner.parse().or_else(|_| inner.replacen(":::", "::", 1).parse());
            return address.map(Self::V6).map_err(|_| "not an IPv6 address");
        }
        if text.as_bytes().first().is_some_and(u8::is_ascii_digit)
            && let Ok(address) = text.parse()
        {
            return Ok(Self::V4(address));
        }
        // Underscores are no part of a host name, but deployed names have them.
        let valid = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_');
        if text.is_empty() || !text.bytes().all(valid) || text.starts_with('.') {
            return Err("not a host name");
        }
        Ok(Self::Name(text.clone()))
    }

    /// Reads `host[:port]`, with spaces around the colon as a Via may have them.
    pub fn parse_with_port(text: &Text) -> Result<(Self, Option<u16>), &'static str> {
        let end = if text.starts_with('[') {
            text.find(']').map(|at| at + 1).ok_or("IPv6 address without closing bracket")?
        } else {
            text.find(':').unwrap_or(text.len())
        };
        let (host, rest) = text.split_at(end);
        let host = Self::parse(&text.slice(host.trim_end()))?;
        match rest.trim_start() {
            "" => Ok((host, None)),
            rest => {
                let digits = rest.strip_prefix(':').ok_or("text behind the host")?.trim();
                let port = grammar::port(digits).ok_or("port is not a number up to 65535")?;
                Ok((host, Some(port)))
            }
        }
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
