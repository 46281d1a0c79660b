//! What every call's task needs, and nobody changes while the server runs.

use std::{collections::HashMap, net::IpAddr, sync::Arc, time::Duration};

use sems_app::DynApplication;
use sems_media::{Capabilities, CodecKind, LocalMedia};
use sems_store::Store;

use crate::{
    call::Calls,
    counters::Counters,
    locate::Locator,
    location::Location,
    media::Engine,
    signalling::Signalling,
    sources::Bans,
    transport::{Advertise, Room},
};

/// The length of our packets, unless the peer asks for another.
const PTIME: u8 = 20;

/// Shared by all calls.
pub(crate) struct Shared {
    pub(crate) engine: Engine,
    pub(crate) signalling: Signalling,
    pub(crate) store: Store,
    pub(crate) location: Arc<Location>,
    pub(crate) applications: HashMap<String, Arc<dyn DynApplication>>,
    pub(crate) calls: Calls,
    pub(crate) counters: Arc<Counters>,
    pub(crate) connections: Arc<Room>,
    pub(crate) locator: Locator,
    pub(crate) bans: Arc<Bans>,
    pub(crate) codecs: Vec<CodecKind>,
    pub(crate) advertise: Advertise,
    pub(crate) ring_timeout: Duration,
    /// Silence of one address after which the next one of the same server is tried.
    pub(crate) failover_after: Duration,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Shared")
    }
}

impl Shared {
    /// What SDP says of a media port that others know at `address`.
    pub(crate) fn local_media(&self, address: IpAddr, port: u16) -> LocalMedia {
        LocalMedia {
            address,
            port,
            rtcp_mux: false,
            // RFC 8866 section 5.2 wants a number that is unique; some phones read it as 32 bits, signed.
            session_id: u64::from(rand::random::<u32>() >> 1),
            version: 1,
            capabilities: Capabilities { codecs: self.codecs.clone(), dtmf: true, ptime: PTIME },
        }
    }
}
