//! What one turn of a worker costs: 20 ms of 1,000 echoing legs, and of a room of 100, over sockets of the loopback.
//! Beside it the least that the same packets cost here: sockets that receive and send, and nothing else. Their ratio
//! holds from machine to machine.

use std::{
    net::{Ipv4Addr, UdpSocket},
    time::{Duration, Instant},
};

use criterion::{Criterion, criterion_group, criterion_main};
use sems_core::media::bench::Rig;

fn turns(criterion: &mut Criterion, name: &str, mut speak: impl FnMut(), mut serve: impl FnMut()) {
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                speak();
                let begun = Instant::now();
                serve();
                spent += begun.elapsed();
            }
            spent
        });
    });
}

fn rig(criterion: &mut Criterion, name: &str, rig: Rig) {
    let rig = std::cell::RefCell::new(rig);
    turns(criterion, name, || rig.borrow_mut().speak(), || rig.borrow_mut().serve());
    assert!(rig.borrow().sent() > 0, "nothing was sent");
}

fn pair() -> std::io::Result<(UdpSocket, UdpSocket)> {
    let (ours, theirs) =
        (UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?, UdpSocket::bind((Ipv4Addr::LOCALHOST, 0))?);
    for (one, other) in [(&ours, &theirs), (&theirs, &ours)] {
        one.connect(other.local_addr()?)?;
        one.set_nonblocking(true)?;
    }
    Ok((ours, theirs))
}

/// Connected sockets, swept once: the floor of this design.
fn bare(criterion: &mut Criterion, count: usize) {
    let pairs: Vec<_> = (0..count).map(|_| pair().expect("free ports")).collect();
    let packet = [0x55; 172];
    let speak = || {
        let mut buffer = [0; 1500];
        for (_, phone) in &pairs {
            while phone.recv(&mut buffer).is_ok() {}
            // A full queue loses the packet, as it would on the wire.
            let _ = phone.send(&packet);
        }
    };
    let mut returned = 0;
    let serve = || {
        let mut buffer = [0; 1500];
        for (socket, _) in &pairs {
            if let Ok(length) = socket.recv(&mut buffer) {
                returned += usize::from(socket.send(&buffer[..length]).is_ok());
            }
        }
    };
    turns(criterion, &format!("a turn of {count} bare sockets"), speak, serve);
    assert!(returned > 0, "nothing came back");
}

fn engine(criterion: &mut Criterion) {
    bare(criterion, 1_000);
    rig(criterion, "a turn of 1000 echoing legs", Rig::echo(1_000).expect("free ports and 3000 open files"));
    bare(criterion, 100);
    rig(criterion, "a turn of a room of 100", Rig::room(100).expect("free ports"));
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(10)).sample_size(20);
    targets = engine
}
criterion_main!(benches);
