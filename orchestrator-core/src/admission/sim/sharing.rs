//! Classes and tenants under overload.

use fastrand::Rng;

use super::door::{Door, Rules};
use super::load::{Job, jobs, lognormal, poisson};
use super::tally::{Tally, jain};

const END: f64 = 400.0;

#[test]
fn a_few_of_the_highest_class_are_served_in_time_whatever_else_comes() {
    for seed in 0..4 {
        let mut rng = Rng::with_seed(seed);
        let times = poisson(&mut rng, 80.0, END);
        let job = |rng: &mut Rng, at| Job { class: usize::from(rng.f64() >= 0.05), ..Job::new(at, lognormal(rng)) };
        let jobs = jobs(&mut rng, &times, job);
        let tally = Door::run(Rules::default(), jobs);
        let high = tally.served(|j| j.class == 0);
        assert!(high >= 0.994, "{high}");
        assert!(tally.used(0.0, END) >= 0.95, "{}", tally.used(0.0, END));
    }
}

const TENANTS: [&str; 8] = ["a", "b", "c", "d", "e", "f", "g", "h"];

/// Each tenant has a share of one slot; the first asks for `flood` times that, the others for 0.7 of it.
fn tenants(flood: f64, seed: u64) -> Tally {
    let of = |(number, tenant): (usize, &'static str)| {
        let mut rng = Rng::with_seed(seed * 100 + number as u64);
        let times = poisson(&mut rng, if number == 0 { flood } else { 0.7 }, END);
        jobs(&mut rng, &times, |rng, at| Job { tenant: Some(tenant), ..Job::new(at, lognormal(rng)) })
    };
    let jobs = TENANTS.into_iter().enumerate().flat_map(of).collect();
    Door::run(Rules::default(), jobs)
}

#[test]
fn a_tenants_flood_costs_the_others_next_to_nothing() {
    for seed in 0..4 {
        let (calm, flooded) = (tenants(0.7, seed), tenants(10.0, seed));
        let others = |t: &Tally| t.served(|j| j.tenant != Some("a"));
        let kept = others(&flooded) / others(&calm);
        let satisfied = TENANTS.map(|tenant| {
            let of = |j: &Job| j.tenant == Some(tenant);
            let demand: f64 = flooded.jobs.iter().filter(|(j, _)| of(j)).map(|(j, _)| j.service).sum();
            (flooded.work(of) / demand.min(END)).min(1.0)
        });
        assert!(kept >= 0.95 && jain(&satisfied) >= 0.95, "{kept} {satisfied:?}");
        assert!(flooded.goodput(0.0, END) >= 0.95, "{}", flooded.goodput(0.0, END));
    }
}

/// For an hour one tenant streams all the time in one or two of the eight slots, and another uses six; then the first floods.
fn trickle_then_flood(flood: f64, seed: u64) -> Tally {
    const HOUR: f64 = 3_600.0;
    let mut rng = Rng::with_seed(seed);
    let steady = poisson(&mut rng, 6.0, HOUR + END);
    let mut all = jobs(&mut rng, &steady, |rng, at| Job { tenant: Some("b"), ..Job::new(at, 0.8 + 0.4 * rng.f64()) });
    all.extend((0..3_600).map(|at| Job { tenant: Some("a"), ..Job::new(f64::from(at), 1.1) }));
    let flood: Vec<f64> = poisson(&mut rng, flood, END).into_iter().map(|at| at + HOUR).collect();
    all.extend(jobs(&mut rng, &flood, |rng, at| Job { tenant: Some("a"), ..Job::new(at, 0.8 + 0.4 * rng.f64()) }));
    Door::run(Rules::default(), all)
}

#[test]
fn an_hour_of_little_does_not_pay_for_a_flood() {
    for seed in 0..2 {
        let tally = trickle_then_flood(40.0, seed);
        let slots = |tenant| tally.work(|j| j.tenant == Some(tenant) && (3_600.0..3_700.0).contains(&j.at)) / 100.0;
        let [flooding, steady] = ["a", "b"].map(slots);
        assert!(steady >= 3.7 && flooding <= 4.3, "of eight slots {steady} for the steady, {flooding} for the flood");
    }
}

/// The highest class alone nearly fills the slots; the lowest asks for half of them.
fn lowest_behind_highest(aging: Option<f64>) -> Tally {
    let mut rng = Rng::with_seed(9);
    let times = poisson(&mut rng, 8.0 * 1.5, END);
    let job =
        |rng: &mut Rng, at| Job { class: if rng.f64() < 2.0 / 3.0 { 0 } else { 2 }, ..Job::new(at, lognormal(rng)) };
    let jobs = jobs(&mut rng, &times, job);
    Door::run(Rules { aging, max_wait: 4.0, ..Rules::default() }, jobs)
}

#[test]
fn the_lowest_class_is_let_in_for_its_turn_by_age_and_gets_it() {
    let low = |j: &Job| j.class == 2;
    let [starved, aged] = [None, Some(1.0)].map(lowest_behind_highest);
    assert!(aged.served(low) > 1.2 * starved.served(low), "{} and {}", aged.served(low), starved.served(low));
    assert!(aged.expired(0.0, END) <= 0.15, "{}", aged.expired(0.0, END));
    assert!(aged.longest_wait(low) <= 4.0, "{}", aged.longest_wait(low));
    assert!(aged.goodput(0.0, END) >= 0.95, "{}", aged.goodput(0.0, END));
}
