//! Too much arrives: goodput, and the waits of what is let in.

use fastrand::Rng;

use super::door::{Door, Rules};
use super::load::{Job, SHORT_OR_LONG, bursts, jobs, lognormal, poisson, short_or_long};
use super::tally::Tally;

fn one_class(rules: Rules, times: &[f64]) -> Tally {
    let jobs = jobs(&mut Rng::with_seed(1), times, |rng, at| Job::new(at, lognormal(rng)));
    Door::run(rules, jobs)
}

#[test]
fn one_size_class_keeps_its_goodput_at_twice_and_ten_times_the_load() {
    const END: f64 = 400.0;
    for (load, least) in [(0.5, 0.99), (1.2, 0.95), (2.0, 0.95), (10.0, 0.95)] {
        let tally = one_class(Rules::default(), &poisson(&mut Rng::with_seed(2), 8.0 * load, END));
        let (goodput, used, expired) = (tally.goodput(0.0, END), tally.used(0.0, END), tally.expired(0.0, END));
        assert!(goodput >= least && expired <= 0.1, "{load}: goodput {goodput}, expired {expired}");
        assert!(load < 1.2 || used >= least, "{load}: {used} of the slots' time");
        assert!(tally.p99_wait() <= 2.0, "{load}: p99 of the waits {}", tally.p99_wait());
    }
}

#[test]
fn without_asking_half_of_what_is_let_in_waits_in_vain() {
    let rules = Rules { unasked: Some(1), ..Rules::default() };
    let tally = one_class(rules, &poisson(&mut Rng::with_seed(2), 16.0, 400.0));
    assert!(tally.expired(0.0, 400.0) > 0.4, "{}", tally.expired(0.0, 400.0));
}

#[test]
fn short_and_long_requests_keep_their_goodput() {
    const END: f64 = 1_000.0;
    const RUNS: u64 = 8;
    for (load, least) in [(1.2, 0.95), (2.0, 0.95)] {
        let tallies = (0..RUNS).map(|seed| {
            let mut rng = Rng::with_seed(seed);
            let times = poisson(&mut rng, 8.0 / SHORT_OR_LONG * load, END);
            let jobs = jobs(&mut rng, &times, short_or_long);
            Door::run(Rules::default(), jobs)
        });
        let sums = tallies.fold([0.0, 0.0, 0.0], |[goodput, used, expired], tally| {
            assert!(tally.p99_wait() <= 2.0);
            [goodput + tally.goodput(0.0, END), used + tally.used(0.0, END), expired + tally.expired(0.0, END)]
        });
        let [goodput, used, expired] = sums.map(|sum| sum / RUNS as f64);
        assert!(goodput >= least && expired <= 0.1, "{load}: goodput {goodput}, expired {expired}");
        assert!(used >= 0.94, "{load}: {used} of the slots' time");
    }
}

#[test]
fn bursts_are_served_as_far_as_slots_go_and_the_rest_is_told_at_once() {
    const END: f64 = 400.0;
    let times = bursts(&mut Rng::with_seed(3), 8.0, 1.0, 5.0, END);
    let asked = one_class(Rules::default(), &times);
    let unasked = one_class(Rules { unasked: Some(1), ..Rules::default() }, &times);
    let part = asked.goodput(0.0, END) / unasked.goodput(0.0, END);
    let expired = [&asked, &unasked].map(|t| t.expired(0.0, END));
    assert!(part >= 0.9, "{part} of what is served where all are let in");
    assert!(expired[0] <= 0.1 && expired[1] >= 0.2, "{expired:?}");
}
