//! A load that changes at once.

use super::*;

/// How long the goodput may be below 95 % after a step.
const BACK: f64 = 0.5;

async fn recovers(peak: f64, surge: f64) {
    let figures = measured(&Workload::step(peak, surge)).await;
    assert_eq!(figures.recovery.len(), 2, "up and down");
    for after in &figures.recovery {
        assert!(*after <= BACK + 1e-9, "{after} s: {:#?}", figures.series);
    }
    assert!(figures.turned_away > 0.05, "the surge is more than the slots can do");
    assert!(figures.wait_p99 <= 2.001 + 1e-9, "{}", figures.wait_p99);
}

#[tokio::test(start_paused = true)]
async fn the_goodput_is_back_after_a_step_of_a_little_too_much() {
    recovers(1.4, 8.0).await;
}

#[tokio::test(start_paused = true)]
async fn the_goodput_is_back_after_a_step_of_ten_times_too_much() {
    recovers(10.0, 2.0).await;
}

/// So that a recovery can be seen to be missing.
#[tokio::test(start_paused = true)]
async fn an_unbounded_queue_does_not_recover() {
    let figures = measured_of("unbounded", &Workload::step(10.0, 1.0)).await;
    assert!(figures.recovery[1] >= 3.0, "{:?}", figures.recovery);
}
