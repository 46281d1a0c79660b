//! WWW-Authenticate, Proxy-Authenticate, Authorization, Proxy-Authorization.

use std::fmt;

use super::{Arity, Header, HeaderError, HeaderName};
use crate::auth::{Challenge, Credentials, Scheme};
use crate::text::Part;

macro_rules! auth_header {
    ($(#[$doc:meta])* $name:ident($content:ty)) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq)]
        pub struct $name(pub Scheme<$content>);

        impl $name {
            /// The content if the scheme is Digest.
            pub const fn digest(&self) -> Option<&$content> {
                match &self.0 {
                    Scheme::Digest(content) => Some(content),
                    Scheme::Other(_) => None,
                }
            }
        }

        impl Header for $name {
            const NAME: HeaderName = HeaderName::$name;
            const ARITY: Arity = Arity::Repeated;

            fn read(value: Part<'_>) -> Result<Self, HeaderError> {
                Scheme::parse(&value.to_text(), <$content>::parse)
                    .map(Self)
                    .map_err(|what| HeaderError::malformed(Self::NAME, what))
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl From<$content> for $name {
            fn from(content: $content) -> Self {
                Self(Scheme::Digest(content))
            }
        }
    };
}

auth_header!(
    /// A user agent or registrar asks for credentials, in a 401 (RFC 3261 §20.44).
    WwwAuthenticate(Challenge)
);
auth_header!(
    /// A proxy asks for credentials, in a 407 (RFC 3261 §20.27).
    ProxyAuthenticate(Challenge)
);
auth_header!(
    /// The answer to a 401 (RFC 3261 §20.7).
    Authorization(Credentials)
);
auth_header!(
    /// The answer to a 407 (RFC 3261 §20.28).
    ProxyAuthorization(Credentials)
);
