//! Which ways lead to a target: its flows (RFC 5626 section 5.3), else what its URI means (RFC 3263).

mod records;

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use hickory_resolver::{
    ResolverBuilder, TokioResolver,
    config::{ConnectionConfig, NameServerConfig, ResolverConfig},
    net::{NetError, runtime::TokioRuntimeProvider},
};
use sems_sip::{Flow, Transport, Uri};

use self::records::{Service, in_order};
use crate::{config, location::Target, shared::Shared};

/// Addresses of one server that are tried; what more DNS says is not asked for.
const MAX_PLACES: usize = 12;
/// Addresses that are remembered to have failed; beyond it all are forgotten.
const MAX_AVOIDED: usize = 4096;
/// Answers of DNS that are kept, each for as long as it says.
const CACHE: u64 = 4096;

/// The ways to a target, the best first: the flows its phone registered by as far as they are open, else those that
/// its next hop's URI means.
pub(crate) async fn ways(shared: &Shared, target: &Target) -> Vec<Flow> {
    let mut ways = Vec::new();
    for flow in target.flow.iter().chain(&target.more) {
        if shared.signalling.is_open(flow).await {
            ways.push(flow.clone());
        }
    }
    if !ways.is_empty() || target.flow_only {
        return ways;
    }
    let Some(uri) = target.next_hop() else { return ways };
    for place in shared.locator.locate(&uri).await {
        if let Some(flow) = shared.signalling.flow_to(place.transport, place.address).await {
            // What we open is told from what came from there by the name that the peer has to prove: its address, where
            // it is called by that.
            let tls = matches!(place.transport, Transport::Tls | Transport::Wss);
            let address = || tls.then(|| place.address.ip().to_string().into());
            ways.push(Flow { name: place.name.or_else(address), ..flow });
        }
    }
    if ways.is_empty() {
        tracing::warn!(%uri, "no way leads there");
    }
    ways
}

/// A browser is where its connection is, and nowhere else (RFC 7118 section 5).
fn is_socket(transport: &str) -> bool {
    transport.eq_ignore_ascii_case("ws") || transport.eq_ignore_ascii_case("wss")
}

/// Where a server listens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) transport: Transport,
    pub(crate) address: SocketAddr,
    /// The name that it has to prove, on TLS: that of the URI, whatever DNS makes of it (RFC 5922 section 4).
    pub(crate) name: Option<Arc<str>>,
}

/// A resolver of these DNS servers.
fn asking(servers: &[SocketAddr]) -> ResolverBuilder<TokioRuntimeProvider> {
    let servers = servers.iter().map(|server| {
        let (mut udp, mut tcp) = (ConnectionConfig::udp(), ConnectionConfig::tcp());
        (udp.port, tcp.port) = (server.port(), server.port());
        NameServerConfig::new(server.ip(), true, vec![udp, tcp])
    });
    let servers = ResolverConfig::from_parts(None, Vec::new(), servers.collect());
    TokioResolver::builder_with_config(servers, TokioRuntimeProvider::default())
}

/// Finds servers, and remembers which of them failed.
#[derive(Debug)]
pub(crate) struct Locator {
    resolver: TokioResolver,
    /// How long a place that failed is left for the last.
    avoid: Duration,
    avoided: Mutex<HashMap<(Transport, SocketAddr), Instant>>,
}

impl Locator {
    /// # Errors
    /// The resolver cannot be made of this.
    pub(crate) fn new(config: &config::Dns) -> Result<Self, NetError> {
        let mut builder = match TokioResolver::builder_tokio() {
            _ if !config.servers.is_empty() => asking(&config.servers),
            Ok(builder) => builder,
            // As resolv.conf(5) says. Only names are lost by it, and most servers call none.
            Err(error) => {
                tracing::warn!(%error, "the system's DNS servers are not known; asking one on this machine");
                asking(&[SocketAddr::from(([127, 0, 0, 1], 53))])
            }
        };
        let options = builder.options_mut();
        options.timeout = config.timeout;
        options.attempts = 2;
        options.cache_size = CACHE;
        Ok(Self { resolver: builder.build()?, avoid: config.avoid, avoided: Mutex::default() })
    }

    /// Where a URI's server listens, the best place first; those that failed lately come last.
    pub(crate) async fn locate(&self, uri: &Uri) -> Vec<Place> {
        let Uri::Sip(sip) = uri else { return Vec::new() };
        let asked = match uri.param("transport") {
            Some(name) if is_socket(name) => return Vec::new(),
            Some(name) if name.eq_ignore_ascii_case("udp") && !sip.secure => Some(Transport::Udp),
            Some(name) if name.eq_ignore_ascii_case("tls") => Some(Transport::Tls),
            Some(name) if name.eq_ignore_ascii_case("tcp") && !sip.secure => Some(Transport::Tcp),
            // RFC 3261 section 26.2.2: `transport=tcp` of a `sips` URI is TLS.
            Some(_) if sip.secure => Some(Transport::Tls),
            _ => None,
        };
        let usual = asked.unwrap_or(if sip.secure { Transport::Tls } else { Transport::Udp });
        if let Some(ip) = sip.host.ip() {
            let address = SocketAddr::new(ip, sip.port.unwrap_or(usual.default_port()));
            return vec![Place { transport: usual, address, name: None }];
        }
        let host = sip.host.to_string();
        // Reserved never to be there (RFC 6761), and put by browsers into their Contacts.
        if host.to_ascii_lowercase().trim_end_matches('.').ends_with(".invalid") {
            return Vec::new();
        }
        let found = match sip.port {
            Some(port) => self.hosts(usual, &host, port).await,
            None => self.services(&host, asked, sip.secure, usual).await,
        };
        let name: Arc<str> = Arc::from(host.trim_end_matches('.'));
        let named = |(transport, address)| {
            let name = (transport == Transport::Tls).then(|| name.clone());
            Place { transport, address, name }
        };
        let (good, bad): (Vec<_>, Vec<_>) = found
            .into_iter()
            .take(MAX_PLACES)
            .partition(|(transport, address)| !self.is_avoided(*transport, *address));
        good.into_iter().chain(bad).map(named).collect()
    }

    /// By NAPTR, SRV or plain addresses (RFC 3263 sections 4.1 and 4.2).
    async fn services(
        &self,
        host: &str,
        asked: Option<Transport>,
        secure: bool,
        usual: Transport,
    ) -> Vec<(Transport, SocketAddr)> {
        let mut services = match asked {
            Some(_) => Vec::new(),
            None => records::naptr(&self.resolver, host, secure).await,
        };
        if services.is_empty() {
            let all = if secure { &[Transport::Tls][..] } else { &[Transport::Udp, Transport::Tcp] };
            let all = asked.as_ref().map_or(all, std::slice::from_ref);
            services = all.iter().map(|transport| Service::usual(*transport, host)).collect();
        }
        let mut places = Vec::new();
        let mut has_records = false;
        for Service { transport, name } in services {
            let Some(records) = records::srv(&self.resolver, &name).await else { continue };
            has_records = true;
            for target in in_order(records, rand::random::<u32>) {
                if places.len() >= MAX_PLACES {
                    return places;
                }
                places.extend(self.hosts(transport, &target.host, target.port).await);
            }
        }
        // With SRV records, they are all there is (RFC 3263 section 4.2).
        if !has_records {
            places = self.hosts(usual, host, usual.default_port()).await;
        }
        places
    }

    /// The addresses of a host, those of IPv4 first: more of SIP is there.
    async fn hosts(&self, transport: Transport, host: &str, port: u16) -> Vec<(Transport, SocketAddr)> {
        match self.resolver.lookup_ip(host).await {
            Ok(found) => {
                let mut ips: Vec<_> = found.iter().collect();
                ips.sort_by_key(std::net::IpAddr::is_ipv6);
                ips.into_iter().map(|ip| (transport, SocketAddr::new(ip, port))).collect()
            }
            Err(error) => {
                tracing::warn!(host, %error, "no address was found");
                Vec::new()
            }
        }
    }

    /// A way failed: for some time it is tried last.
    pub(crate) fn avoid(&self, way: &Flow) {
        let mut avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        if avoided.len() >= MAX_AVOIDED {
            avoided.clear();
        }
        avoided.insert((way.transport, way.remote), Instant::now() + self.avoid);
    }

    /// A way works after all.
    pub(crate) fn praise(&self, way: &Flow) {
        let mut avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        avoided.remove(&(way.transport, way.remote));
    }

    fn is_avoided(&self, transport: Transport, address: SocketAddr) -> bool {
        let avoided = self.avoided.lock().unwrap_or_else(PoisonError::into_inner);
        avoided.get(&(transport, address)).is_some_and(|until| *until > Instant::now())
    }
}
