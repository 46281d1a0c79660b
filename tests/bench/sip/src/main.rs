//! Reading an INVITE of 1 kB and five of its headers to their types, beside other crates on the same machine in the same
//! minute: the least time of many batches, the middle one, and how often memory is asked for.

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;

const INVITE: &[u8] = include_bytes!("../../../../src/sip/benches/invite.sip");
/// Messages in a batch: short enough that some batches are disturbed by nothing.
const BATCH: u32 = 200;
/// The turns in which the crates are measured one after the other, and the time of each.
const TURNS: usize = 5;
const TURN: Duration = Duration::from_millis(400);

type Read = fn(&Bytes);

mod ours {
    use super::*;
    use sems_sip::{Header, Headers, Message, header};

    pub fn parse(datagram: &Bytes) {
        black_box(Message::parse(datagram.clone()).expect("an INVITE"));
    }

    pub fn five(datagram: &Bytes) {
        let message = Message::parse(datagram.clone()).expect("an INVITE");
        let headers = message.headers();
        assert!(black_box(headers.top_via()).is_ok() && black_box(headers.from()).is_ok());
        assert!(black_box(headers.to()).is_ok() && black_box(headers.cseq()).is_ok());
        assert!(black_box(headers.contact()).is_ok());
    }

    pub fn five_owned(datagram: &Bytes) {
        fn owned<T: Header>(headers: &Headers) {
            black_box(headers.typed::<T>().expect("a header"));
        }
        let message = Message::parse(datagram.clone()).expect("an INVITE");
        owned::<header::Via>(message.headers());
        owned::<header::From>(message.headers());
        owned::<header::To>(message.headers());
        owned::<header::CSeq>(message.headers());
        owned::<header::Contact>(message.headers());
    }
}

mod rsip_crate {
    use super::*;
    use rsip::prelude::*;

    fn request(datagram: &Bytes) -> rsip::Request {
        rsip::Request::try_from(&**datagram).expect("an INVITE")
    }

    pub fn parse(datagram: &Bytes) {
        black_box(request(datagram));
    }

    pub fn five(datagram: &Bytes) {
        let request = request(datagram);
        black_box(request.via_header().expect("Via").typed().expect("Via"));
        black_box(request.from_header().expect("From").typed().expect("From"));
        black_box(request.to_header().expect("To").typed().expect("To"));
        black_box(request.cseq_header().expect("CSeq").typed().expect("CSeq"));
        black_box(request.contact_header().expect("Contact").typed().expect("Contact"));
    }
}

mod rsipstack_crate {
    use super::*;
    use rsipstack::sip::prelude::*;
    use rsipstack::sip::{Request, SipMessage};

    fn request(datagram: &Bytes) -> Request {
        let message = SipMessage::try_from(datagram.clone()).expect("an INVITE");
        Request::try_from(message).expect("a request")
    }

    pub fn parse(datagram: &Bytes) {
        black_box(request(datagram));
    }

    pub fn five(datagram: &Bytes) {
        let request = request(datagram);
        black_box(request.via_header().expect("Via").typed().expect("Via"));
        black_box(request.from_header().expect("From").typed().expect("From"));
        black_box(request.to_header().expect("To").typed().expect("To"));
        black_box(request.cseq_header().expect("CSeq").typed().expect("CSeq"));
        black_box(request.contact_header().expect("Contact").typed().expect("Contact"));
    }
}

mod ezk_crate {
    use super::*;
    use ezk_sip_types::header::typed::{CSeq, Contact, FromTo, Via};
    use ezk_sip_types::msg::{Line, MessageLine, PullParser};
    use ezk_sip_types::parse::Parse;
    use ezk_sip_types::{Headers, Name};

    /// As its transports do it, which are not public.
    fn read(datagram: &Bytes) -> (MessageLine, Headers, Bytes) {
        let mut lines = PullParser::new(datagram, 0);
        let text = |line| std::str::from_utf8(line).expect("text");
        let first = lines.next().expect("a line").expect("a whole line");
        let (_, start) = MessageLine::parse(datagram)(text(first)).expect("a start line");
        let mut headers = Headers::with_capacity(16);
        for line in &mut lines {
            let (_, line) = Line::parse(datagram, text(line.expect("a whole line"))).expect("a header");
            headers.insert(line.name, line.value);
        }
        let body = datagram.slice(lines.head_end()..);
        (start, headers, body)
    }

    pub fn parse(datagram: &Bytes) {
        black_box(read(datagram));
    }

    pub fn five(datagram: &Bytes) {
        let (start, headers, body) = read(datagram);
        black_box((start, body));
        black_box(headers.get_named::<Vec<Via>>().expect("Via"));
        black_box(headers.get::<FromTo>(Name::FROM).expect("From"));
        black_box(headers.get::<FromTo>(Name::TO).expect("To"));
        black_box(headers.get_named::<CSeq>().expect("CSeq"));
        black_box(headers.get_named::<Contact>().expect("Contact"));
    }
}

const ROWS: [(&str, Read, Read); 5] = [
    ("sems-sip", ours::parse, ours::five),
    ("sems-sip, five copied out", ours::parse, ours::five_owned),
    ("rsip 0.4", rsip_crate::parse, rsip_crate::five),
    ("rsipstack 0.7", rsipstack_crate::parse, rsipstack_crate::five),
    ("ezk-sip-types 0.6", ezk_crate::parse, ezk_crate::five),
];

/// Batches of one turn, in nanoseconds for one message.
fn turn(read: Read, datagram: &Bytes, out: &mut Vec<f64>) {
    let end = Instant::now() + TURN;
    while Instant::now() < end {
        let start = Instant::now();
        for _ in 0..BATCH {
            read(black_box(datagram));
        }
        out.push(start.elapsed().as_nanos() as f64 / f64::from(BATCH));
    }
}

fn main() {
    let datagram = Bytes::from(INVITE.to_vec());
    let mut times = vec![[Vec::new(), Vec::new()]; ROWS.len()];
    for _ in 0..TURNS {
        for ((_, parse, five), [alone, typed]) in ROWS.iter().zip(&mut times) {
            turn(*parse, &datagram, alone);
            turn(*five, &datagram, typed);
        }
    }
    println!("An INVITE of {} bytes: least time (median) of one message, and its allocations\n", INVITE.len());
    println!("| | parse | parse and five typed headers | allocations |");
    println!("|---|---|---|---|");
    for ((name, _, five), batches) in ROWS.iter().zip(&mut times) {
        let cells = batches.each_mut().map(|all| {
            all.sort_by(f64::total_cmp);
            format!("{:.2} us ({:.2})", all[0] / 1000.0, all[all.len() / 2] / 1000.0)
        });
        let allocations = allocation_counter::measure(|| five(&datagram)).count_total;
        println!("| {name} | {} | {} | {allocations} |", cells[0], cells[1]);
    }
}
