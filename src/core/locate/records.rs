//! The records of RFC 3263: NAPTR and SRV.

use hickory_resolver::{
    TokioResolver,
    proto::rr::{Name, RData, RecordType},
};
use sems_sip::Transport;

/// SRV records of one name that are looked at.
const MAX_TARGETS: usize = 32;

/// A transport, and the name of its SRV records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Service {
    pub(super) transport: Transport,
    pub(super) name: String,
}

impl Service {
    /// Where a domain without NAPTR has them (RFC 3263 section 4.1).
    pub(super) fn usual(transport: Transport, host: &str) -> Self {
        let prefix = match transport {
            Transport::Tls => "_sips._tcp",
            Transport::Tcp => "_sip._tcp",
            _ => "_sip._udp",
        };
        Self { transport, name: format!("{prefix}.{host}") }
    }
}

/// One SRV record (RFC 2782).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Offer {
    pub(super) priority: u16,
    pub(super) weight: u16,
    pub(super) host: String,
    pub(super) port: u16,
}

/// A fully qualified name: nothing is looked up in the search list.
fn absolute(name: &str) -> Option<Name> {
    let mut name = Name::from_utf8(name).ok()?;
    name.set_fqdn(true);
    Some(name)
}

/// The services of a domain that we speak, the best first; none where it has no NAPTR records.
pub(super) async fn naptr(resolver: &TokioResolver, host: &str, secure: bool) -> Vec<Service> {
    let Some(name) = absolute(host) else { return Vec::new() };
    let Ok(found) = resolver.lookup(name, RecordType::NAPTR).await else { return Vec::new() };
    let mut services: Vec<(u16, u16, Service)> = found
        .answers()
        .iter()
        .filter_map(|record| {
            let RData::NAPTR(naptr) = &record.data else { return None };
            let transport = match naptr.services.to_ascii_uppercase().as_slice() {
                b"SIPS+D2T" => Transport::Tls,
                b"SIP+D2T" if !secure => Transport::Tcp,
                b"SIP+D2U" if !secure => Transport::Udp,
                _ => return None,
            };
            let is_srv = naptr.flags.eq_ignore_ascii_case(b"s");
            let name = naptr.replacement.to_ascii();
            is_srv.then_some((naptr.order, naptr.preference, Service { transport, name }))
        })
        .collect();
    services.sort_by_key(|(order, preference, _)| (*order, *preference));
    // RFC 3403 section 4.1: of the first order with something for us, and no later one.
    let first = services.first().map(|(order, ..)| *order);
    services
        .into_iter()
        .take_while(|(order, ..)| Some(*order) == first)
        .map(|(.., service)| service)
        .collect()
}

/// The SRV records of a name; none where there are none. A lone `.` says that the service is not to be had.
pub(super) async fn srv(resolver: &TokioResolver, name: &str) -> Option<Vec<Offer>> {
    let found = resolver.lookup(absolute(name)?, RecordType::SRV).await.ok()?;
    let records = found.answers().iter().filter_map(|record| match &record.data {
        RData::SRV(srv) => Some(srv),
        _ => None,
    });
    let offers: Vec<Offer> = records
        .take(MAX_TARGETS)
        .map(|srv| Offer {
            priority: srv.priority,
            weight: srv.weight,
            host: srv.target.to_ascii(),
            port: srv.port,
        })
        .collect();
    if offers.is_empty() {
        return None;
    }
    Some(offers.into_iter().filter(|offer| offer.host != ".").collect())
}

/// The order of RFC 2782: by priority, and within one by chance, heavier ones sooner.
pub(super) fn in_order(mut offers: Vec<Offer>, mut random: impl FnMut() -> u32) -> Vec<Offer> {
    offers.sort_by_key(|offer| (offer.priority, offer.weight));
    let mut ordered = Vec::with_capacity(offers.len());
    while let Some(first) = offers.first() {
        let priority = first.priority;
        let same = offers.iter().take_while(|offer| offer.priority == priority);
        let sum: u32 = same.clone().map(|offer| u32::from(offer.weight)).sum();
        let dice = random() % (sum + 1);
        let mut running = 0;
        let chosen = same.map(|offer| {
            running += u32::from(offer.weight);
            running
        });
        let at = chosen.collect::<Vec<u32>>().iter().position(|running| *running >= dice).unwrap_or(0);
        ordered.push(offers.remove(at));
    }
    ordered
}

#[cfg(test)]
mod tests {
    use super::*;

    fn offer(priority: u16, weight: u16, host: &str) -> Offer {
        Offer { priority, weight, host: host.to_owned(), port: 5060 }
    }

    #[test]
    fn priority_comes_first_and_weight_by_chance() {
        let offers = vec![offer(20, 0, "last"), offer(10, 60, "heavy"), offer(10, 20, "light")];
        let hosts = |dice: u32| {
            let ordered = in_order(offers.clone(), || dice);
            ordered.into_iter().map(|offer| offer.host).collect::<Vec<_>>()
        };
        assert_eq!(hosts(0), ["light", "heavy", "last"]);
        assert_eq!(hosts(20), ["light", "heavy", "last"]);
        assert_eq!(hosts(21), ["heavy", "light", "last"]);
        assert_eq!(hosts(80), ["heavy", "light", "last"]);
        let mut first = 0;
        for dice in 0..=80 {
            first += u32::from(hosts(dice)[0] == "heavy");
        }
        assert_eq!(first, 60);
    }

    #[test]
    fn names_without_naptr_are_the_usual_ones() {
        let name = |transport| Service::usual(transport, "example.org").name;
        assert_eq!(name(Transport::Udp), "_sip._udp.example.org");
        assert_eq!(name(Transport::Tcp), "_sip._tcp.example.org");
        assert_eq!(name(Transport::Tls), "_sips._tcp.example.org");
    }
}
