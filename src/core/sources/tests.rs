use super::*;

const STRANGER: &str = "198.51.100.7";

fn settings() -> Abuse {
    Abuse {
        exempt: vec!["127.0.0.0/8".parse().expect("a block")],
        failures: 3,
        within: Duration::from_secs(60),
        ban: Duration::from_secs(600),
        requests_per_second: 10,
    }
}

fn sources(now: Instant) -> (Sources, Arc<Bans>) {
    let bans = Arc::new(Bans::default());
    (Sources::new(now, &settings(), &["192.0.2.0/24".parse().expect("a block")], bans.clone()), bans)
}

fn ip(text: &str) -> IpAddr {
    text.parse().expect("an address")
}

fn offend(sources: &mut Sources, now: Instant, address: &str, times: usize) -> bool {
    let offend = |_| sources.offended(now, ip(address), rand::random(), Offence::Credentials);
    (0..times).map(offend).last().unwrap_or(false)
}

#[test]
fn who_offends_too_often_is_not_heard_until_the_ban_is_over_or_lifted() {
    let now = Instant::now();
    let (mut sources, bans) = sources(now);
    assert!(!offend(&mut sources, now, STRANGER, 2) && sources.admit(now, ip(STRANGER)));
    assert!(offend(&mut sources, now, STRANGER, 1));
    assert!(!sources.admit(now, ip(STRANGER)) && sources.admit(now, ip("198.51.100.8")));
    let clock = SystemTime::now();
    let [ban] = &bans.snapshot(clock)[..] else { panic!("one ban") };
    assert_eq!((ban.source.as_str(), ban.reason.as_str(), ban.ignored), (STRANGER, "wrong credentials", 1));
    assert!(ban.expires_in > Duration::from_secs(590));
    assert!(!bans.stops(Source::of(ip(STRANGER)), clock + Duration::from_secs(601)));
    assert!(bans.lift(STRANGER) && !bans.lift(STRANGER));
    assert!(sources.admit(now, ip(STRANGER)) && bans.snapshot(clock).is_empty());
}

#[test]
fn offences_far_apart_are_mistakes() {
    let now = Instant::now();
    let (mut sources, _) = sources(now);
    for minute in 0..20 {
        let at = now + Duration::from_secs(61 * minute);
        assert!(!offend(&mut sources, at, STRANGER, 2), "minute {minute}");
    }
}

#[test]
fn trusted_and_exempt_sources_and_those_with_an_account_are_left_alone() {
    let now = Instant::now();
    let (mut sources, bans) = sources(now);
    sources.proved(now, ip(STRANGER));
    for address in ["127.0.0.1", "192.0.2.9", STRANGER] {
        let few = if address == STRANGER { 29 } else { 1000 };
        assert!(!offend(&mut sources, now, address, few), "{address}");
        assert!((0..1000).all(|_| sources.admit(now, ip(address))), "{address}");
    }
    assert!(
        (0..100).all(|_| !sources.offended(now, ip(STRANGER), rand::random(), Offence::Number)),
        "they dial as they like"
    );
    assert!(offend(&mut sources, now, STRANGER, 1), "thirty wrong passwords are no office any more");
    bans.lift(STRANGER);
    let later = now + PROVED;
    assert!(offend(&mut sources, later, STRANGER, 3), "an old proof proves nothing");
}

#[test]
fn a_stranger_asks_so_often_a_second() {
    let now = Instant::now();
    let (mut sources, bans) = sources(now);
    let admitted = |sources: &mut Sources, at| (0..100).filter(|_| sources.admit(at, ip(STRANGER))).count();
    assert_eq!(admitted(&mut sources, now), 20, "two seconds' worth at once");
    assert_eq!(admitted(&mut sources, now + Duration::from_secs(1)), 10);
    assert_eq!(bans.ignored(), 170);
}

#[test]
fn a_network_of_ipv6_is_one_source() {
    let now = Instant::now();
    let (mut sources, bans) = sources(now);
    for last in 1..=3 {
        offend(&mut sources, now, &format!("2001:db8::{last}"), 1);
    }
    assert!(!sources.admit(now, ip("2001:db8::4")) && sources.admit(now, ip("2001:db8:0:1::1")));
    assert_eq!(bans.snapshot(SystemTime::now())[0].source, "2001:db8::/64");
    assert!(!bans.lift("2001:db8::/32") && bans.lift("2001:db8::/64"));
    // An IPv4 address is the same in either notation.
    offend(&mut sources, now, "::ffff:198.51.100.7", 3);
    assert!(!sources.admit(now, ip(STRANGER)));
}

#[test]
fn what_is_kept_is_bounded() {
    let now = Instant::now();
    let (mut sources, _) = sources(now);
    for number in 0..100_000_u32 {
        sources.admit(now, IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number)));
    }
    assert_eq!(sources.states.len(), SOURCES);
    let later = now + SWEEP * 2;
    sources.admit(later, ip("11.0.0.1"));
    assert_eq!(sources.states.len(), 1);
}

#[test]
fn bans_are_bounded_and_counted_rightly() {
    let bans = Bans::default();
    let clock = SystemTime::now();
    let address = |number: u32| Source::of(IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number)));
    for number in 0..70_000 {
        bans.insert(address(number), Offence::Number, clock, Duration::from_secs(60));
    }
    assert_eq!((bans.len(), bans.snapshot(clock).len()), (65_536, 65_536));
    assert!(bans.lift("10.0.0.1") && bans.len() == 65_535);
    bans.insert(address(70_000), Offence::Number, clock + Duration::from_secs(61), Duration::from_secs(60));
    assert_eq!(bans.len(), 1, "those that are over are forgotten");
}

#[test]
fn forged_addresses_do_not_push_out_those_that_count() {
    let now = Instant::now();
    let (mut sources, bans) = sources(now);
    sources.proved(now, ip("203.0.113.5"));
    offend(&mut sources, now, STRANGER, 2);
    for number in 0..200_000_u32 {
        sources.admit(now, IpAddr::V4(std::net::Ipv4Addr::from_bits(0x0a00_0000 + number)));
    }
    assert!(sources.states.len() <= SOURCES);
    assert!(offend(&mut sources, now, STRANGER, 1) && bans.len() == 1, "still counted");
    assert!(sources.states.contains_key(&Source::of(ip("203.0.113.5"))), "still proved");
}

#[test]
fn a_request_that_is_sent_again_is_one_offence() {
    let now = Instant::now();
    let (mut sources, _) = sources(now);
    assert!((0..7).all(|_| !sources.offended(now, ip(STRANGER), 4711, Offence::Number)));
    assert!(!offend(&mut sources, now, STRANGER, 1));
    assert!(offend(&mut sources, now, STRANGER, 1), "the third one");
}
