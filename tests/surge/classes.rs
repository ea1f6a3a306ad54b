//! Classes under overload.

use super::*;

#[tokio::test(start_paused = true)]
async fn the_high_class_is_served_at_ten_times_the_load() {
    let figures = measured(&Workload::classes(10.0, 400.0)).await;
    let high = &figures.parts["high"];
    let served = high.useful as f64 / high.requests as f64;
    assert!(high.requests > 1_000 && served >= 0.994, "{served} of {}", high.requests);
    assert!(figures.share >= 0.90, "{}", figures.share);
    // Those of the high class who come later take the turns of those who are in.
    assert!(figures.dropped_of_admitted <= 0.30, "{}", figures.dropped_of_admitted);
}
