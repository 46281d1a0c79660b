//! How often reading an INVITE asks for memory.

use bytes::Bytes;
use sems_sip::header::{CSeq, Contact, From, To, Via};
use sems_sip::{Header, Message, StatusCode};

fn typed<T: Header>(message: &Message) {
    assert!(message.headers().typed::<T>().is_ok());
}

#[test]
fn an_invite_with_five_typed_headers_costs_three_allocations() {
    let received = Bytes::from(include_bytes!("../benches/invite.sip").to_vec());
    let info = allocation_counter::measure(|| {
        let message = Message::parse(received.clone()).expect("well-formed");
        typed::<Via>(&message);
        typed::<From>(&message);
        typed::<To>(&message);
        typed::<CSeq>(&message);
        typed::<Contact>(&message);
    });
    // The count of those who share the datagram, the table of fields, and what is kept of them.
    assert_eq!(info.count_total, 3, "{info:?}");
    assert_eq!(
        info.count_current, 1,
        "only the shared header of the datagram outlives the message: {info:?}"
    );
}

#[test]
fn what_is_kept_is_handed_out_without_a_copy() {
    let received = Bytes::from(include_bytes!("../benches/invite.sip").to_vec());
    let message = Message::parse(received).expect("well-formed");
    let info = allocation_counter::measure(|| {
        let headers = message.headers();
        assert!(headers.top_via().is_ok_and(|via| via.branch() == Some("z9hG4bK2d4790.1")));
        assert!(headers.from().is_ok_and(|from| from.tag() == Some("9fxced76sl")));
        assert!(headers.to().is_ok() && headers.cseq().is_ok() && headers.contact().is_ok());
    });
    assert_eq!(info.count_total, 0, "{info:?}");
}

#[test]
fn a_response_asks_for_memory_as_often_as_it_has_parts() {
    let received = Bytes::from(include_bytes!("../benches/invite.sip").to_vec());
    let Ok(Message::Request(invite)) = Message::parse(received) else { panic!("not a request") };
    let info = allocation_counter::measure(|| {
        let response = invite.response(StatusCode::RINGING, Some("tag"));
        assert!(response.to_bytes().starts_with(b"SIP/2.0 180 Ringing\r\n"));
    });
    // The table, the values, and the bytes with their count.
    assert!(info.count_total <= 4, "{info:?}");
}
