//! What one turn of a worker costs: 20 ms of 1,000 echoing legs, and of a room of 100, over sockets of the loopback.

use std::time::{Duration, Instant};

use criterion::{Criterion, criterion_group, criterion_main};
use sems_core::media::bench::Rig;

fn turns(criterion: &mut Criterion, name: &str, mut rig: Rig) {
    criterion.bench_function(name, |bencher| {
        bencher.iter_custom(|rounds| {
            let mut spent = Duration::ZERO;
            for _ in 0..rounds {
                rig.speak();
                let begun = Instant::now();
                rig.serve();
                spent += begun.elapsed();
            }
            spent
        });
    });
    assert!(rig.sent() > 0, "nothing was sent");
}

fn engine(criterion: &mut Criterion) {
    turns(criterion, "a turn of 1,000 echoing legs", Rig::echo(1_000).expect("free ports"));
    turns(criterion, "a turn of a room of 100", Rig::room(100).expect("free ports"));
}

criterion_group! {
    name = benches;
    config = Criterion::default().measurement_time(Duration::from_secs(10)).sample_size(20);
    targets = engine
}
criterion_main!(benches);
