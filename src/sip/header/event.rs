//! Event and Subscription-State.

use std::fmt;

use super::{Header, HeaderError, HeaderName};
use crate::grammar;
use crate::params::Params;
use crate::text::{Part, Text};

/// The event package of a subscription (RFC 6665 §8.2.1).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Event {
    /// For instance `message-summary`.
    pub package: Text,
    /// `id` and others.
    pub params: Params,
}

/// The state of a subscription (RFC 6665 §8.2.3).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct SubscriptionState {
    /// `active`, `pending` or `terminated`.
    pub state: Text,
    /// `expires`, `reason`, `retry-after`.
    pub params: Params,
}

/// Reads `token *(;param)`.
fn token(value: Part<'_>, name: &HeaderName) -> Result<(Text, Params), HeaderError> {
    let malformed = |what| HeaderError::malformed(name.clone(), what);
    let (word, params) = value.split_once(';').map_or((&*value, None), |(a, b)| (a, Some(b)));
    if !grammar::is_token(word.trim()) {
        return Err(malformed("is not a token"));
    }
    let params = match params {
        Some(text) => {
            grammar::check_params(text).map_err(malformed)?;
            Params::from_checked(value.slice(text.trim()))
        }
        None => Params::new(),
    };
    Ok((value.slice(word.trim()), params))
}

impl Event {
    /// A package without parameters.
    pub fn new(package: impl Into<Text>) -> Self {
        Self { package: package.into(), params: Params::new() }
    }

    /// The identifier of one of several subscriptions in a dialog.
    pub fn id(&self) -> Option<&str> {
        self.params.get("id")
    }
}

impl Header for Event {
    const NAME: HeaderName = HeaderName::Event;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        token(value, &Self::NAME).map(|(package, params)| Self { package, params })
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.package, self.params)
    }
}

impl SubscriptionState {
    /// `active` for so many seconds.
    pub fn active(expires: u32) -> Self {
        let params = Params::new().with("expires", &expires.to_string());
        Self { state: Text::from_static("active"), params }
    }

    /// `terminated` for this reason, for instance `noresource`.
    pub fn terminated(reason: &str) -> Self {
        Self { state: Text::from_static("terminated"), params: Params::new().with("reason", reason) }
    }

    /// Whether the subscription is over.
    pub fn is_terminated(&self) -> bool {
        self.state.eq_ignore_ascii_case("terminated")
    }

    /// Seconds that remain.
    pub fn expires(&self) -> Option<u32> {
        self.params.get("expires").and_then(grammar::number)
    }

    /// Why it ended.
    pub fn reason(&self) -> Option<&str> {
        self.params.get("reason")
    }
}

impl Header for SubscriptionState {
    const NAME: HeaderName = HeaderName::SubscriptionState;

    fn read(value: Part<'_>) -> Result<Self, HeaderError> {
        token(value, &Self::NAME).map(|(state, params)| Self { state, params })
    }
}

impl fmt::Display for SubscriptionState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}{}", self.state, self.params)
    }
}
