//! What goes wrong while too much arrives: servers that slow down or go, wrong priors, stages before, and all of it together.

use fastrand::Rng;

use super::door::{Door, Rules};
use super::load::{Job, bursts, jobs, lognormal, poisson};
use super::tally::Tally;
use super::{Size, Tokens};
use crate::error::RefuseReason;

const END: f64 = 400.0;

/// Requests whose sizes are told as they are.
fn told(seed: u64, rate: f64, rules: Rules) -> Tally {
    let mut rng = Rng::with_seed(seed);
    let times = poisson(&mut rng, rate, END);
    let job = |rng: &mut Rng, at| {
        let service = lognormal(rng);
        Job { size: Size::Time(service), ..Job::new(at, service) }
    };
    let jobs = jobs(&mut rng, &times, job);
    Door::run(rules, jobs)
}

#[test]
fn the_prediction_follows_a_server_that_slows_down_and_recovers() {
    let tally = told(11, 16.0, Rules { slow: vec![(100.0, 200.0, 0.5)], ..Rules::default() });
    for (from, to) in [(0.0, 100.0), (115.0, 200.0), (215.0, END)] {
        let (used, expired) = (tally.used(from, to), tally.expired(from, to));
        assert!(used >= 0.95 && expired <= 0.1, "from {from}: {used} used, {expired} expired");
    }
    let change = tally.expired(100.0, 115.0);
    assert!(change <= 0.4, "until it has learned that: {change}");
}

#[test]
fn without_slots_all_are_refused_until_they_are_back() {
    let tally = told(12, 16.0, Rules { down: vec![(100.0, 120.0)], ..Rules::default() });
    let refused = tally.refusals(100.0, 120.0);
    let came = tally.jobs.iter().filter(|(j, _)| (100.0..120.0).contains(&j.at)).count();
    assert_eq!(refused.iter().filter(|r| r.reason == RefuseReason::Unavailable).count(), came);
    assert!(refused.iter().all(|r| r.wait <= 20.0 && (0.8..=1.2).contains(&(r.retry_after / r.wait))));
    let (used, expired) = (tally.used(122.0, END), tally.expired(120.0, END));
    assert!(used >= 0.95 && expired <= 0.1, "afterwards: {used} used, {expired} expired");
}

#[test]
fn the_prediction_follows_a_server_that_shrinks_and_grows() {
    for seed in 17..20 {
        let mut rng = Rng::with_seed(seed);
        let parts = [(0.0, 128.0, 64.0), (100.0, 16.0, 8.0), (200.0, 128.0, 64.0)];
        let of = |(from, rate, _): &(f64, f64, f64)| -> Vec<f64> {
            poisson(&mut rng, *rate, 100.0).into_iter().map(|at| at + from).collect()
        };
        let times: Vec<f64> = parts.iter().flat_map(of).collect();
        let jobs = jobs(&mut rng, &times, |rng, at| {
            let service = lognormal(rng);
            Job { size: Size::Time(service), ..Job::new(at, service) }
        });
        let rules = Rules { slots: 64, resized: vec![(100.0, 8), (200.0, 64)], ..Rules::default() };
        let tally = Door::run(rules, jobs);
        for (from, to, slots) in [(0.0, 100.0, 64.0), (101.0, 200.0, 8.0), (201.0, 300.0, 64.0)] {
            let (used, expired) = (tally.used(from, to) * 64.0 / slots, tally.expired(from, to));
            let soon = tally.expired(from, from + 15.0);
            assert!(used >= 0.95 && expired.max(soon) <= 0.1, "from {from}: {used} used, {expired}, {soon} expired");
        }
    }
}

/// A request of an OpenAI kind: prompts of up to 4,000 tokens, answers that mostly do not reach their limit.
fn tokens(rng: &mut Rng, at: f64) -> Job {
    let prompt = 100 + rng.u64(0..3_900);
    let limit = if rng.bool() { 800 } else { 100 };
    let completion = (limit as f64 * rng.f64().sqrt()).max(1.0) as u64;
    let first_token = 0.05 + prompt as f64 / 8_000.0;
    let service = first_token + (completion - 1) as f64 / 250.0;
    let size = Size::Tokens { prompt, limit: Some(limit), model: 1 };
    let tokens = Tokens { prompt, cached: 0, completion, first_token };
    Job { size, tokens: Some(tokens), ..Job::new(at, service) }
}

#[test]
fn token_counts_are_learned_whatever_the_prior() {
    for expected in [0.3, 7.5] {
        let mut rng = Rng::with_seed(13);
        let times = poisson(&mut rng, 10.0, END);
        let jobs = jobs(&mut rng, &times, tokens);
        let tally = Door::run(Rules { expected: Some(expected), ..Rules::default() }, jobs);
        for (from, least) in [(0.0, 0.93), (10.0, 0.95)] {
            let (goodput, expired) = (tally.goodput(from, END), tally.expired(from, END));
            assert!(goodput >= least && expired <= 0.1, "prior {expected}, from {from}: {goodput}, {expired} expired");
        }
    }
}

#[test]
fn requests_in_a_long_stage_before_keep_the_slots_filled() {
    let mut rng = Rng::with_seed(14);
    let times = poisson(&mut rng, 16.0, END);
    let jobs = jobs(&mut rng, &times, |rng, at| Job { before: 3.0, ..Job::new(at, lognormal(rng)) });
    let tally = Door::run(Rules { before: 3.0, ..Rules::default() }, jobs);
    let (used, expired) = (tally.used(10.0, END), tally.expired(0.0, END));
    assert!(used >= 0.95 && expired <= 0.1, "{used} used, {expired} expired");
}

#[test]
fn a_burst_in_the_stage_before_is_not_let_in_as_if_slots_were_free() {
    let mut rng = Rng::with_seed(15);
    let times = bursts(&mut rng, 8.0, 0.1, 10.0, END);
    let jobs = jobs(&mut rng, &times, |rng, at| Job { before: 1.0, ..Job::new(at, lognormal(rng)) });
    let tally = Door::run(Rules { before: 1.0, ..Rules::default() }, jobs);
    let expired = tally.expired(0.0, END);
    assert!(expired <= 0.1, "{expired} expired");
}

#[test]
fn all_of_it_together() {
    let mut rng = Rng::with_seed(16);
    let mut times = poisson(&mut rng, 8.0, END);
    times.extend(bursts(&mut rng, 6.0, 1.0, 8.0, END));
    let job = |rng: &mut Rng, at| {
        let class = [0, 1, 1, 1, 1, 1, 2, 2][rng.usize(0..8)];
        let tenant = [Some("a"), Some("a"), Some("a"), Some("b"), None][rng.usize(0..5)];
        Job { class, tenant, before: 0.2 + 0.6 * rng.f64(), ..tokens(rng, at) }
    };
    let jobs = jobs(&mut rng, &times, job);
    let rules = Rules {
        aging: Some(1.8),
        expected: Some(5.0),
        before: 0.5,
        deadline: Some(12.0),
        slow: vec![(150.0, 220.0, 0.5)],
        down: vec![(80.0, 90.0)],
        ..Rules::default()
    };
    let tally = Door::run(rules, jobs);
    for (from, to) in [(10.0, 80.0), (93.0, 150.0), (165.0, 220.0), (235.0, END)] {
        let (used, expired) = (tally.used(from, to), tally.expired(from, to));
        assert!(used >= 0.9 && expired <= 0.3, "from {from}: {used} used, {expired} expired");
    }
    let calm = |j: &Job| (10.0..80.0).contains(&j.at) || j.at >= 235.0;
    let [high, low] = [0, 2].map(|class| tally.served(|j| calm(j) && j.class == class));
    assert!(high >= 0.75 && high > 3.0 * low, "{high} of the highest class, {low} of the lowest");
}
