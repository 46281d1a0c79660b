//! Session timers (RFC 4028): what is negotiated, and when to refresh or to give up.

use std::time::Duration;

use crate::{
    Headers,
    endpoint::Config,
    header::{MinSe, Refresher, SessionExpires},
};

/// The shortest interval that anybody may ask for (RFC 4028 section 5).
const FLOOR: u32 = 90;

/// A session that must be refreshed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SessionTimer {
    /// The session interval.
    pub(crate) interval: Duration,
    /// Whether we refresh; otherwise the other side does.
    pub(crate) ours: bool,
}

impl SessionTimer {
    /// When to refresh, counted from the last refresh: at half the interval (RFC 4028 section 7.2).
    pub(crate) fn refresh_after(&self) -> Option<Duration> {
        self.ours.then(|| self.interval / 2)
    }

    /// When the session is over without a refresh: a little before the other side would say so (section 10).
    pub(crate) fn expires_after(&self) -> Duration {
        self.interval - (self.interval / 3).min(Duration::from_secs(32))
    }
}

/// What a request that opens or refreshes a session is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Grant {
    /// No session timer.
    Off,
    /// This one. The 2xx says so by the header, and requires `timer` where the caller is to refresh.
    On {
        /// The timer on our side.
        timer: SessionTimer,
        /// For the 2xx.
        header: SessionExpires,
    },
    /// The interval asked for is too small: 422 with this Min-SE.
    TooSmall(u32),
}

/// The smallest interval we accept, in seconds.
pub(crate) fn min_se(config: &Config) -> u32 {
    whole_seconds(config.min_se).max(FLOOR)
}

/// The interval we ask for, in seconds; none when session timers are off.
pub(crate) fn wanted(config: &Config) -> Option<u32> {
    match whole_seconds(config.session_expires) {
        0 => None,
        seconds => Some(seconds.max(min_se(config))),
    }
}

fn whole_seconds(duration: Duration) -> u32 {
    u32::try_from(duration.as_secs()).unwrap_or(u32::MAX)
}

/// Decides as the side that answers (RFC 4028 section 9). `supports` says whether the other side knows timers.
pub(crate) fn grant(config: &Config, request: &Headers, supports: bool) -> Grant {
    if !supports {
        // Without support there is nothing to tell it, and its proxies' wish cannot be answered.
        return Grant::Off;
    }
    let asked = request.typed::<SessionExpires>().ok();
    let floor = min_se(config);
    let theirs = request.typed::<MinSe>().map_or(FLOOR, |header| header.0);
    let seconds = match (asked, wanted(config)) {
        (Some(header), _) if header.secs < floor => return Grant::TooSmall(floor),
        // It may be lowered, but not below the caller's Min-SE.
        (Some(header), Some(wanted)) => header.secs.min(wanted.max(theirs)),
        (Some(header), None) => header.secs,
        (None, Some(wanted)) => wanted.max(theirs),
        (None, None) => return Grant::Off,
    };
    // Whoever asked without naming a refresher does it itself; one that did not ask is spared.
    let refresher = asked.map_or(Refresher::Uas, |header| header.refresher.unwrap_or(Refresher::Uac));
    let timer =
        SessionTimer { interval: Duration::from_secs(seconds.into()), ours: refresher == Refresher::Uas };
    Grant::On { timer, header: SessionExpires { secs: seconds, refresher: Some(refresher) } }
}

/// Reads, as the side that asked, what the 2xx says (RFC 4028 section 7.2).
pub(crate) fn granted(response: &Headers) -> Option<SessionTimer> {
    let header = response.typed::<SessionExpires>().ok()?;
    let seconds = header.secs.max(FLOOR);
    Some(SessionTimer {
        interval: Duration::from_secs(seconds.into()),
        ours: header.refresher.unwrap_or(Refresher::Uac) == Refresher::Uac,
    })
}
