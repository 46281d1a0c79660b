//! URIs: sip, sips, tel, and others kept as they are.

mod compare;
mod escape;
mod host;
#[cfg(test)]
mod tests;

use std::borrow::Cow;
use std::fmt;
use std::net::SocketAddr;
use std::str::FromStr;

pub use escape::{decode, encode_user};
pub use host::Host;

use crate::grammar::{self, Scan};
use crate::params::Params;
use crate::text::{Part, Text};

/// A URI in a request line or header.
///
/// `==` compares what was written; [`Uri::is_equivalent`] compares as RFC 3261 §19.1.4 says.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Uri {
    /// `sip:` or `sips:`.
    Sip(SipUri),
    /// `tel:` (RFC 3966).
    Tel(TelUri),
    /// Any other scheme, kept whole.
    Other(OtherUri),
}

/// `sip:user:password@host:port;params?headers` (RFC 3261 §19.1.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SipUri {
    /// `sips`: every hop is to use TLS.
    pub secure: bool,
    /// The user as written, with its escapes.
    pub user: Option<Text>,
    /// The password as written.
    pub password: Option<Text>,
    /// The host.
    pub host: Host,
    /// The port, if told.
    pub port: Option<u16>,
    /// `transport`, `lr`, `user`, `maddr` and others.
    pub params: Params,
    /// The headers as written, without the question mark.
    pub headers: Option<Text>,
}

/// `tel:number;params` (RFC 3966 §3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct TelUri {
    /// The number as written, with its visual separators.
    pub number: Text,
    /// `phone-context`, `ext` and others.
    pub params: Params,
}

/// A URI of a scheme that has no meaning here.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct OtherUri {
    /// The scheme.
    pub scheme: Text,
    /// What is behind the colon.
    pub rest: Text,
}

impl Uri {
    /// Reads a URI. `Err` says what is wrong.
    pub fn parse(text: &Text) -> Result<Self, &'static str> {
        Self::read(Part::whole(text))
    }

    pub(crate) fn read(text: Part<'_>) -> Result<Self, &'static str> {
        let mut scan = Scan::new(&text);
        if scan.eat_text("sip:") {
            return Ok(Self::Sip(SipUri::read(text, scan, false)?));
        }
        let scheme = scan.take(grammar::SCHEME);
        if !scheme.as_bytes().first().is_some_and(u8::is_ascii_alphabetic) || !scan.eat(b':') {
            return Err("URI without scheme");
        }
        if scheme.eq_ignore_ascii_case("sip") {
            SipUri::read(text, scan, false).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("sips") {
            SipUri::read(text, scan, true).map(Self::Sip)
        } else if scheme.eq_ignore_ascii_case("tel") {
            TelUri::read(text, scan).map(Self::Tel)
        } else if text.bytes().any(|b| b <= b' ' || matches!(b, b'<' | b'>' | b'"' | 127)) {
            Err("URI with a space, quote or angle bracket")
        } else {
            Ok(Self::Other(OtherUri { scheme: text.slice(scheme), rest: text.slice(scan.rest()) }))
        }
    }

    /// Whether it is of the scheme `sips`.
    pub const fn is_secure(&self) -> bool {
        matches!(self, Self::Sip(SipUri { secure: true, .. }))
    }

    /// A `sip:` URI of a host.
    pub const fn sip(host: Host) -> Self {
        Self::Sip(SipUri {
            secure: false,
            user: None,
            password: None,
            host,
            port: None,
            params: Params::new(),
            headers: None,
        })
    }

    /// A `sip:` URI of an address and port.
    pub fn sip_at(address: SocketAddr) -> Self {
        Self::sip(Host::from(address.ip())).with_port(address.port())
    }

    /// The same with this user, escaped as needed. A `tel` or other URI stays as it is.
    #[must_use]
    pub fn with_user(mut self, user: &str) -> Self {
        if let Self::Sip(uri) = &mut self {
            uri.user = Some(Text::from(encode_user(user)));
        }
        self
    }

    /// The same with this port. A `tel` or other URI stays as it is.
    #[must_use]
    pub fn with_port(mut self, port: u16) -> Self {
        if let Self::Sip(uri) = &mut self {
            uri.port = Some(port);
        }
        self
    }

    /// The same with a parameter; `None` makes a flag such as `lr`.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: Option<&str>) -> Self {
        match &mut self {
            Self::Sip(uri) => uri.params.set(name, value),
            Self::Tel(uri) => uri.params.set(name, value),
            Self::Other(_) => {}
        }
        self
    }

    /// The same as `sips:`. A `tel` or other URI stays as it is.
    #[must_use]
    pub fn secured(mut self) -> Self {
        if let Self::Sip(uri) = &mut self {
            uri.secure = true;
        }
        self
    }

    /// The scheme: `sip`, `sips`, `tel`, or the other one as written.
    pub fn scheme(&self) -> &str {
        match self {
            Self::Sip(uri) if uri.secure => "sips",
            Self::Sip(_) => "sip",
            Self::Tel(_) => "tel",
            Self::Other(uri) => &uri.scheme,
        }
    }

    /// The `sip` or `sips` URI, if it is one.
    pub const fn as_sip(&self) -> Option<&SipUri> {
        match self {
            Self::Sip(uri) => Some(uri),
            _ => None,
        }
    }

    /// The user as written, or the number of a `tel` URI.
    pub fn raw_user(&self) -> Option<&str> {
        match self {
            Self::Sip(uri) => uri.user.as_deref(),
            Self::Tel(uri) => Some(&uri.number),
            Self::Other(_) => None,
        }
    }

    /// The user with its escapes decoded, or the number of a `tel` URI without visual separators.
    pub fn user(&self) -> Option<Cow<'_, str>> {
        match self {
            Self::Sip(uri) => uri.user.as_deref().map(decode),
            Self::Tel(uri) => Some(Cow::Owned(uri.digits())),
            Self::Other(_) => None,
        }
    }

    /// The host of a `sip` or `sips` URI.
    pub const fn host(&self) -> Option<&Host> {
        match self {
            Self::Sip(uri) => Some(&uri.host),
            _ => None,
        }
    }

    /// The port, if told.
    pub const fn port(&self) -> Option<u16> {
        match self {
            Self::Sip(uri) => uri.port,
            _ => None,
        }
    }

    /// The parameters; other schemes have none.
    pub const fn params(&self) -> Option<&Params> {
        match self {
            Self::Sip(uri) => Some(&uri.params),
            Self::Tel(uri) => Some(&uri.params),
            Self::Other(_) => None,
        }
    }

    /// The value of a parameter.
    pub fn param(&self, name: &str) -> Option<&str> {
        self.params().and_then(|params| params.get(name))
    }

    /// Whether it has a parameter, with or without value.
    pub fn has_param(&self, name: &str) -> bool {
        self.params().is_some_and(|params| params.has(name))
    }

    /// Whether both name the same resource (RFC 3261 §19.1.4, RFC 3966 §4).
    pub fn is_equivalent(&self, other: &Self) -> bool {
        compare::equivalent(self, other)
    }
}

impl SipUri {
    #[inline]
    fn read(text: Part<'_>, mut scan: Scan<'_>, secure: bool) -> Result<Self, &'static str> {
        let (user, password) = read_userinfo(text, &mut scan)?;
        let host = scan.host(text)?;
        let port = scan.port()?;
        let params = read_params(text, &mut scan)?;
        let headers = if scan.eat(b'?') {
            check_headers(scan.rest())?;
            Some(text.slice(scan.rest()))
        } else if scan.is_done() {
            None
        } else {
            return Err("URI with something behind the host");
        };
        Ok(Self { secure, user, password, host, port, params, headers })
    }

    /// The value of `transport`.
    pub fn transport(&self) -> Option<&str> {
        self.params.get("transport")
    }

    /// The headers, name and value with their escapes decoded.
    pub fn headers(&self) -> impl Iterator<Item = (Cow<'_, str>, Cow<'_, str>)> {
        let headers = self.headers.as_deref().unwrap_or_default();
        headers.split('&').filter_map(|pair| pair.split_once('=')).map(|(n, v)| (decode(n), decode(v)))
    }
}

type UserInfo = (Option<Text>, Option<Text>);

/// What stands before an `@`, if there is one.
fn read_userinfo(text: Part<'_>, scan: &mut Scan<'_>) -> Result<UserInfo, &'static str> {
    let mut ahead = *scan;
    let user = ahead.take_escaped(grammar::USER);
    let password = ahead.eat(b':').then(|| ahead.take_escaped(grammar::PASSWORD));
    if ahead.eat(b'@') {
        if user.is_empty() {
            return Err("URI with an empty user");
        }
        *scan = ahead;
        return Ok((Some(text.slice(user)), password.map(|p| text.slice(p))));
    }
    match memchr::memchr(b'@', scan.rest().as_bytes()) {
        Some(_) => Err("URI whose user or password has unescaped characters"),
        None => Ok((None, None)),
    }
}

/// Reads `;name=value;name`, as far as it goes.
fn read_params(text: Part<'_>, scan: &mut Scan<'_>) -> Result<Params, &'static str> {
    if !scan.eat(b';') {
        return Ok(Params::new());
    }
    let all = scan.rest();
    loop {
        let named = !scan.take_escaped(grammar::URI_PARAM).is_empty();
        let valued = !scan.eat(b'=') || !scan.take_escaped(grammar::URI_PARAM).is_empty();
        if !named || !valued {
            return Err("URI with a malformed parameter");
        }
        if !scan.eat(b';') {
            break;
        }
    }
    let params = all.get(..all.len() - scan.rest().len()).unwrap_or_default();
    Ok(Params::from_checked(text.slice(params)))
}

fn check_headers(headers: &str) -> Result<(), &'static str> {
    for pair in headers.split('&') {
        let (name, value) = pair.split_once('=').ok_or("URI with a header without value")?;
        let valid = |text: &str| {
            let mut scan = Scan::new(text);
            scan.take_escaped(grammar::URI_HEADER);
            scan.is_done()
        };
        if name.is_empty() || !valid(name) || !valid(value) {
            return Err("URI with a malformed header");
        }
    }
    Ok(())
}

impl TelUri {
    fn read(text: Part<'_>, mut scan: Scan<'_>) -> Result<Self, &'static str> {
        let number = scan.before(b';');
        let valid =
            |b: u8| b.is_ascii_hexdigit() || matches!(b, b'+' | b'*' | b'#' | b'-' | b'.' | b'(' | b')');
        if number.is_empty() || !number.bytes().all(valid) {
            return Err("tel URI with a malformed number");
        }
        let params = read_params(text, &mut scan)?;
        if !scan.is_done() {
            return Err("tel URI with a malformed parameter");
        }
        Ok(Self { number: text.slice(number), params })
    }

    /// The number without visual separators.
    pub fn digits(&self) -> String {
        self.number.chars().filter(|c| !matches!(c, '-' | '.' | '(' | ')')).collect()
    }
}

impl fmt::Display for Uri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sip(uri) => uri.fmt(f),
            Self::Tel(uri) => write!(f, "tel:{}{}", uri.number, uri.params),
            Self::Other(uri) => write!(f, "{}:{}", uri.scheme, uri.rest),
        }
    }
}

impl fmt::Display for SipUri {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.secure { "sips:" } else { "sip:" })?;
        if let Some(user) = &self.user {
            f.write_str(user)?;
            if let Some(password) = &self.password {
                write!(f, ":{password}")?;
            }
            f.write_str("@")?;
        }
        self.host.fmt(f)?;
        if let Some(port) = self.port {
            write!(f, ":{port}")?;
        }
        self.params.fmt(f)?;
        match &self.headers {
            Some(headers) => write!(f, "?{headers}"),
            None => Ok(()),
        }
    }
}

/// Why a URI could not be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct MalformedUri(pub &'static str);

impl FromStr for Uri {
    type Err = MalformedUri;

    fn from_str(text: &str) -> Result<Self, MalformedUri> {
        Self::parse(&Text::from(text)).map_err(MalformedUri)
    }
}
