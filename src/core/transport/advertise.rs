//! What we call ourselves towards whom (Via, Contact, SDP).

use std::net::{IpAddr, SocketAddr};

use sems_sip::{Flow, Transport};

use crate::config::{self, Listener, PublicAddress};

/// The rules of `[[advertise]]`, then `sip.public_address`.
#[derive(Debug, Clone)]
pub(crate) struct Advertise {
    rules: Vec<config::Advertise>,
    public: Option<IpAddr>,
}

impl Advertise {
    pub(crate) fn new(config: &config::Config) -> Self {
        let public = match config.sip.public_address {
            PublicAddress::Auto => None,
            PublicAddress::Fixed(address) => Some(address),
        };
        Self { rules: config.advertise.clone(), public }
    }

    /// Whether there is anything but our own addresses.
    pub(crate) fn is_empty(&self) -> bool {
        self.rules.is_empty() && self.public.is_none()
    }

    /// `host:port` for Via and Contact on a flow; none for our end of it as it is.
    pub(crate) fn sent_by(&self, flow: &Flow) -> Option<String> {
        let (address, port) = self.find(flow)?;
        Some(SocketAddr::new(address, port.unwrap_or(flow.local.port())).to_string())
    }

    /// The address for media of a call by this flow.
    pub(crate) fn media(&self, flow: &Flow) -> IpAddr {
        self.find(flow).map_or(flow.local.ip(), |(address, _)| address)
    }

    /// Whether an address is one of those that we call ourselves.
    pub(crate) fn names(&self, address: IpAddr) -> bool {
        let fixed = self.rules.iter().any(|rule| rule.address == PublicAddress::Fixed(address));
        fixed || self.public == Some(address)
    }

    fn find(&self, flow: &Flow) -> Option<(IpAddr, Option<u16>)> {
        let peer = flow.remote.ip();
        // An address of the other family is none that this peer can send to.
        let same_family = |address: IpAddr| address.is_ipv4() == peer.is_ipv4();
        for rule in self.rules.iter().filter(|rule| fits(rule, flow)) {
            match rule.address {
                PublicAddress::Auto => return None,
                PublicAddress::Fixed(address) if same_family(address) => return Some((address, rule.port)),
                PublicAddress::Fixed(_) => {}
            }
        }
        let public = self.public.filter(|public| same_family(*public) && !peer.is_loopback())?;
        Some((public, None))
    }
}

fn fits(rule: &config::Advertise, flow: &Flow) -> bool {
    let network = rule.network.is_empty() || rule.network.iter().any(|n| n.contains(flow.remote.ip()));
    network
        && rule.listen.is_none_or(|listen| {
            let transport = match listen.transport {
                Listener::Udp => Transport::Udp,
                Listener::Tcp => Transport::Tcp,
                Listener::Tls => Transport::Tls,
                Listener::Ws => Transport::Ws,
                Listener::Wss => Transport::Wss,
            };
            let (wanted, ours) = (listen.address, flow.local);
            transport == flow.transport
                && (wanted.port() == 0 || wanted.port() == ours.port())
                && (wanted.ip().is_unspecified() || wanted.ip() == ours.ip())
                && wanted.is_ipv4() == ours.is_ipv4()
        })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(transport: Transport, local: &str, remote: &str) -> Flow {
        Flow::new(transport, local.parse().expect("an address"), remote.parse().expect("an address"))
    }

    #[test]
    fn the_first_rule_that_fits_says_who_we_are() {
        let text = "[sip]\nlisten = [\"udp:0.0.0.0:5060\", \"tcp:0.0.0.0:5060\"]\n\
                    public_address = \"198.51.100.1\"\n\
                    [[advertise]]\nnetwork = [\"10.0.0.0/8\"]\naddress = \"auto\"\n\
                    [[advertise]]\nlisten = \"tcp:0.0.0.0:5060\"\naddress = \"198.51.100.2\"\nport = 5080\n";
        let config = config::Config::parse(None, text, [], &[]).expect("no fault");
        let advertise = Advertise::new(&config);
        for (transport, remote, sent_by) in [
            (Transport::Udp, "10.1.2.3:5060", None),
            (Transport::Tcp, "10.1.2.3:40000", None),
            (Transport::Tcp, "203.0.113.9:40000", Some("198.51.100.2:5080")),
            (Transport::Udp, "203.0.113.9:5060", Some("198.51.100.1:5060")),
            (Transport::Udp, "127.0.0.1:5060", None),
        ] {
            let flow = flow(transport, "192.0.2.5:5060", remote);
            assert_eq!(advertise.sent_by(&flow).as_deref(), sent_by, "{flow}");
        }
        let far = flow(Transport::Udp, "192.0.2.5:5060", "203.0.113.9:5060");
        assert_eq!(advertise.media(&far).to_string(), "198.51.100.1");
        let six = flow(Transport::Udp, "[2001:db8::5]:5060", "[2001:db8::9]:5060");
        assert_eq!(advertise.sent_by(&six), None);
        assert!(advertise.names("198.51.100.2".parse().expect("an address")));
    }
}
