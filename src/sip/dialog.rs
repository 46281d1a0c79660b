//! A dialog (RFC 3261 section 12): who the two ends are, how their requests are numbered, and which way they go.

use std::{fmt::Write, net::SocketAddr};

use crate::{
    Headers, Host, Method, Request, Text, Uri,
    flow::{Flow, Transport},
    header::{NameAddr, RecordRoute},
};

/// The most Route entries that are kept; a longer set is a mistake or an attack.
const MAX_ROUTES: usize = 32;

/// One end's view of a dialog.
#[derive(Debug, Clone)]
pub(crate) struct Dialog {
    /// The Call-ID.
    pub(crate) call_id: Text,
    /// Theirs; empty for a peer of RFC 2543.
    pub(crate) remote_tag: Text,
    /// Our From, with tag, as it is printed.
    pub(crate) local: Text,
    /// Their To, with tag, as it is printed.
    pub(crate) remote: Text,
    /// The number of our last request.
    pub(crate) local_seq: u32,
    /// The number of their last request.
    pub(crate) remote_seq: Option<u32>,
    /// Their Contact.
    pub(crate) target: Uri,
    /// The proxies between, nearest first.
    pub(crate) route: Vec<NameAddr>,
    /// Which way our requests go.
    pub(crate) flow: Flow,
    /// Their source address is not what they think it is; their Contact cannot be relied on.
    pub(crate) nat: bool,
}

impl Dialog {
    /// The dialog that an INVITE opens at the side that received it.
    pub(crate) fn as_server(request: &Request, local_tag: &str, flow: &Flow, nat: bool) -> Option<Self> {
        let headers = &request.headers;
        let from = headers.from().ok()?;
        let mut to = headers.to().ok()?.into_owned();
        to.params.set("tag", Some(local_tag));
        let target = contact(headers).unwrap_or_else(|| from.uri.clone());
        let mut dialog = Self {
            call_id: headers.call_id().ok()?.0.detached(),
            remote_tag: Text::from(from.tag().unwrap_or_default()),
            local: Text::from(to.to_string()),
            remote: Text::from(from.to_string()),
            local_seq: 0,
            remote_seq: Some(headers.cseq().ok()?.number),
            target,
            route: routes(headers),
            flow: flow.clone(),
            nat,
        };
        dialog.find_next_hop();
        Some(dialog)
    }

    /// The dialog that a response with a To tag opens at the side that sent the INVITE.
    pub(crate) fn as_client(response: &Headers, flow: &Flow) -> Option<Self> {
        let (from, to) = (response.from().ok()?, response.to().ok()?);
        let mut route = routes(response);
        route.reverse();
        let mut dialog = Self {
            call_id: response.call_id().ok()?.0.detached(),
            remote_tag: Text::from(to.tag().unwrap_or_default()),
            local: Text::from(from.to_string()),
            remote: Text::from(to.to_string()),
            local_seq: response.cseq().ok()?.number,
            remote_seq: None,
            target: contact(response).unwrap_or_else(|| to.uri.clone()),
            route,
            flow: flow.clone(),
            // A phone that only its registration's flow leads to: what it says of itself leads nowhere.
            nat: flow.transport == Transport::Udp && flow.reconnect.is_none(),
        };
        dialog.find_next_hop();
        Some(dialog)
    }

    /// The number for our next request.
    pub(crate) fn next_seq(&mut self) -> u32 {
        self.local_seq += 1;
        self.local_seq
    }

    /// A request in this dialog, without Via (RFC 3261 section 12.2.1.1).
    pub(crate) fn request(&self, method: Method, seq: u32) -> Request {
        let mut headers = Headers::new();
        let mut uri = self.target.clone();
        match self.route.split_first() {
            // A strict router wants to be the target itself.
            Some((first, rest)) if !first.uri.has_param("lr") => {
                uri = first.uri.clone();
                for hop in rest {
                    headers.push(crate::HeaderName::Route, Text::from(hop.to_string()));
                }
                headers.push(crate::HeaderName::Route, Text::from(format!("<{}>", self.target)));
            }
            _ => {
                for hop in &self.route {
                    headers.push(crate::HeaderName::Route, Text::from(hop.to_string()));
                }
            }
        }
        headers.push(crate::HeaderName::MaxForwards, Text::from_static("70"));
        headers.push(crate::HeaderName::From, self.local.clone());
        headers.push(crate::HeaderName::To, self.remote.clone());
        headers.push(crate::HeaderName::CallId, self.call_id.clone());
        let mut cseq = String::with_capacity(20);
        let _ = write!(cseq, "{seq} {method}");
        headers.push(crate::HeaderName::CSeq, Text::from(cseq));
        let mut request = Request::new(method, uri);
        request.headers = headers;
        request
    }

    /// Takes their Contact from a request or response that refreshes the target (RFC 3261 section 12.2).
    pub(crate) fn refresh_target(&mut self, headers: &Headers) {
        if let Some(target) = contact(headers) {
            self.target = target;
            self.find_next_hop();
        }
    }

    /// Whether a request of theirs is in order (RFC 3261 section 12.2.2), and notes its number.
    pub(crate) fn accept_seq(&mut self, seq: u32) -> bool {
        let in_order = self.remote_seq.is_none_or(|last| seq > last);
        if in_order {
            self.remote_seq = Some(seq);
        }
        in_order
    }

    /// Their requests come by this flow now, and ours go back by it.
    pub(crate) fn come_by(&mut self, flow: &Flow) {
        let reconnect = self.flow.reconnect.filter(|_| flow.transport.is_reliable());
        self.flow = Flow { reconnect: flow.reconnect.or(reconnect), ..flow.clone() };
    }

    /// On datagrams, requests go to the next hop where that is an address the peer can be reached at; else, and
    /// on streams always, where the peer's message came from. A stream that is closed by then is opened anew to
    /// the next hop.
    fn find_next_hop(&mut self) {
        let transport = self.flow.transport;
        if self.nat || matches!(transport, Transport::Ws | Transport::Wss) {
            return;
        }
        let uri = self.route.first().map_or(&self.target, |hop| &hop.uri);
        let named = uri.param("transport");
        let is_same = match (transport, named) {
            (Transport::Tls, None) => matches!(uri, Uri::Sip(sip) if sip.secure),
            (Transport::Udp, None) => true,
            (_, named) => named.is_some_and(|named| named.eq_ignore_ascii_case(transport.via_token())),
        };
        if !is_same {
            return;
        }
        let Some(ip) = uri.host().and_then(Host::ip) else { return };
        let here = self.flow.remote.ip();
        if ip.is_unspecified() || ip.is_ipv4() != here.is_ipv4() || is_private(ip) != is_private(here) {
            return;
        }
        let next = SocketAddr::new(ip, uri.port().unwrap_or(transport.default_port()));
        if transport == Transport::Udp {
            self.flow.remote = next;
        }
        self.flow.reconnect = Some(next);
    }
}

fn is_private(ip: std::net::IpAddr) -> bool {
    match ip {
        std::net::IpAddr::V4(ip) => ip.is_private() || ip.is_loopback() || ip.is_link_local(),
        std::net::IpAddr::V6(ip) => ip.is_loopback() || ip.is_unique_local() || ip.is_unicast_link_local(),
    }
}

fn contact(headers: &Headers) -> Option<Uri> {
    headers.contact().ok()?.uri().cloned()
}

fn routes(headers: &Headers) -> Vec<NameAddr> {
    let list = headers.list::<RecordRoute>().unwrap_or_default();
    list.into_iter().take(MAX_ROUTES).map(|entry| entry.0).collect()
}
