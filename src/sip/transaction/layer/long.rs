//! Requests that are too long for a datagram (RFC 3261 section 18.1.1).

use std::{net::SocketAddr, time::Instant};

use bytes::Bytes;

use super::{super::ClientMachine, Key, Layer, clients::ClientKey};
use crate::{
    HeaderName, Request, Text,
    flow::{Flow, Transport},
};

/// The longest request that goes in a datagram where the path is not known, in bytes.
const LONGEST: usize = 1300;
/// Peers that are remembered to refuse TCP; beyond it all are tried again.
const REMEMBERED: usize = 4096;

/// The same request as a datagram, for a peer that refuses TCP.
#[derive(Debug)]
pub(super) struct Datagram {
    pub(super) flow: Flow,
    bytes: Bytes,
    via: Text,
}

impl Layer {
    /// The flow and the bytes by which a request goes: by TCP, with the datagram kept for later, where it is long and
    /// its peer listens where the datagram would go.
    pub(super) fn fit(
        &self,
        flow: &Flow,
        key: ClientKey,
        request: &mut Request,
    ) -> (Flow, Bytes, Option<Datagram>) {
        let bytes = request.to_bytes();
        let Some(stream) = self.stream_instead(flow, bytes.len()) else { return (flow.clone(), bytes, None) };
        let via = request.headers.text(&HeaderName::Via).map(Text::from).unwrap_or_default();
        self.set_via(&stream, request, key.branch());
        let datagram = Datagram { flow: flow.clone(), bytes, via };
        (stream, request.to_bytes(), Some(datagram))
    }

    fn stream_instead(&self, flow: &Flow, length: usize) -> Option<Flow> {
        // Nobody says that a phone behind a NAT listens where its datagrams come from.
        let listens = flow.transport == Transport::Udp && flow.reconnect == Some(flow.remote);
        if length <= LONGEST || !listens || self.datagrams_only.contains(&flow.remote) {
            return None;
        }
        let ours = self.listeners.iter().find(|ours| {
            ours.is_ipv4() == flow.local.is_ipv4()
                && (ours.ip().is_unspecified() || ours.ip() == flow.local.ip())
        })?;
        let local = SocketAddr::new(flow.local.ip(), ours.port());
        Some(Flow::to_listener(Transport::Tcp, local, flow.remote))
    }

    /// Sends as a datagram after all what nobody took by TCP. Whether there was one.
    pub(super) fn fall_back(&mut self, now: Instant, key: ClientKey) -> bool {
        let Some(transaction) = self.clients.get_mut(&key) else { return false };
        if !transaction.is_unheard() {
            return false;
        }
        let Some(datagram) = transaction.datagram.take() else { return false };
        let Datagram { flow, bytes, via } = *datagram;
        let stream = std::mem::replace(&mut transaction.flow, flow.clone());
        transaction.bytes = bytes.clone();
        if let Some(request) = &mut transaction.request {
            request.headers.remove(&HeaderName::Via);
            request.headers.prepend(HeaderName::Via, via);
        }
        transaction.timers.clear_all();
        let is_invite = matches!(transaction.machine, ClientMachine::Invite(_));
        let timing = self.timing(&flow);
        if let Some(transaction) = self.clients.get_mut(&key) {
            transaction.machine = ClientMachine::begin(is_invite, now, timing, &mut transaction.timers);
            self.deadlines.note(Key::Client(key), &mut transaction.timers);
        }
        self.waiting.remove(&(stream, key));
        self.waiting.insert((flow.clone(), key));
        if self.datagrams_only.len() >= REMEMBERED {
            self.datagrams_only.clear();
        }
        self.datagrams_only.insert(flow.remote);
        self.transmit(&flow, bytes);
        true
    }
}
