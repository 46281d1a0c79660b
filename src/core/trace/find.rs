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

/// Without what would let whoever may see calls try passwords at leisure, or enter a mailbox: answers to challenges,
/// digits, keys of media.
fn masked(text: &str) -> String {
    let (head, body) = text.split_once("\r\n\r\n").or_else(|| text.split_once("\n\n")).unwrap_or((text, ""));
    let mut shown = String::with_capacity(text.len());
    let mut digits = false;
    for line in head.replace("\r\n", "\n").replace("\n ", " ").replace("\n\t", " ").lines() {
        let (name, value) = line.split_once(':').unwrap_or((line, ""));
        let is = |known: &str| name.trim().eq_ignore_ascii_case(known);
        digits |= (is("content-type") || is("c")) && value.to_ascii_lowercase().contains("dtmf");
        if is("authorization") || is("proxy-authorization") {
            shown.push_str(name);
            shown.push(':');
            shown.push_str(&credentials(value));
        } else {
            shown.push_str(line);
        }
        shown.push_str("\r\n");
    }
    shown.push_str("\r\n");
    if digits && !body.is_empty() {
        shown.push_str("(hidden)");
        return shown;
    }
    for line in body.split_inclusive('\n') {
        match line.find("inline:").filter(|_| line.starts_with("a=crypto")) {
            Some(at) => {
                shown.push_str(&line[..at]);
                shown.push_str("inline:(hidden)\r\n");
            }
            None => shown.push_str(line),
        }
    }
    shown
}

/// Of digest all but the answer; of anything else, nothing.
fn credentials(value: &str) -> String {
    let digest = value.trim_start().get(..6).is_some_and(|scheme| scheme.eq_ignore_ascii_case("digest"));
    if !digest {
        return " (hidden)".to_owned();
    }
    let parameter = |text: &str| {
        let name = text.split('=').next().unwrap_or_default();
        // The first parameter stands behind the scheme.
        match name.split_whitespace().last() {
            Some(last) if last.eq_ignore_ascii_case("response") => {
                format!("{}=\"(hidden)\"", name.trim_end())
            }
            _ => text.to_owned(),
        }
    };
    value.split(',').map(parameter).collect::<Vec<_>>().join(",")
}
