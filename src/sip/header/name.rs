//! Names of header fields.

use std::fmt;
use std::hash::{Hash, Hasher};

use crate::text::Text;

macro_rules! names {
    ($($variant:ident $long:literal $($short:literal)?,)*) => {
        /// The name of a header field; names compare without case and compact forms are the same name.
        #[derive(Clone, Debug)]
        #[allow(missing_docs)]
        pub enum HeaderName {
            $($variant,)*
            /// Any other name, as it was written.
            Other(Text),
        }

        /// The places of the known names in `NAMES`.
        #[derive(Clone, Copy)]
        enum Number {
            $($variant,)*
        }

        /// The known names by their number.
        static NAMES: &[HeaderName] = &[$(HeaderName::$variant),*];

        /// Long and compact forms, and the numbers of their names.
        const KNOWN: &[(&str, u8)] = &[
            $(($long, Number::$variant as u8), $(($short, Number::$variant as u8),)?)*
        ];

        impl HeaderName {
            /// A small number for each known name; one for all others together.
            pub(crate) const fn number(&self) -> u8 {
                match self { $(Self::$variant => Number::$variant as u8,)* Self::Other(_) => Self::OTHER }
            }

            /// The long form of the name, as it is printed.
            pub fn as_str(&self) -> &str {
                match self { $(Self::$variant => $long,)* Self::Other(name) => name }
            }
        }
    };
}

names! {
    Accept "Accept",
    AcceptContact "Accept-Contact" "a",
    AcceptEncoding "Accept-Encoding",
    AcceptLanguage "Accept-Language",
    AlertInfo "Alert-Info",
    Allow "Allow",
    AllowEvents "Allow-Events" "u",
    AuthenticationInfo "Authentication-Info",
    Authorization "Authorization",
    CallId "Call-ID" "i",
    CallInfo "Call-Info",
    Contact "Contact" "m",
    ContentDisposition "Content-Disposition",
    ContentEncoding "Content-Encoding" "e",
    ContentLanguage "Content-Language",
    ContentLength "Content-Length" "l",
    ContentType "Content-Type" "c",
    CSeq "CSeq",
    Date "Date",
    Diversion "Diversion",
    ErrorInfo "Error-Info",
    Event "Event" "o",
    Expires "Expires",
    From "From" "f",
    HistoryInfo "History-Info",
    Identity "Identity" "y",
    InReplyTo "In-Reply-To",
    Join "Join",
    MaxForwards "Max-Forwards",
    MimeVersion "MIME-Version",
    MinExpires "Min-Expires",
    MinSe "Min-SE",
    Organization "Organization",
    PAssertedIdentity "P-Asserted-Identity",
    PPreferredIdentity "P-Preferred-Identity",
    Path "Path",
    Priority "Priority",
    Privacy "Privacy",
    ProxyAuthenticate "Proxy-Authenticate",
    ProxyAuthenticationInfo "Proxy-Authentication-Info",
    ProxyAuthorization "Proxy-Authorization",
    ProxyRequire "Proxy-Require",
    RAck "RAck",
    Reason "Reason",
    RecordRoute "Record-Route",
    ReferSub "Refer-Sub",
    ReferTo "Refer-To" "r",
    ReferredBy "Referred-By" "b",
    RejectContact "Reject-Contact" "j",
    RemotePartyId "Remote-Party-ID",
    Replaces "Replaces",
    ReplyTo "Reply-To",
    RequestDisposition "Request-Disposition" "d",
    Require "Require",
    RetryAfter "Retry-After",
    Route "Route",
    RSeq "RSeq",
    SecWebSocketProtocol "Sec-WebSocket-Protocol",
    Server "Server",
    ServiceRoute "Service-Route",
    SessionExpires "Session-Expires" "x",
    SipEtag "SIP-ETag",
    SipIfMatch "SIP-If-Match",
    Subject "Subject" "s",
    SubscriptionState "Subscription-State",
    Supported "Supported" "k",
    Timestamp "Timestamp",
    To "To" "t",
    Unsupported "Unsupported",
    UserAgent "User-Agent",
    Via "Via" "v",
    Warning "Warning",
    WwwAuthenticate "WWW-Authenticate",
}

const SLOTS: usize = 1024;
/// Open-addressing table from the hash of a name to its place in `KNOWN`, plus one; built by the compiler.
const TABLE: [u8; SLOTS] = build_table();

const fn hash_name(name: &[u8]) -> usize {
    let first = name[0] | 0x20;
    let last = name[name.len() - 1] | 0x20;
    let middle = name[name.len() / 2] | 0x20;
    (name.len() * 37 + first as usize * 5 + last as usize * 61 + middle as usize * 131) % SLOTS
}

const fn build_table() -> [u8; SLOTS] {
    let mut table = [0; SLOTS];
    let mut i = 0;
    while i < KNOWN.len() {
        let mut slot = hash_name(KNOWN[i].0.as_bytes());
        while table[slot] != 0 {
            slot = (slot + 1) % SLOTS;
        }
        table[slot] = i as u8 + 1;
        i += 1;
    }
    table
}

impl HeaderName {
    /// The number of all names that are not known.
    pub(crate) const OTHER: u8 = u8::MAX;

    /// The number of the known header of this name, in long or compact form.
    pub(crate) fn find(name: &[u8]) -> Option<u8> {
        if name.is_empty() {
            return None;
        }
        let mut slot = hash_name(name);
        while let Some(place) = TABLE.get(slot).and_then(|i| usize::from(*i).checked_sub(1)) {
            let (text, number) = KNOWN.get(place)?;
            // Nearly always it is written as it is printed.
            if text.as_bytes() == name || text.as_bytes().eq_ignore_ascii_case(name) {
                return Some(*number);
            }
            slot = (slot + 1) % SLOTS;
        }
        None
    }

    /// The known name of this number.
    pub(crate) fn numbered(number: u8) -> Option<&'static Self> {
        NAMES.get(usize::from(number))
    }

    /// The known header of this name, in long or compact form.
    pub fn known(name: &[u8]) -> Option<Self> {
        Self::find(name).and_then(Self::numbered).cloned()
    }

    /// The header of this name, known or not. The caller vouches that it is a token.
    pub fn new(name: &str) -> Self {
        Self::known(name.as_bytes()).unwrap_or_else(|| Self::Other(Text::from(name)))
    }
}

impl PartialEq for HeaderName {
    #[inline]
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Other(a), Self::Other(b)) => a.eq_ignore_ascii_case(b),
            (a, b) => a.number() == b.number(),
        }
    }
}

impl Eq for HeaderName {}

impl Hash for HeaderName {
    fn hash<H: Hasher>(&self, state: &mut H) {
        state.write_u8(self.number());
        if let Self::Other(name) = self {
            for b in name.bytes() {
                state.write_u8(b.to_ascii_lowercase());
            }
        }
    }
}

impl fmt::Display for HeaderName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_found_in_any_case_and_in_its_compact_form() {
        for (text, number) in KNOWN {
            let name = HeaderName::numbered(*number);
            assert_eq!(HeaderName::known(text.as_bytes()).as_ref(), name, "{text}");
            assert_eq!(HeaderName::known(text.to_uppercase().as_bytes()).as_ref(), name, "{text}");
        }
        assert_eq!(HeaderName::known(b"X-Foo"), None);
        assert_eq!(HeaderName::known(b""), None);
        assert_eq!(HeaderName::new("x-foo"), HeaderName::new("X-Foo"));
    }
}
