//! The goodput and the waits of the default policy under a steady load.

use super::*;

/// How many runs of two classes are looked at, at each load.
const SEEDS: u64 = 16;

async fn at(sizes: Sizes, load: f64, seconds: f64) -> Figures {
    measured(&Workload::steady(sizes, false, load, seconds)).await
}

/// The mean over several runs. What comes in one differs by more than what is promised leaves room for: a tenth of the
/// requests is four fifths of the work.
fn mean(runs: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    runs.iter().map(of).sum::<f64>() / runs.len() as f64
}

/// Who is let in is to be served: the door is not a lottery.
fn assert_kept(figures: &Figures) {
    assert!(figures.dropped_of_admitted <= 0.10, "at {}: {}", figures.load, figures.dropped_of_admitted);
}

/// By construction: who has waited for so long is dropped. That few are is what [`assert_kept`] says.
fn assert_waits(figures: &Figures) {
    // Tokio's timers are exact to a millisecond, and who is dropped is told by one.
    assert!(figures.wait_p99 <= 2.001 + 1e-9, "{} at {}: {} s", figures.workload, figures.load, figures.wait_p99);
}

#[tokio::test(start_paused = true)]
async fn one_class_keeps_its_goodput_at_twice_the_load() {
    let figures = at(SPREAD, 2.0, 600.0).await;
    assert!(figures.share >= 0.95, "{}", figures.share);
    assert_kept(&figures);
    assert_waits(&figures);
}

#[tokio::test(start_paused = true)]
async fn one_class_keeps_its_goodput_at_ten_times_the_load() {
    let figures = at(SPREAD, 10.0, 300.0).await;
    assert!(figures.share >= 0.90, "{}", figures.share);
    assert_kept(&figures);
    assert_waits(&figures);
}

#[tokio::test(start_paused = true)]
async fn two_classes_keep_their_goodput_and_few_of_those_let_in_are_dropped() {
    for load in [1.2, 2.0] {
        let mut runs = Vec::new();
        for seed in 0..SEEDS {
            let workload = Workload::steady(Sizes::Two, false, load, 1_000.0).seeded(seed);
            runs.push(measured(&workload).await);
        }
        let (share, dropped) = (mean(&runs, |f| f.share), mean(&runs, |f| f.dropped_of_admitted));
        let least = runs.iter().map(|f| f.share).fold(f64::INFINITY, f64::min);
        println!("{load}: goodput {share:.3}, in the worst run {least:.3}, dropped {dropped:.3}");
        assert!(share >= 0.95, "at {load}: {share}");
        assert!(least >= 0.92, "at {load}: {least}");
        assert!(dropped <= 0.10, "at {load}: {dropped}");
        runs.iter().for_each(assert_waits);
    }
}

#[tokio::test(start_paused = true)]
async fn those_turned_away_know_at_once() {
    let figures = at(SPREAD, 2.0, 100.0).await;
    assert!(figures.told_p50.expect("some are turned away") <= 0.002);
}

/// Requests that could all be served are.
#[tokio::test(start_paused = true)]
async fn nobody_is_turned_away_at_half_the_load() {
    let figures = at(SPREAD, 0.5, 600.0).await;
    assert!(figures.turned_away <= 0.001, "{}", figures.turned_away);
    assert!(figures.share >= 0.999, "{}", figures.share);
}
