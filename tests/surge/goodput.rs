//! The goodput and the waits of the default policy under a steady load.

use super::*;

async fn at(sizes: Sizes, load: f64, seconds: f64) -> Figures {
    measured(&Workload::steady(sizes, false, load, seconds)).await
}

/// The mean over several runs. What comes in one differs by more than what is promised leaves room for: a tenth of the
/// requests is four fifths of the work.
fn mean(runs: &[Figures], of: fn(&Figures) -> f64) -> f64 {
    runs.iter().map(of).sum::<f64>() / runs.len() as f64
}

fn assert_waits(figures: &Figures) {
    assert!(figures.wait_p99 <= 2.0, "{} at {}: {} s", figures.workload, figures.load, figures.wait_p99);
}

#[tokio::test(start_paused = true)]
async fn one_class_keeps_its_goodput_at_twice_the_load() {
    let figures = at(SPREAD, 2.0, 600.0).await;
    assert!(figures.share >= 0.95, "{}", figures.share);
    assert_waits(&figures);
}

#[tokio::test(start_paused = true)]
async fn one_class_keeps_its_goodput_at_ten_times_the_load() {
    let figures = at(SPREAD, 10.0, 300.0).await;
    assert!(figures.share >= 0.90, "{}", figures.share);
    assert_waits(&figures);
}

#[tokio::test(start_paused = true)]
async fn two_classes_keep_their_goodput_and_few_of_those_let_in_are_dropped() {
    for (load, seeds) in [(1.2, 16), (2.0, 4)] {
        let mut runs = Vec::new();
        for seed in 0..seeds {
            let workload = Workload::steady(Sizes::Two, false, load, 1_000.0).seeded(seed);
            runs.push(measured(&workload).await);
        }
        let (share, dropped) = (mean(&runs, |f| f.share), mean(&runs, |f| f.dropped_of_admitted));
        println!("{load}: goodput {share:.3}, dropped {dropped:.3}");
        assert!(share >= 0.95, "at {load}: {share}");
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
