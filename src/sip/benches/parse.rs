//! What it costs to read an INVITE of 1 kB, alone and with five typed headers, and to print it.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use sems_sip::header::{CSeq, Contact, From, To, Via};
use sems_sip::{Header, Headers, Message};

const INVITE: &[u8] = include_bytes!("invite.sip");

/// As whoever reads a message asks: for what was read when it was accepted.
fn five_typed(message: &Message) {
    let headers = message.headers();
    assert!(black_box(headers.top_via()).is_ok() && black_box(headers.from()).is_ok());
    assert!(black_box(headers.to()).is_ok() && black_box(headers.cseq()).is_ok());
    assert!(black_box(headers.contact()).is_ok());
}

fn owned<T: Header>(headers: &Headers) -> T {
    headers.typed().expect("the INVITE of this benchmark has every header")
}

/// The same with a copy of each.
fn five_owned(message: &Message) {
    let headers = message.headers();
    black_box((owned::<Via>(headers), owned::<From>(headers), owned::<To>(headers)));
    black_box((owned::<CSeq>(headers), owned::<Contact>(headers)));
}

fn read(datagram: &Bytes) -> Message {
    Message::parse(datagram.clone()).expect("the INVITE of this benchmark is well-formed")
}

fn parse(c: &mut Criterion) {
    let datagram = Bytes::from(INVITE.to_vec());
    c.bench_function("parse", |b| b.iter(|| read(black_box(&datagram))));
    c.bench_function("parse and 5 typed headers", |b| b.iter(|| five_typed(&read(black_box(&datagram)))));
    c.bench_function("parse and 5 owned headers", |b| b.iter(|| five_owned(&read(black_box(&datagram)))));
    let message = read(&datagram);
    c.bench_function("print", |b| b.iter(|| black_box(&message).to_bytes()));
}

criterion_group!(benches, parse);
criterion_main!(benches);
