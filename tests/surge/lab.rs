//! The lab itself.

use super::*;

/// The part of the offered work that a server without a queue loses (Erlang's B, by the recurrence).
fn erlang_b(servers: usize, load: f64) -> f64 {
    let offered = load * servers as f64;
    (1..=servers).fold(1.0, |loss, n| offered * loss / (n as f64 + offered * loss))
}

/// Holds whatever the distribution of the sizes, and says what loads, slots, sleeping and counting come to together.
#[tokio::test(start_paused = true)]
async fn a_server_without_a_queue_loses_what_erlang_says() {
    for (sizes, load) in [(SPREAD, 0.5), (SPREAD, 1.0), (SPREAD, 3.0), (Sizes::Two, 1.0)] {
        let figures = measured_of("tower load-shed", &Workload::steady(sizes, false, load, 3_000.0)).await;
        let served = 1.0 - erlang_b(8, load);
        let expected = served * load / load.min(1.0);
        assert!((figures.share - expected).abs() < 0.015, "{} instead of {expected}", figures.share);
        assert!(
            (1.0 - figures.turned_away - served).abs() < 0.015,
            "{} served instead of {served}",
            1.0 - figures.turned_away
        );
        assert!(figures.wait_p99 < 0.002, "nobody waits without a queue");
    }
}

/// If these held their goodput, the figures of the default policy would say nothing.
#[tokio::test(start_paused = true)]
async fn an_unbounded_queue_and_one_bounded_in_items_collapse() {
    for contender in ["unbounded", "reject-new", "drop-oldest", "backpressure"] {
        for load in [2.0, 10.0] {
            let figures = measured_of(contender, &Workload::steady(SPREAD, false, load, 200.0)).await;
            assert!(figures.share < 0.1, "{contender} at {load}: {}", figures.share);
            assert!(figures.wait_p99 > 10.0, "{contender} at {load}: {}", figures.wait_p99);
        }
    }
}

/// More than half of them are dropped when they have waited for 2 s, and those served have not waited for that long.
#[tokio::test(start_paused = true)]
async fn who_is_dropped_has_waited_until_then() {
    let figures = measured_of("longest wait", &Workload::steady(SPREAD, true, 2.0, 100.0)).await;
    assert!(figures.dropped_of_admitted > 0.5, "{}", figures.dropped_of_admitted);
    assert!(figures.wait_p50 >= figures.max_wait, "{}", figures.wait_p50);
    assert!(figures.wait_p99 < figures.max_wait + 0.01, "{}", figures.wait_p99);
}

#[test]
fn arrivals_are_the_same_every_time_and_come_at_the_rate_that_was_asked_for() {
    let bursts = Workload::steady(Sizes::Two, true, 2.0, 1.0);
    let long = |workload: &Workload| workload.arrivals().take(100_000).collect::<Vec<_>>();
    let arrivals = long(&bursts);
    assert_eq!(arrivals, long(&bursts));
    let time = arrivals[arrivals.len() - 1].at.as_secs_f64();
    let work: f64 = arrivals.iter().map(|arrival| arrival.service.as_secs_f64()).sum();
    assert!((work / time / 16.0 - 1.0).abs() < 0.03, "{} slots are asked for instead of 16", work / time);

    let slow = long(&bursts.clone().scaled(10.0));
    let stretched =
        |(fast, slow): (&arrivals::Arrival, &arrivals::Arrival)| slow.at.as_secs_f64() / fast.at.as_secs_f64();
    assert!(arrivals.iter().zip(&slow).map(stretched).all(|ratio| (ratio - 10.0).abs() < 1e-3));
}

/// The others' requests are the same whether the first floods or not: what differs then is what it does to them.
#[test]
fn a_flood_leaves_the_requests_of_the_others_as_they_are() {
    let of_others = |flood: f64| {
        let all =
            Workload::tenants(flood, 1.0).arrivals().filter(|arrival| arrival.tenant.as_deref() != Some("tenant 0"));
        all.take(10_000).collect::<Vec<_>>()
    };
    assert_eq!(of_others(0.7), of_others(10.0));
}
