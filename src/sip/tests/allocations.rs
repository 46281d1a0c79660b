//! How often reading an INVITE asks for memory.

use bytes::Bytes;
use sems_sip::header::{CSeq, Contact, From, To, Via};
use sems_sip::{Header, Message};

fn typed<T: Header>(message: &Message) {
    assert!(message.headers().typed::<T>().is_ok());
}

#[test]
fn an_invite_with_five_typed_headers_costs_less_than_ten_allocations() {
    let received = Bytes::from(include_bytes!("../benches/invite.sip").to_vec());
    let info = allocation_counter::measure(|| {
        let message = Message::parse(received.clone()).expect("well-formed");
        typed::<Via>(&message);
        typed::<From>(&message);
        typed::<To>(&message);
        typed::<CSeq>(&message);
        typed::<Contact>(&message);
    });
    assert!(info.count_total < 10, "{info:?}");
    assert_eq!(
        info.count_current, 1,
        "only the shared header of the datagram outlives the message: {info:?}"
    );
}
