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
