//! `[[advertise]]`.

use super::{
    Cidr, Listen, PublicAddress,
    read::{Node, Section, Source, Tree},
};

/// What we call ourselves towards some peers, in Via, Contact and SDP.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advertise {
    /// The peers; none for all.
    pub network: Vec<Cidr>,
    /// The listener of `sip.listen` that they talk to; none for all.
    pub listen: Option<Listen>,
    /// The address.
    pub address: PublicAddress,
    /// The port; none for that of the listener.
    pub port: Option<u16>,
}

/// Reads every `[[advertise]]`; one with a fault is left out.
pub(super) fn read(node: Option<Node>, listeners: &[Listen], source: &mut Source) -> Vec<Advertise> {
    let Some(node) = node else { return Vec::new() };
    let Tree::Tables(items) = node.value else {
        source.fault(node.line, "advertise", "rules are written [[advertise]]");
        return Vec::new();
    };
    let read_one = |item: Node| {
        let Tree::Table(keys) = item.value else { return None };
        let mut section = Section::item("advertise", item.line, keys, source);
        let network = section.take::<Vec<Cidr>>("network").map_or_else(Vec::new, |given| given.value);
        let listen = section.take::<Listen>("listen").map(|given| {
            if !listeners.contains(&given.value) {
                section.fault_at(given.place, "listen", format!("\"{}\" is none of sip.listen", given.value));
            }
            given.value
        });
        let address = section.take::<PublicAddress>("address").map(|given| given.value);
        if address.is_none() {
            section.fault("address", "a rule needs an address, or \"auto\"");
        }
        let port = section.take::<u32>("port").and_then(|given| match u16::try_from(given.value) {
            Ok(port) if port > 0 => Some(port),
            _ => {
                section.fault_at(given.place, "port", format!("{} is no port", given.value));
                None
            }
        });
        section.finish();
        Some(Advertise { network, listen, address: address?, port })
    };
    items.into_iter().filter_map(read_one).collect()
}
