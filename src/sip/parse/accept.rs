//! What a message must have, and whether it can be read: once, at the door. What everybody asks for is kept.

use super::{Fault, bad};
use crate::header::{
    ContentLength, ContentType, Date, Expires, Header, HeaderName, MaxForwards, RecordRoute, Route,
};
use crate::message::{Headers, Kept, Method, Span};

/// Checks a request.
pub(super) fn request(method: &Method, headers: &mut Headers) -> Result<Option<ContentLength>, Fault> {
    let (kept, length) = read(headers, true)?;
    if kept.cseq.as_ref().is_some_and(|cseq| cseq.method != *method) {
        return Err(bad("CSeq names another method"));
    }
    headers.set_kept(kept);
    Ok(length)
}

/// Checks a response.
pub(super) fn response(headers: &mut Headers) -> Result<Option<ContentLength>, Fault> {
    let (kept, length) = read(headers, false)?;
    headers.set_kept(kept);
    Ok(length)
}

type Read = (Box<Kept>, Option<ContentLength>);

/// Goes over the fields once. Every list of addresses has to be readable; how long it is is the peer's choice, so of
/// each only the first element is kept.
fn read(headers: &Headers, is_request: bool) -> Result<Read, Fault> {
    let mut kept = Box::new(Kept::default());
    let mut length = None;
    let mut seen = 0u128;
    for (number, span) in headers.spans() {
        let Some(name) = HeaderName::numbered(number) else { continue };
        // A field that may stand once may stand again with the same value.
        let again = seen & 1 << number != 0 && headers.get(name) == Some(headers.bytes_at(span));
        let first = seen & 1 << number == 0;
        seen |= 1 << number;
        let field = Value { headers, span, first, again };
        match name {
            HeaderName::Via => field.list(&mut kept.via, "Via malformed")?,
            HeaderName::From => field.single(&mut kept.from, "From malformed, or two differ")?,
            HeaderName::To => field.single(&mut kept.to, "To malformed, or two differ")?,
            HeaderName::CallId => field.single(&mut kept.call_id, "Call-ID malformed, or two differ")?,
            HeaderName::CSeq => field.single(&mut kept.cseq, "CSeq malformed, or two differ")?,
            HeaderName::Contact => field.list(&mut kept.contact, "Contact malformed")?,
            HeaderName::RecordRoute => field.each::<RecordRoute>("Record-Route malformed")?,
            HeaderName::ContentLength => {
                field.single(&mut length, "Content-Length is not a number, or two differ")?;
            }
            _ if is_request => field.of_request(name)?,
            _ => {}
        }
    }
    let missing = |there: bool, what| if there { Ok(()) } else { Err(bad(what)) };
    missing(kept.via.is_some(), "Via missing")?;
    missing(kept.from.is_some(), "From missing")?;
    missing(kept.to.is_some(), "To missing")?;
    missing(kept.call_id.is_some(), "Call-ID missing")?;
    missing(kept.cseq.is_some(), "CSeq missing")?;
    Ok((kept, length))
}

/// One field.
struct Value<'a> {
    headers: &'a Headers,
    span: Span,
    /// It is the first of its name.
    first: bool,
    /// It is not, but has the value of the first.
    again: bool,
}

impl Value<'_> {
    /// A field that may stand once.
    #[inline]
    fn single<T: Header>(&self, slot: &mut Option<T>, what: &'static str) -> Result<(), Fault> {
        match self.headers.read_at(self.span) {
            Ok(header) if self.first => *slot = Some(header),
            _ if self.again => {}
            _ => return Err(bad(what)),
        }
        Ok(())
    }

    /// A field of a list, the first element of which is kept.
    #[inline]
    fn list<T: Header>(&self, slot: &mut Option<T>, what: &'static str) -> Result<(), Fault> {
        for element in self.headers.elements_at(self.span) {
            if slot.is_some() {
                self.check::<T>(element, what)?;
            } else {
                match self.headers.read_at(element) {
                    Ok(header) => *slot = Some(header),
                    Err(_) => return Err(bad(what)),
                }
            }
        }
        Ok(())
    }

    /// A field of a list of which nothing is kept.
    fn each<T: Header>(&self, what: &'static str) -> Result<(), Fault> {
        self.headers.elements_at(self.span).try_for_each(|element| self.check::<T>(element, what))
    }

    fn check<T: Header>(&self, value: Span, what: &'static str) -> Result<(), Fault> {
        if self.headers.can_read_at::<T>(value) { Ok(()) } else { Err(bad(what)) }
    }

    /// A field that may stand once, and of which nothing is kept.
    fn once<T: Header>(&self, what: &'static str) -> Result<(), Fault> {
        match self.headers.can_read_at::<T>(self.span) {
            true if self.first => Ok(()),
            _ if self.again => Ok(()),
            _ => Err(bad(what)),
        }
    }

    /// Max-Forwards is mandatory since RFC 3261; what came before it is still understood without (§16.3).
    fn of_request(&self, name: &HeaderName) -> Result<(), Fault> {
        match name {
            HeaderName::MaxForwards => self.once::<MaxForwards>("Max-Forwards malformed, or two differ"),
            HeaderName::ContentType => self.once::<ContentType>("Content-Type malformed, or two differ"),
            HeaderName::Expires => self.once::<Expires>("Expires malformed, or two differ"),
            HeaderName::Date => self.once::<Date>("Date malformed, or two differ"),
            HeaderName::Route => self.each::<Route>("Route malformed"),
            _ => Ok(()),
        }
    }
}
