//! Nothing on the way of a packet asks for memory: not the sockets, the session, the mixer, nor the wheel.

use sems_core::media::bench::Rig;

fn after_warming_up(mut rig: Rig) -> u64 {
    let mut turns = |count| {
        (0..count)
            .map(|_| {
                rig.speak();
                allocation_counter::measure(|| rig.serve()).count_total
            })
            .sum()
    };
    let _: u64 = turns(100);
    turns(200)
}

#[test]
fn an_echo_is_served_without_asking_for_memory() {
    assert_eq!(after_warming_up(Rig::echo(20).expect("ports")), 0);
}

#[test]
fn a_room_is_served_without_asking_for_memory() {
    assert_eq!(after_warming_up(Rig::room(20).expect("ports")), 0);
}
