//! The SIP messages of the last while, kept so that one call's can be shown when somebody asks why it failed.
//!
//! Messages are kept as they came and went, without a copy, in a ring of bounded size; nothing is parsed until
//! somebody asks. A call is found by its name in logs and CDRs or by a Call-ID. Legs that a call begins have Call-IDs
//! that begin with its name ([`Trace::leg_id`]).

mod find;

use std::{collections::VecDeque, net::SocketAddr, time::SystemTime};

use bytes::Bytes;
use sems_app::CallId;
use sems_sip::{Flow, Transport};

pub(crate) use find::find;

/// What an entry costs beside its bytes, about.
const OVERHEAD: usize = 128;

/// A message that came or went.
#[derive(Debug, Clone)]
pub(crate) struct Message {
    at: SystemTime,
    sent: bool,
    transport: Transport,
    local: SocketAddr,
    remote: SocketAddr,
    bytes: Bytes,
}

#[derive(Debug, Clone)]
pub(crate) enum Entry {
    Message(Message),
    /// The call of this name came with this Call-ID.
    Call {
        id: CallId,
        call_id: String,
    },
}

impl Entry {
    fn size(&self) -> usize {
        OVERHEAD
            + match self {
                Self::Message(message) => message.bytes.len(),
                Self::Call { call_id, .. } => call_id.len(),
            }
    }
}

/// The ring; owned by the signalling task.
#[derive(Debug)]
pub(crate) struct Trace {
    entries: VecDeque<Entry>,
    size: usize,
    most: usize,
}

impl Trace {
    /// Keeps about `most` bytes; 0 keeps nothing.
    pub(crate) fn new(most: usize) -> Self {
        Self { entries: VecDeque::new(), size: 0, most }
    }

    /// A message came, or was sent.
    pub(crate) fn message(&mut self, flow: &Flow, sent: bool, bytes: &Bytes) {
        if self.most > 0 {
            self.push(Entry::Message(Message {
                at: SystemTime::now(),
                sent,
                transport: flow.transport,
                local: flow.local,
                remote: flow.remote,
                bytes: match flow.transport {
                    Transport::Udp => bytes.clone(),
                    // A slice of what was read from the stream: all of that would be kept.
                    _ => Bytes::copy_from_slice(bytes),
                },
            }));
        }
    }

    /// A call came in.
    pub(crate) fn call(&mut self, id: &CallId, call_id: &str) {
        if self.most > 0 {
            self.push(Entry::Call { id: id.clone(), call_id: call_id.to_owned() });
        }
    }

    fn push(&mut self, entry: Entry) {
        self.size += entry.size();
        self.entries.push_back(entry);
        while self.size > self.most
            && let Some(oldest) = self.entries.pop_front()
        {
            self.size -= oldest.size();
        }
    }

    /// All that is kept, the oldest first: cheap, as the bytes are shared.
    pub(crate) fn entries(&self) -> Vec<Entry> {
        self.entries.iter().cloned().collect()
    }

    /// A Call-ID for a leg that the call begins.
    pub(crate) fn leg_id(call: &CallId) -> String {
        format!("{call}.{:08x}", rand::random::<u32>())
    }
}

#[cfg(test)]
mod tests;
