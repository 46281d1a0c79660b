//! Where accounts can be reached: the location table, in memory, written behind to the store.

use std::{
    fmt,
    net::SocketAddr,
    str::FromStr,
    time::{Duration, SystemTime},
};

use dashmap::DashMap;
use sems_sip::{Flow, Header, Text, Transport, Uri, header::Path};
use tokio::sync::mpsc;

/// An address of record: one user of one domain (SER-M7).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Aor {
    pub(crate) user: String,
    /// In lower case.
    pub(crate) domain: String,
}

impl Aor {
    pub(crate) fn new(user: &str, domain: &str) -> Self {
        Self { user: user.to_owned(), domain: domain.to_ascii_lowercase() }
    }

    /// As applications see it.
    pub(crate) fn uri(&self) -> sems_app::Uri {
        sems_app::Uri::sip(&self.user, &self.domain)
    }
}

impl fmt::Display for Aor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}@{}", self.user, self.domain)
    }
}

/// A contact of an address of record.
#[derive(Debug, Clone)]
pub(crate) struct Binding {
    pub(crate) contact: Uri,
    /// Where its REGISTER came from, and where calls go: through the phone's own NAT.
    pub(crate) flow: Flow,
    pub(crate) path: Vec<String>,
    pub(crate) call_id: String,
    pub(crate) cseq: u32,
    pub(crate) user_agent: String,
    pub(crate) q: f32,
    pub(crate) expires: SystemTime,
    /// Which of its flows an instance registered by (RFC 5626).
    pub(crate) outbound: Option<Outbound>,
}

/// What names a binding whatever its contact is: RFC 5626 section 6.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Outbound {
    /// The value of `+sip.instance`, without quotes.
    pub(crate) instance: String,
    /// The value of `reg-id`.
    pub(crate) reg_id: u32,
}

/// Somewhere to send an INVITE.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    pub(crate) uri: Uri,
    /// The flow that its phone registered by.
    pub(crate) flow: Option<Flow>,
    /// Other flows of the same phone, the latest first (RFC 5626 section 7).
    pub(crate) more: Vec<Flow>,
    /// It is reached by its flows alone.
    pub(crate) flow_only: bool,
    pub(crate) route: Vec<String>,
    /// The server that it is sent to, where neither `route` nor `uri` says so.
    pub(crate) next_hop: Option<Uri>,
}

impl Target {
    /// The target with only those ways to it that are over TLS, as a call to a `sips` URI wants (RFC 5630 section 5.3);
    /// none where there are none.
    pub(crate) fn secured(mut self) -> Option<Self> {
        let by_flow = |flow: &Flow| matches!(flow.transport, Transport::Tls | Transport::Wss);
        let named = |uri: Uri| {
            uri.is_secure() || uri.param("transport").is_some_and(|name| name.eq_ignore_ascii_case("tls"))
        };
        self.flow = self.flow.filter(by_flow);
        self.more.retain(by_flow);
        let reachable = !self.flow_only && self.next_hop().is_some_and(named);
        let open = self.flow.is_some() || !self.more.is_empty();
        self.flow_only = !reachable;
        (open || reachable).then_some(self)
    }

    /// Where it is sent when there is no flow (RFC 3261 section 8.1.2).
    pub(crate) fn next_hop(&self) -> Option<Uri> {
        let path = || Path::parse(&Text::from(self.route.first()?.clone())).ok().map(|path| path.0.uri);
        self.next_hop.clone().or_else(path).or_else(|| Some(self.uri.clone()))
    }
}

/// A change on its way to the store.
#[derive(Debug)]
pub(crate) enum Change {
    Save(Aor, Box<Binding>),
    Remove(Aor, String),
}

/// The table. Read by signalling and the API, changed by the registrar alone.
#[derive(Debug)]
pub(crate) struct Location {
    bindings: DashMap<Aor, Vec<Binding>>,
    changes: mpsc::Sender<Change>,
}

impl Location {
    /// An empty table whose changes go to `changes`.
    pub(crate) fn new(changes: mpsc::Sender<Change>) -> Self {
        Self { bindings: DashMap::new(), changes }
    }

    /// Takes in what the store kept.
    pub(crate) fn restore(&self, aor: Aor, binding: Binding) {
        self.bindings.entry(aor).or_default().push(binding);
    }

    /// The contacts that have not expired.
    pub(crate) fn contacts(&self, aor: &Aor, now: SystemTime) -> Vec<Binding> {
        self.bindings.get(aor).map_or_else(Vec::new, |bindings| {
            bindings.iter().filter(|binding| binding.expires > now).cloned().collect()
        })
    }

    /// Where to ring: the best preference first.
    pub(crate) fn targets(&self, aor: &Aor, now: SystemTime) -> Vec<Target> {
        let mut contacts = self.contacts(aor, now);
        // Of equal preference, the one refreshed last: of several flows of a phone it is the likeliest to work.
        contacts.sort_by(|a, b| b.q.total_cmp(&a.q).then(b.expires.cmp(&a.expires)));
        let mut targets: Vec<Target> = Vec::with_capacity(contacts.len());
        let mut phones: Vec<(String, usize)> = Vec::new();
        for binding in contacts {
            let flow_only = binding.outbound.is_some();
            if let Some(outbound) = binding.outbound {
                // A phone with several flows rings once.
                if let Some((_, at)) = phones.iter().find(|(instance, _)| *instance == outbound.instance) {
                    targets[*at].more.push(binding.flow);
                    continue;
                }
                phones.push((outbound.instance, targets.len()));
            }
            targets.push(Target {
                uri: binding.contact,
                flow: Some(binding.flow),
                more: Vec::new(),
                flow_only,
                route: binding.path,
                next_hop: None,
            });
        }
        targets
    }

    pub(crate) fn is_registered(&self, aor: &Aor, now: SystemTime) -> bool {
        self.bindings.get(aor).is_some_and(|bindings| bindings.iter().any(|binding| binding.expires > now))
    }

    /// Forgets the contacts that were reachable by a flow alone, as it is closed.
    pub(crate) fn forget_flow(&self, aor: &Aor, flow: &Flow) {
        let mut gone = Vec::new();
        if let Some(mut bindings) = self.bindings.get_mut(aor) {
            let (lost, kept) = std::mem::take(&mut *bindings).into_iter().partition(|b| b.flow == *flow);
            (gone, *bindings) = (lost, kept);
        }
        self.bindings.remove_if(aor, |_, bindings| bindings.is_empty());
        for binding in gone {
            self.write(Change::Remove(aor.clone(), binding.contact.to_string()));
        }
    }

    /// Replaces the contacts of an address; the store follows.
    pub(crate) fn replace(&self, aor: &Aor, saved: Vec<Binding>, removed: Vec<Binding>, all: Vec<Binding>) {
        if all.is_empty() {
            self.bindings.remove(aor);
        } else {
            self.bindings.insert(aor.clone(), all);
        }
        for binding in saved {
            self.write(Change::Save(aor.clone(), Box::new(binding)));
        }
        for binding in removed {
            self.write(Change::Remove(aor.clone(), binding.contact.to_string()));
        }
    }

    fn write(&self, change: Change) {
        if self.changes.try_send(change).is_err() {
            tracing::error!(
                "the store is too slow: a registration lives in memory only until its next refresh"
            );
        }
    }

    /// Forgets what has expired; the store forgets by itself.
    pub(crate) fn expire(&self, now: SystemTime) {
        self.bindings.retain(|_, bindings| {
            bindings.retain(|binding| binding.expires > now);
            !bindings.is_empty()
        });
    }

    /// How many contacts have not expired.
    pub(crate) fn len(&self, now: SystemTime) -> usize {
        let live = |bindings: &Vec<Binding>| bindings.iter().filter(|binding| binding.expires > now).count();
        self.bindings.iter().map(|entry| live(entry.value())).sum()
    }

    /// Everything, for the API.
    pub(crate) fn all(&self, now: SystemTime) -> Vec<(Aor, Binding, Duration)> {
        let of = |aor: &Aor, binding: &Binding| {
            let left = binding.expires.duration_since(now).ok()?;
            Some((aor.clone(), binding.clone(), left))
        };
        self.bindings
            .iter()
            .flat_map(|entry| entry.value().iter().filter_map(|b| of(entry.key(), b)).collect::<Vec<_>>())
            .collect()
    }
}

/// A flow as the store keeps it: `udp/192.0.2.1:5060/198.51.100.7:40000`, ours first; with RFC 5626, `/reg-id/instance`
/// follows.
pub(crate) fn flow_text(flow: &Flow, outbound: Option<&Outbound>) -> String {
    let transport = flow.transport.via_token().to_ascii_lowercase();
    let mut text = format!("{transport}/{}/{}", flow.local, flow.remote);
    if let Some(Outbound { instance, reg_id }) = outbound {
        text.push_str(&format!("/{reg_id}/{instance}"));
    }
    text
}

/// What such a text says.
pub(crate) fn parse_flow(text: &str) -> Option<(Flow, Option<Outbound>)> {
    let mut parts = text.splitn(5, '/');
    let transport = match parts.next()? {
        "udp" => Transport::Udp,
        "tcp" => Transport::Tcp,
        "tls" => Transport::Tls,
        "ws" => Transport::Ws,
        "wss" => Transport::Wss,
        _ => return None,
    };
    let local = SocketAddr::from_str(parts.next()?).ok()?;
    let remote = SocketAddr::from_str(parts.next()?).ok()?;
    let outbound = match (parts.next(), parts.next()) {
        (Some(number), Some(instance)) => {
            Some(Outbound { instance: instance.to_owned(), reg_id: number.parse().ok()? })
        }
        _ => None,
    };
    Some((Flow::new(transport, local, remote), outbound))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flow_survives_the_store() {
        for text in [
            "udp/192.0.2.1:5060/198.51.100.7:40000",
            "tcp/[2001:db8::1]:5060/[::1]:9",
            "tls/192.0.2.1:5061/198.51.100.7:40000/2/<urn:x/y:1>",
        ] {
            let (flow, outbound) = parse_flow(text).expect("a flow");
            assert_eq!(flow_text(&flow, outbound.as_ref()), text);
        }
        assert!(parse_flow("udp/nonsense").is_none());
    }

    #[test]
    fn the_same_user_of_two_domains_is_two_accounts() {
        // SER-M7
        assert_ne!(Aor::new("alice", "a.example"), Aor::new("alice", "b.example"));
        assert_eq!(Aor::new("alice", "A.Example"), Aor::new("alice", "a.example"));
    }
}
