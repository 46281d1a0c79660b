//! Who is not listened to: shared with whoever shows the list or shortens it.

use std::{
    net::{IpAddr, Ipv6Addr},
    sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    time::{Duration, SystemTime},
};

use dashmap::DashMap;

use super::{Offence, Source};
use crate::snapshot::BanSnapshot;

#[derive(Debug)]
struct Ban {
    offence: Offence,
    since: SystemTime,
    until: SystemTime,
    ignored: u64,
}

/// Bans at once: more sources than that are no longer kept apart.
const MOST: usize = 65_536;
/// Bans that are over are looked for no more often.
const SWEEP: Duration = Duration::from_secs(60);

/// The bans in force.
#[derive(Debug, Default)]
pub(crate) struct Bans {
    banned: DashMap<Source, Ban>,
    /// As many as `banned` has: most of the time none, and then nothing is looked up.
    count: AtomicUsize,
    /// When those that are over were last looked for, in seconds of Unix time.
    swept: AtomicU64,
    begun: AtomicU64,
    ignored: AtomicU64,
}

impl Bans {
    pub(super) fn insert(&self, source: Source, offence: Offence, now: SystemTime, length: Duration) {
        self.expire(now);
        if self.len() >= MOST {
            return;
        }
        let ban = Ban { offence, since: now, until: now + length, ignored: 0 };
        if self.banned.insert(source, ban).is_none() {
            self.count.fetch_add(1, Relaxed);
        }
        self.begun.fetch_add(1, Relaxed);
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.count.load(Relaxed)
    }

    /// Whether nothing from there is heard now.
    pub(super) fn stops(&self, source: Source, now: SystemTime) -> bool {
        if self.count.load(Relaxed) == 0 {
            return false;
        }
        let stops = self.banned.get_mut(&source).is_some_and(|mut ban| {
            let stops = now < ban.until;
            ban.ignored += u64::from(stops);
            stops
        });
        if stops {
            self.count_ignored();
        }
        stops
    }

    pub(super) fn count_ignored(&self) {
        self.ignored.fetch_add(1, Relaxed);
    }

    /// Ends a ban, named as it is shown or by any address of its source. Whether there was one.
    pub(crate) fn lift(&self, name: &str) -> bool {
        let address = name.parse().ok().or_else(|| {
            let network = name.strip_suffix("/64")?.parse::<Ipv6Addr>().ok()?;
            Some(IpAddr::V6(network))
        });
        let lifted = address.is_some_and(|address| self.banned.remove(&Source::of(address)).is_some());
        if lifted {
            self.count.fetch_sub(1, Relaxed);
        }
        lifted
    }

    fn expire(&self, now: SystemTime) {
        let seconds = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs();
        if seconds.saturating_sub(self.swept.load(Relaxed)) < SWEEP.as_secs() {
            return;
        }
        self.swept.store(seconds, Relaxed);
        self.banned.retain(|_, ban| {
            let stays = now < ban.until;
            if !stays {
                self.count.fetch_sub(1, Relaxed);
            }
            stays
        });
    }

    /// What the API shows.
    pub(crate) fn snapshot(&self, now: SystemTime) -> Vec<BanSnapshot> {
        let shown = |ban: dashmap::mapref::multiple::RefMulti<'_, Source, Ban>| {
            let expires_in = ban.until.duration_since(now).ok()?;
            let since = ban.since.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
            Some(BanSnapshot {
                source: ban.key().to_string(),
                reason: ban.offence.as_str().to_owned(),
                since: since.as_secs_f64(),
                expires_in,
                ignored: ban.ignored,
            })
        };
        self.banned.iter().filter_map(shown).collect()
    }

    /// How many there were since the start.
    pub(crate) fn begun(&self) -> u64 {
        self.begun.load(Relaxed)
    }

    /// Messages that were not looked at since the start.
    pub(crate) fn ignored(&self) -> u64 {
        self.ignored.load(Relaxed)
    }
}
