//! When two URIs are equivalent.

use super::escape;
use super::{SipUri, TelUri, Uri};
use crate::params::Params;

/// RFC 3261 §19.1.4 for sip and sips, RFC 3966 §4 for tel; other schemes by their text.
pub(super) fn equivalent(a: &Uri, b: &Uri) -> bool {
    match (a, b) {
        (Uri::Sip(a), Uri::Sip(b)) => sip(a, b),
        (Uri::Tel(a), Uri::Tel(b)) => tel(a, b),
        (Uri::Other(a), Uri::Other(b)) => a.scheme.eq_ignore_ascii_case(&b.scheme) && a.rest == b.rest,
        _ => false,
    }
}

fn sip(a: &SipUri, b: &SipUri) -> bool {
    a.secure == b.secure
        && same(a.user.as_deref(), b.user.as_deref(), false)
        && same(a.password.as_deref(), b.password.as_deref(), false)
        && a.host.is_same(&b.host)
        && a.port == b.port
        && same_params(&a.params, &b.params)
        && same_headers(a, b)
}

/// Compares component by component: an escape equals its character unless that one is reserved.
fn same(a: Option<&str>, b: Option<&str>, any_case: bool) -> bool {
    let (Some(a), Some(b)) = (a, b) else { return a.is_none() && b.is_none() };
    let fold = |(byte, escaped): (u8, bool)| {
        let reserved =
            matches!(byte, b';' | b'/' | b'?' | b':' | b'@' | b'&' | b'=' | b'+' | b'$' | b',' | b'%');
        (if any_case { byte.to_ascii_lowercase() } else { byte }, escaped && reserved)
    };
    escape::bytes(a).map(fold).eq(escape::bytes(b).map(fold))
}

/// Parameters that stand in only one URI are passed over, except these.
const NEVER_PASSED_OVER: [&str; 5] = ["user", "ttl", "method", "maddr", "transport"];

/// More parameters than any peer needs: each is looked for among all others, so beyond it the text decides.
const MAX_PARAMS: usize = 32;

fn same_params(a: &Params, b: &Params) -> bool {
    // A parameter may stand once only; one that stands twice has to be met with either value.
    let one_way = |a: &Params, b: &Params| {
        a.iter().all(|(name, value)| {
            let mut others = b.iter().filter(|(other, _)| same(Some(name), Some(other), true)).peekable();
            match others.peek() {
                Some(_) => others.any(|(_, other)| same(value, other, true)),
                None => !NEVER_PASSED_OVER.iter().any(|n| n.eq_ignore_ascii_case(name)),
            }
        })
    };
    if a.iter().count().max(b.iter().count()) > MAX_PARAMS {
        return a == b;
    }
    one_way(a, b) && one_way(b, a)
}

fn same_headers(a: &SipUri, b: &SipUri) -> bool {
    let list = |uri: &SipUri| {
        let mut all: Vec<_> = uri.headers().map(|(n, v)| (n.to_ascii_lowercase(), v.into_owned())).collect();
        all.sort();
        all
    };
    match (&a.headers, &b.headers) {
        (None, None) => true,
        (Some(_), Some(_)) => list(a) == list(b),
        _ => false,
    }
}

fn tel(a: &TelUri, b: &TelUri) -> bool {
    if !a.digits().eq_ignore_ascii_case(&b.digits()) {
        return false;
    }
    let list = |params: &Params| {
        let mut all: Vec<_> = params
            .iter()
            .map(|(n, v)| (n.to_ascii_lowercase(), v.unwrap_or_default().to_ascii_lowercase()))
            .collect();
        all.sort();
        all
    };
    list(&a.params) == list(&b.params)
}
