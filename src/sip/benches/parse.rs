//! What it costs to read an INVITE of 1 kB, alone and with five typed headers, and to print it.

use std::hint::black_box;

use bytes::Bytes;
use criterion::{Criterion, criterion_group, criterion_main};
use sems_sip::header::{CSeq, Contact, From, To, Via};
use sems_sip::{Header, Headers, Message};

const INVITE: &[u8] = include_bytes!("invite.sip");

fn typed<T: Header>(headers: &Headers) -> T {
    headers.typed().expect("the INVITE of this benchmark has every header")
}

fn five_typed(message: &Message) {
    let headers = message.headers();
    black_box((typed::<Via>(headers), typed::<From>(headers), typed::<To>(headers)));
    black_box((typed::<CSeq>(headers), typed::<Contact>(headers)));
}

fn read(datagram: &Bytes) -> Message {
    Message::parse(datagram.clone()).expect("the INVITE of this benchmark is well-formed")
}

fn parse(c: &mut Criterion) {
    let datagram = Bytes::from(INVITE.to_vec());
    c.bench_function("parse", |b| b.iter(|| read(black_box(&datagram))));
    c.bench_function("parse and 5 typed headers", |b| b.iter(|| five_typed(&read(black_box(&datagram)))));
    let message = read(&datagram);
    c.bench_function("print", |b| b.iter(|| black_box(&message).to_bytes()));
}

criterion_group!(benches, parse);
criterion_main!(benches);
