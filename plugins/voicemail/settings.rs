//! What can be configured, in `[plugins.voicemail]` and on each route.

use std::time::Duration;

use sems_app::{CallError, CallInfo, ConfigError, Mode, Params, TextDuration, Uri};
use serde::Deserialize;

/// The warning beep comes this long before the limit, unless the limit is so short that it would only disturb.
const WARN: Duration = Duration::from_secs(5);

/// The keys as they stand; a route's override those of the plugin's table.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Settings {
    pub(crate) mailbox: Option<String>,
    pub(crate) mode: Option<Mode>,
    pub(crate) greeting: Option<String>,
    max_duration: Option<TextDuration>,
    min_duration: Option<TextDuration>,
    silence: Option<TextDuration>,
}

impl Settings {
    pub(crate) fn read(params: &Params) -> Result<Self, ConfigError> {
        let settings: Self = params.read()?;
        let fault = |key: &str, reason: String| Err(ConfigError { key: key.to_owned(), reason });
        if settings.max().is_zero() {
            return fault("max_duration", "a message needs time".to_owned());
        }
        if settings.min() >= settings.max() {
            return fault("min_duration", "is not below max_duration".to_owned());
        }
        if let Some(mailbox) = &settings.mailbox {
            if mailbox.trim().is_empty() {
                return fault("mailbox", "a mailbox needs a name".to_owned());
            }
            if mailbox.contains(':')
                && let Err(error) = mailbox.parse::<Uri>()
            {
                return fault("mailbox", format!("{mailbox:?}: {error}"));
            }
        }
        Ok(settings)
    }

    pub(crate) fn over(self, other: &Self) -> Self {
        Self {
            mailbox: self.mailbox.or_else(|| other.mailbox.clone()),
            mode: self.mode.or(other.mode),
            greeting: self.greeting.or_else(|| other.greeting.clone()),
            max_duration: self.max_duration.or(other.max_duration),
            min_duration: self.min_duration.or(other.min_duration),
            silence: self.silence.or(other.silence),
        }
    }

    /// What becomes of a message.
    pub(crate) fn mode(&self) -> Mode {
        self.mode.unwrap_or(Mode::Both)
    }

    /// The longest message.
    pub(crate) fn max(&self) -> Duration {
        self.max_duration.map_or(Duration::from_secs(30), Duration::from)
    }

    /// The shortest one.
    pub(crate) fn min(&self) -> Duration {
        self.min_duration.map_or(Duration::from_secs(2), Duration::from).min(self.max())
    }

    /// So much silence ends it; zero for never.
    pub(crate) fn silence(&self) -> Duration {
        self.silence.map_or(Duration::from_secs(10), Duration::from)
    }

    /// How long before the limit the warning comes; zero for none.
    pub(crate) fn warn(&self) -> Duration {
        if self.max() >= 2 * WARN { WARN } else { Duration::ZERO }
    }

    /// Whose mailbox the call is for. A bare name is one of the domain that was called, for which the request
    /// URI may hold an address of this machine.
    pub(crate) fn mailbox(&self, info: &CallInfo) -> Result<Uri, CallError> {
        match self.mailbox.as_deref().map(str::trim) {
            None => Ok(info.mailbox_uri().clone()),
            Some(uri) if uri.contains(':') => uri.parse().map_err(CallError::application),
            Some(address) => Ok(match address.split_once('@') {
                Some((user, domain)) => Uri::sip(user, domain),
                None => Uri::sip(address, info.mailbox_uri().host()),
            }),
        }
    }
}
