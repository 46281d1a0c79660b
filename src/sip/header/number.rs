//! Headers whose value is a number: Max-Forwards, Content-Length, Expires, Min-Expires, Retry-After.

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::grammar;
use crate::text::Part;

macro_rules! number_header {
    ($(#[$doc:meta])* $name:ident: $ty:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $ty);

        impl Header for $name {
            const NAME: HeaderName = HeaderName::$name;

            fn read(value: Part<'_>) -> Result<Self, HeaderError> {
                grammar::number(&value)
                    .and_then(|n| <$ty>::try_from(n).ok())
                    .map(Self)
                    .ok_or(HeaderError::malformed(Self::NAME, "is not a number in range"))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

number_header!(
    /// How many more hops a request may take, 0 to 255 (RFC 3261 §20.22).
    MaxForwards: u8
);
number_header!(
    /// The length of the body in bytes (RFC 3261 §20.14).
    ContentLength: u32
);
number_header!(
    /// The shortest registration or subscription accepted, in seconds (RFC 3261 §20.23).
    MinExpires: u32
);

/// How long a registration, subscription or invitation lasts, in seconds (RFC 3261 §20.19). A number too large counts
/// as 2^32 - 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Expires(pub u32);

impl Header for Expires {
    const NAME: HeaderName = HeaderName::Expires;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        if value.is_empty() || !value.bytes().all(|b| b.is_ascii_digit()) {
            return Err(HeaderError::malformed(Self::NAME, "is not a number"));
        }
        Ok(Self(value.parse().unwrap_or(u32::MAX)))
    }
}

impl fmt::Display for Expires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// When to try again, in seconds; comment and parameters are passed over (RFC 3261 §20.33).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RetryAfter(pub u32);

impl Header for RetryAfter {
    const NAME: HeaderName = HeaderName::RetryAfter;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        let digits = value.split([';', '(']).next().unwrap_or_default();
        grammar::number(digits.trim())
            .map(Self)
            .ok_or(HeaderError::malformed(Self::NAME, "is not a number in range"))
    }
}

impl fmt::Display for RetryAfter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
