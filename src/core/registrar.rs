//! REGISTER (RFC 3261 section 10.3): who may, which contacts, for how long.

use std::time::{Duration, SystemTime};

use sems_sip::{
    Flow, HeaderName, Request, Text, Uri,
    endpoint::Reply,
    header::{Contact, Expires, Path, UserAgent},
};

use crate::{
    config,
    location::{Aor, Binding, Location, Outbound},
};

/// What one REGISTER asks for.
#[derive(Debug)]
enum Wish {
    /// Tell the contacts.
    Query,
    /// Forget all contacts (`*` with Expires 0).
    RemoveAll,
    /// Bind these, for so long each; zero removes.
    Bind(Vec<(Contact, Duration)>),
}

/// Carries out a REGISTER whose sender has proved to be the account.
pub(crate) fn register(
    settings: &config::Registrar,
    location: &Location,
    now: SystemTime,
    aor: &Aor,
    flow: &Flow,
    request: &Request,
) -> Reply {
    match wish(settings, request).and_then(|wish| apply(settings, location, now, aor, flow, request, wish)) {
        Ok(()) => listed(location, now, aor, request),
        Err(reply) => reply,
    }
}

fn wish(settings: &config::Registrar, request: &Request) -> Result<Wish, Reply> {
    let all_expires = request.headers.optional::<Expires>().map_err(|_| Reply::new(400))?;
    let all_expires = all_expires.map(|expires| Duration::from_secs(expires.0.into()));
    let contacts = request.headers.list::<Contact>().map_err(|_| Reply::new(400).reason("Bad Contact"))?;
    if contacts.contains(&Contact::All) {
        // RFC 3261 section 10.2.2: only so, and with no other contact.
        return match (all_expires, contacts.len()) {
            (Some(Duration::ZERO), 1) => Ok(Wish::RemoveAll),
            _ => Err(Reply::new(400).reason("Contact * without Expires 0")),
        };
    }
    if contacts.is_empty() {
        return Ok(Wish::Query);
    }
    let mut wanted = Vec::with_capacity(contacts.len());
    for contact in contacts {
        if !matches!(contact.uri(), Some(Uri::Sip(_))) {
            return Err(Reply::new(400).reason("Only SIP contacts can be registered"));
        }
        let own = contact.expires().map(|seconds| Duration::from_secs(seconds.into()));
        let asked = own.or(all_expires).unwrap_or(settings.max_expires);
        if !asked.is_zero() && asked < settings.min_expires {
            let least = settings.min_expires.as_secs().to_string();
            return Err(Reply::new(423).header(HeaderName::MinExpires, least));
        }
        wanted.push((contact, asked.min(settings.max_expires)));
    }
    Ok(Wish::Bind(wanted))
}

fn apply(
    settings: &config::Registrar,
    location: &Location,
    now: SystemTime,
    aor: &Aor,
    flow: &Flow,
    request: &Request,
    wish: Wish,
) -> Result<(), Reply> {
    let mut bindings = location.contacts(aor, now);
    let (mut saved, mut removed) = (Vec::new(), Vec::new());
    match wish {
        Wish::Query => return Ok(()),
        Wish::RemoveAll => {
            for old in &bindings {
                refuse_older(old, request)?;
            }
            removed = std::mem::take(&mut bindings);
        }
        Wish::Bind(wanted) => {
            for (contact, expires) in wanted {
                let Some(uri) = contact.uri() else { continue };
                let outbound = outbound(request, &contact);
                let is_same = |old: &Binding| match &outbound {
                    Some(_) => old.outbound == outbound,
                    None => old.contact.is_equivalent(uri),
                };
                let at = bindings.iter().position(is_same);
                let old = at.map(|at| bindings.swap_remove(at));
                if let Some(old) = &old {
                    refuse_older(old, request)?;
                }
                if expires.is_zero() {
                    removed.extend(old);
                    continue;
                }
                let mut binding = bound(request, flow, uri, contact.q(), now + expires)?;
                binding.outbound = outbound;
                // The store's key is the text; an equivalent contact may be written otherwise.
                removed.extend(old.filter(|old| old.contact.to_string() != binding.contact.to_string()));
                saved.push(binding.clone());
                bindings.push(binding);
            }
        }
    }
    if bindings.len() > settings.max_contacts {
        return Err(Reply::new(403).reason("Too many contacts"));
    }
    location.replace(aor, saved, removed, bindings);
    Ok(())
}

/// RFC 3261 section 10.3 step 7: a REGISTER that was overtaken by a later one of its Call-ID changes nothing.
fn refuse_older(old: &Binding, request: &Request) -> Result<(), Reply> {
    let bad = |_| Reply::new(400);
    let call_id = request.headers.call_id().map_err(bad)?;
    let cseq = request.headers.cseq().map_err(bad)?;
    if old.call_id == call_id.0.as_str() && cseq.number <= old.cseq {
        return Err(Reply::new(500).reason("CSeq is not higher than before"));
    }
    Ok(())
}

fn bound(request: &Request, flow: &Flow, uri: &Uri, q: u16, expires: SystemTime) -> Result<Binding, Reply> {
    let bad = |_| Reply::new(400);
    let path = request.headers.list::<Path>().map_err(bad)?;
    let agent = request.headers.optional::<UserAgent>().map_err(bad)?;
    // A copy: what is kept for an hour must not keep the datagram with it.
    let uri = Uri::parse(&Text::from(uri.to_string())).map_err(|_| Reply::new(400))?;
    Ok(Binding {
        contact: uri,
        flow: flow.clone(),
        path: path.iter().map(ToString::to_string).collect(),
        call_id: request.headers.call_id().map_err(bad)?.0.to_string(),
        cseq: request.headers.cseq().map_err(bad)?.number,
        user_agent: agent.map(|agent| agent.to_string()).unwrap_or_default(),
        q: f32::from(q) / 1000.0,
        expires,
        outbound: None,
    })
}

/// What a contact says of its phone's flows, where the phone speaks RFC 5626 and registers directly (section 6): by a
/// proxy it would have to come on with `ob` in its Path.
fn outbound(request: &Request, contact: &Contact) -> Option<Outbound> {
    let params = &contact.address()?.params;
    let instance = params.get("+sip.instance")?.trim_matches('"').to_owned();
    let reg_id: u32 = params.get("reg-id")?.parse().ok().filter(|number| *number > 0)?;
    let direct = request.headers.all(&HeaderName::Via).count() == 1;
    let edge = || {
        let path = request.headers.list::<Path>().unwrap_or_default();
        path.last().is_some_and(|last| last.0.uri.has_param("ob"))
    };
    (request.headers.supports("outbound") && (direct || edge())).then_some(Outbound { instance, reg_id })
}

/// 200 with all contacts of the address and what is left of each.
fn listed(location: &Location, now: SystemTime, aor: &Aor, request: &Request) -> Reply {
    let mut reply = Reply::new(200);
    let mut outbound = false;
    for binding in location.contacts(aor, now) {
        let left = binding.expires.duration_since(now).unwrap_or_default();
        // Rounded up, so that a fresh binding shows what was granted.
        let seconds = left.as_secs() + u64::from(left.subsec_nanos() > 0);
        let mut contact = format!("<{}>;expires={seconds}", binding.contact);
        if let Some(Outbound { instance, reg_id }) = &binding.outbound {
            contact.push_str(&format!(";+sip.instance=\"{instance}\";reg-id={reg_id}"));
            outbound = true;
        }
        reply = reply.header(HeaderName::Contact, contact);
    }
    for path in request.headers.all(&HeaderName::Path) {
        reply = reply.header(HeaderName::Path, String::from_utf8_lossy(path));
    }
    if outbound && request.headers.supports("outbound") {
        // RFC 5626 section 6: so the phone knows that its flows are kept apart.
        reply = reply.header(HeaderName::Require, "outbound");
    }
    reply
}

#[cfg(test)]
mod tests;
