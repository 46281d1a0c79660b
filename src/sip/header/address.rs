//! Headers made of an address: From, To, Contact, Route, Record-Route, Refer-To and their kin.

use std::fmt;

use super::{Arity, Header, HeaderError, HeaderName};
use crate::grammar::{self, Scan};
use crate::message::Kept;
use crate::params::Params;
use crate::text::{Part, Text};
use crate::uri::Uri;

/// A URI with an optional display name, and the parameters behind it (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct NameAddr {
    /// The display name, unquoted.
    pub name: Option<Text>,
    /// Who.
    pub uri: Uri,
    /// The header's parameters, behind the closing bracket.
    pub params: Params,
}

impl NameAddr {
    /// An address without name and parameters.
    pub const fn new(uri: Uri) -> Self {
        Self { name: None, uri, params: Params::new() }
    }

    /// The same with a display name.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<Text>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// The same with a parameter set.
    #[must_use]
    pub fn with_param(mut self, name: &str, value: &str) -> Self {
        self.params.set(name, Some(value));
        self
    }

    /// Reads `name-addr` or `addr-spec` with parameters. In an `addr-spec`, what stands behind a semicolon belongs
    /// to the header, and commas and question marks are not allowed (RFC 3261 §20).
    pub fn parse(value: &Text) -> Result<Self, &'static str> {
        Self::read(Part::whole(value))
    }

    pub(crate) fn read(value: Part<'_>) -> Result<Self, &'static str> {
        let mut scan = Scan::new(&value);
        let name = scan.skip_space().display_name()?;
        if !scan.eat(b'<') {
            return Self::read_bare(value);
        }
        let uri = scan.until(b'>').ok_or("angle bracket is not closed")?;
        let uri = Uri::read(value.part(uri))?;
        let params = scan.params(value)?;
        let name = match name {
            "" => None,
            name if !name.starts_with('"') => Some(value.slice(name)),
            name => Some(match grammar::strip_quotes(name) {
                bare if bare.contains('\\') => Text::from(grammar::unescape(bare)),
                bare => value.slice(bare),
            }),
        };
        Ok(Self { name, uri, params })
    }

    /// Without angle brackets.
    fn read_bare(value: Part<'_>) -> Result<Self, &'static str> {
        let mut scan = Scan::new(&value);
        let uri = scan.skip_space().before(b';').trim_ascii_end();
        if uri.contains(['?', ',']) {
            return Err("URI with a comma or question mark outside of angle brackets");
        }
        let uri = Uri::read(value.part(uri))?;
        Ok(Self { name: None, uri, params: scan.params(value)? })
    }

    /// The tag parameter.
    pub fn tag(&self) -> Option<&str> {
        self.params.get("tag")
    }
}

impl fmt::Display for NameAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(name) = &self.name {
            write!(f, "{} ", grammar::quote(name))?;
        }
        write!(f, "<{}>{}", self.uri, self.params)
    }
}

macro_rules! address_header {
    ($(#[$doc:meta])* $name:ident $arity:ident $($kept:ident)?) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, Hash)]
        pub struct $name(pub NameAddr);

        impl Header for $name {
            const NAME: HeaderName = HeaderName::$name;
            const ARITY: Arity = Arity::$arity;

            #[inline]
            fn read(value: Part<'_>) -> Result<Self, HeaderError> {
                match NameAddr::read(value) {
                    Ok(address) => Ok(Self(address)),
                    Err(what) => Err(HeaderError::malformed(Self::NAME, what)),
                }
            }

            $(fn kept(kept: &Kept) -> Option<Self> {
                kept.$kept.clone()
            })?
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl std::ops::Deref for $name {
            type Target = NameAddr;

            fn deref(&self) -> &NameAddr {
                &self.0
            }
        }

        impl std::ops::DerefMut for $name {
            fn deref_mut(&mut self) -> &mut NameAddr {
                &mut self.0
            }
        }

        impl std::convert::From<Uri> for $name {
            fn from(uri: Uri) -> Self {
                Self(NameAddr::new(uri))
            }
        }

        impl std::convert::From<NameAddr> for $name {
            fn from(address: NameAddr) -> Self {
                Self(address)
            }
        }
    };
}

address_header!(
    /// Who initiated the request (RFC 3261 §20.20).
    From Single from
);
address_header!(
    /// Whom the request is for (RFC 3261 §20.39).
    To Single to
);
address_header!(
    /// A proxy that a request is to pass (RFC 3261 §20.34).
    Route List
);
address_header!(
    /// A proxy that wants to stay in the path (RFC 3261 §20.30).
    RecordRoute List
);
address_header!(
    /// A proxy between a registrar and a phone (RFC 3327).
    Path List
);
address_header!(
    /// A proxy that a registrar tells a phone to use (RFC 3608).
    ServiceRoute List
);
address_header!(
    /// Whom to call instead (RFC 3515 §2.1).
    ReferTo Single
);
address_header!(
    /// Who asked for it (RFC 3892).
    ReferredBy Single
);
address_header!(
    /// Who diverted the call, last one first (RFC 5806).
    Diversion List
);
address_header!(
    /// Whom the request was for on its way, first one first (RFC 7044).
    HistoryInfo List
);
address_header!(
    /// Who calls, as a trusted network vouches (RFC 3325 §9.1).
    PAssertedIdentity List
);

impl Diversion {
    /// The reason, for instance `no-answer`.
    pub fn reason(&self) -> Option<&str> {
        self.0.params.get("reason")
    }
}

impl HistoryInfo {
    /// The index, for instance `1.1`.
    pub fn index(&self) -> Option<&str> {
        self.0.params.get("index")
    }
}

/// Where to reach someone directly, or `*` for all bindings (RFC 3261 §20.10).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[allow(
    clippy::large_enum_variant,
    reason = "nearly every contact is an address; a box would cost each an allocation"
)]
pub enum Contact {
    /// `*`: only in a REGISTER that removes all bindings.
    All,
    /// An address.
    Address(NameAddr),
}

impl Contact {
    /// A contact without name and parameters.
    pub const fn new(uri: Uri) -> Self {
        Self::Address(NameAddr::new(uri))
    }

    /// The address, unless it is `*`.
    pub const fn address(&self) -> Option<&NameAddr> {
        match self {
            Self::All => None,
            Self::Address(address) => Some(address),
        }
    }

    /// The URI, unless it is `*`.
    pub fn uri(&self) -> Option<&Uri> {
        self.address().map(|address| &address.uri)
    }

    /// Seconds; `None` when absent or malformed. A number too large counts as 2^32 - 1 (RFC 3261 §10.3).
    pub fn expires(&self) -> Option<u32> {
        let text = self.address()?.params.get("expires")?;
        let digits = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        digits.then(|| text.parse().unwrap_or(u32::MAX))
    }

    /// The preference in thousandths, 0 to 1000; 1000 when absent or malformed.
    pub fn q(&self) -> u16 {
        let value = self.address().and_then(|a| a.params.get("q")).and_then(|q| q.parse::<f32>().ok());
        match value {
            Some(q) if (0.0..=1.0).contains(&q) => (q * 1000.0).round() as u16,
            _ => 1000,
        }
    }
}

impl Header for Contact {
    const NAME: HeaderName = HeaderName::Contact;
    const ARITY: Arity = Arity::List;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        if value.trim() == "*" {
            return Ok(Self::All);
        }
        match NameAddr::read(value) {
            Ok(address) => Ok(Self::Address(address)),
            Err(what) => Err(HeaderError::malformed(Self::NAME, what)),
        }
    }

    fn kept(kept: &Kept) -> Option<Self> {
        kept.contact.clone()
    }
}

impl fmt::Display for Contact {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::All => f.write_str("*"),
            Self::Address(address) => address.fmt(f),
        }
    }
}
