//! Which ways lead to a target (RFC 3263, RFC 5626 section 5.3).

use std::{net::SocketAddr, sync::Arc};

use sems_sip::{Flow, Transport, Uri};

use crate::{location::Target, shared::Shared};

/// The ways to a target, the best first: the flow its phone registered by while that is open, else those that its
/// next hop's URI means.
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
            ways.push(Flow { name: place.name, ..flow });
        }
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
    /// The name that it has to prove, on TLS.
    pub(crate) name: Option<Arc<str>>,
}

/// Finds servers.
#[derive(Debug)]
pub(crate) struct Locator;

impl Locator {
    /// Where a URI's server listens, the best place first.
    pub(crate) async fn locate(&self, uri: &Uri) -> Vec<Place> {
        let Uri::Sip(sip) = uri else { return Vec::new() };
        let transport = match uri.param("transport") {
            _ if sip.secure => Transport::Tls,
            Some(name) if name.eq_ignore_ascii_case("tls") => Transport::Tls,
            Some(name) if name.eq_ignore_ascii_case("tcp") => Transport::Tcp,
            Some(name) if is_socket(name) => return Vec::new(),
            _ => Transport::Udp,
        };
        let port = sip.port.unwrap_or(transport.default_port());
        let found = match sip.host.ip() {
            Some(ip) => vec![SocketAddr::new(ip, port)],
            None => match tokio::net::lookup_host((sip.host.to_string(), port)).await {
                Ok(found) => found.collect(),
                Err(error) => {
                    tracing::warn!(%uri, %error, "a server cannot be found");
                    Vec::new()
                }
            },
        };
        let name =
            (transport == Transport::Tls && sip.host.ip().is_none()).then(|| Arc::from(sip.host.to_string()));
        found.into_iter().map(|address| Place { transport, address, name: name.clone() }).collect()
    }

    /// A way failed.
    pub(crate) fn avoid(&self, way: &Flow) {
        tracing::debug!(%way, "a way failed");
    }
}
