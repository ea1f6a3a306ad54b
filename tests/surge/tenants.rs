//! One tenant's flood, and the others.

use super::*;
use figures::{Part, fairness};
use workload::{MODEST, TENANTS};

const SECONDS: f64 = 600.0;

fn others(figures: &Figures) -> impl Iterator<Item = (&String, &Part)> {
    figures.parts.iter().filter(|(tenant, _)| *tenant != "tenant 0")
}

#[tokio::test(start_paused = true)]
async fn a_flood_leaves_the_other_tenants_what_they_had() {
    let alone = measured(&Workload::tenants(MODEST, SECONDS)).await;
    let flooded = measured(&Workload::tenants(10.0, SECONDS)).await;
    for ((tenant, before), (_, after)) in others(&alone).zip(others(&flooded)) {
        assert_eq!(before.requests, after.requests, "{tenant} sends the same");
        let kept = after.served / before.served;
        assert!(kept >= 0.95, "{tenant} keeps {kept}");
    }
    let share = flooded.counted * flooded.slots / TENANTS as f64;
    let index = fairness(flooded.parts.values(), share);
    assert!(index >= 0.95, "{index}");
    // Tenants who come later and have had less go before what the one who floods has in.
    assert!(flooded.dropped_of_admitted <= 0.30, "{}", flooded.dropped_of_admitted);
    assert!(flooded.share >= 0.95, "the flood may have what nobody else wants: {}", flooded.share);
}

/// The same requests in the same queue, which is not told whose they are: what shows above that fairness is at work.
#[tokio::test(start_paused = true)]
async fn a_flood_takes_the_other_tenants_slots_where_nobody_knows_whose_requests_are_whose() {
    let alone = measured(&Workload::tenants(MODEST, SECONDS).nameless()).await;
    let flooded = measured(&Workload::tenants(10.0, SECONDS).nameless()).await;
    for ((tenant, before), (_, after)) in others(&alone).zip(others(&flooded)) {
        assert!(after.served < 0.7 * before.served, "{tenant} keeps {}", after.served / before.served);
    }
}
