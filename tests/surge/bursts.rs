//! Bursts: nobody can serve all that comes, since what waits for the slots does not outlast the pauses.

use super::*;

/// Holds on to as much of the work as one that lets everyone in and drops only who has waited for too long, which has the most
/// to choose from when a burst is over.
#[tokio::test(start_paused = true)]
async fn bursts_cost_little_more_than_where_everyone_may_wait() {
    for load in [2.0, 10.0] {
        let workload = Workload::steady(SPREAD, true, load, 300.0);
        let figures = measured(&workload).await;
        let patient = measured_of("longest wait", &workload).await;
        assert!(figures.share >= 0.9 * patient.share, "at {load}: {} against {}", figures.share, patient.share);
    }
}
