//! Looking for one call's messages.

use std::{net::SocketAddr, time::SystemTime};

use super::{Entry, Message};
use crate::snapshot::TracedMessage;

/// The messages of a call, by its name or by a Call-ID, in their order.
pub(crate) fn find(entries: &[Entry], name: &str) -> Vec<TracedMessage> {
    let mut wanted = vec![name];
    for entry in entries {
        if let Entry::Call { id, call_id } = entry
            && (&*id.0 == name || call_id == name)
        {
            wanted.push(call_id);
            wanted.push(&id.0);
        }
    }
    let is_wanted = |call_id: &str| {
        // A leg that the call began: its name, a full stop, and something random.
        let origin = call_id.split_once('.').map_or(call_id, |(origin, _)| origin);
        wanted.contains(&call_id) || wanted.contains(&origin)
    };
    let messages = entries.iter().filter_map(|entry| match entry {
        Entry::Message(message) => call_id(&message.bytes).filter(|id| is_wanted(id)).map(|_| message),
        Entry::Call { .. } => None,
    });
    messages.map(shown).collect()
}

/// The value of Call-ID, or of its compact form (RFC 3261 section 20.8). A head that is folded there has none.
fn call_id(bytes: &[u8]) -> Option<&str> {
    let mut lines = bytes.split(|byte| *byte == b'\n').take_while(|line| !line.trim_ascii().is_empty());
    lines.find_map(|line| {
        let colon = line.iter().position(|byte| *byte == b':')?;
        let (name, value) = (line[..colon].trim_ascii(), &line[colon + 1..]);
        let is_call_id = name.eq_ignore_ascii_case(b"call-id") || name.eq_ignore_ascii_case(b"i");
        is_call_id.then(|| std::str::from_utf8(value.trim_ascii()).ok())?
    })
}

fn shown(message: &Message) -> TracedMessage {
    let address = |address: SocketAddr| address.to_string();
    TracedMessage {
        at: message.at.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs_f64(),
        sent: message.sent,
        transport: message.transport.via_token().to_ascii_lowercase(),
        local: address(message.local),
        remote: address(message.remote),
        text: masked(&String::from_utf8_lossy(&message.bytes)),
    }
}

/// Without the answers to challenges: whoever may see calls need not be able to try passwords at leisure.
fn masked(text: &str) -> String {
    let mut shown = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let name = line.split(':').next().unwrap_or_default().trim();
        let secret =
            ["Authorization", "Proxy-Authorization"].iter().any(|secret| secret.eq_ignore_ascii_case(name));
        match line.find("response=\"").filter(|_| secret) {
            Some(at) => {
                let begin = at + "response=\"".len();
                let end = line[begin..].find('"').map_or(line.len(), |length| begin + length);
                shown.push_str(&line[..begin]);
                shown.push_str("(hidden)");
                shown.push_str(&line[end..]);
            }
            None => shown.push_str(line),
        }
    }
    shown
}
