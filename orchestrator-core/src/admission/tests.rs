//! What a ledger decides, in small cases that can be worked out by hand.

use super::{Ask, Key, Ledger, Size, Supply, Tokens};
use crate::error::RefuseReason;
use crate::queue::NEVER;

const S: u64 = 1_000_000_000;

/// A request of one second that can wait for two.
const ONE: Ask<'_> = Ask {
    class: 1,
    tenant: None,
    weight: 1.0,
    size: Size::Time(1.0),
    expected: None,
    deadline: NEVER,
    max_wait: 2 * S,
    aging: NEVER,
    before: 0,
};
const TWO_SLOTS: Supply = Supply { slots: 2, probe: 5.0 };

/// A ledger whose two slots have just been taken by requests of one second.
fn full() -> (Ledger, [Key; 2]) {
    let mut ledger = Ledger::new();
    let keys = [(); 2].map(|()| ledger.ask(&ONE, 0, TWO_SLOTS).expect("free slots"));
    keys.into_iter().for_each(|key| ledger.start(key, 0));
    (ledger, keys)
}

/// Books so many.
fn fill(ledger: &mut Ledger, count: usize, ask: &Ask<'_>) {
    for _ in 0..count {
        ledger.book(ask, 0);
    }
}

fn near(a: f64, b: f64) -> bool {
    (a - b).abs() < 1e-6
}

#[test]
fn lets_in_what_gets_a_slot_within_its_longest_wait() {
    let (mut ledger, _) = full();
    assert!(near(ledger.predicted(&ONE, 0), 1.0));
    fill(&mut ledger, 1, &ONE);
    assert!(ledger.ask(&ONE, 0, TWO_SLOTS).is_ok(), "one and a half");
    assert!(ledger.ask(&ONE, 0, TWO_SLOTS).is_err(), "two is not less than two");
    assert!(ledger.ask(&ONE, 1, TWO_SLOTS).is_ok(), "but a moment later");
}

#[test]
fn a_refusal_says_why_how_long_and_when_to_try_again() {
    let (mut ledger, _) = full();
    fill(&mut ledger, 6, &ONE);
    let seen: Vec<_> = (0..100).map(|_| ledger.ask(&ONE, 0, TWO_SLOTS).expect_err("four seconds")).collect();
    assert!(seen.iter().all(|r| r.reason == RefuseReason::Overloaded && near(r.wait, 4.0)));
    assert!(seen.iter().all(|r| (1.6..=2.4).contains(&r.retry_after)), "{seen:?}");
    let [least, most] = [f64::min, f64::max].map(|f| seen.iter().map(|r| r.retry_after).reduce(f).expect("some"));
    assert!(least < 1.7 && most > 2.3, "spread from {least} to {most}");
}

#[test]
fn a_retry_is_never_sooner_than_one_more_request_is_done() {
    let (mut ledger, _) = full();
    let now = Ask { max_wait: 0, size: Size::Time(8.0), ..ONE };
    let refusal = ledger.ask(&now, S - 1, TWO_SLOTS).expect_err("no slot is free now");
    assert_eq!(refusal.reason, RefuseReason::Overloaded);
    assert!((3.2..=4.8).contains(&refusal.retry_after), "{refusal:?}");
}

#[test]
fn a_deadline_shortens_the_wait_by_the_work_and_by_the_stages_before() {
    let (mut ledger, _) = full();
    let by = |seconds: f64, before: u64| Ask { deadline: (seconds * 1e9) as u64, before, ..ONE };
    let key = ledger.ask(&by(2.1, 0), 0, TWO_SLOTS).expect("a second of wait, a second of work");
    ledger.abandon(key);
    assert_eq!(ledger.ask(&by(1.9, 0), 0, TWO_SLOTS).map_err(|r| r.reason), Err(RefuseReason::Overloaded));
    assert_eq!(ledger.ask(&by(0.9, 0), 0, TWO_SLOTS).map_err(|r| r.reason), Err(RefuseReason::Deadline));
    assert_eq!(ledger.ask(&by(1.5, S), 0, TWO_SLOTS).map_err(|r| r.reason), Err(RefuseReason::Deadline));
    assert!(ledger.ask(&by(2.1, S), 0, TWO_SLOTS).is_ok(), "the slots are free when it comes");
}

#[test]
fn without_a_usable_slot_it_says_when_the_server_is_looked_at_again() {
    let mut ledger = Ledger::new();
    let refusal = ledger.ask(&ONE, 0, Supply { slots: 0, probe: 5.0 }).expect_err("no slot");
    assert_eq!((refusal.reason, refusal.wait), (RefuseReason::Unavailable, 5.0));
    assert!((4.0..=6.0).contains(&refusal.retry_after));
    assert!(ledger.ask(&ONE, 0, TWO_SLOTS).is_ok());
}

#[test]
fn a_long_request_counts_for_no_more_than_the_wait_that_is_judged() {
    let (mut ledger, _) = full();
    ledger.book(&Ask { size: Size::Time(60.0), ..ONE }, 0);
    assert!(near(ledger.predicted(&ONE, 0), 31.0));
    assert!(ledger.ask(&ONE, 1, TWO_SLOTS).is_ok(), "it takes one of the two slots, and leaves the other");
}

#[test]
fn what_runs_counts_for_what_is_left_and_for_half_its_age_once_it_is_overdue() {
    let (mut ledger, [first, _]) = full();
    assert!(near(ledger.predicted(&ONE, S / 4), 0.75));
    assert!(near(ledger.predicted(&ONE, 4 * S), 2.0), "the server seems to stand still");
    ledger.finish(first, 4 * S, true);
    assert!(near(ledger.predicted(&ONE, 4 * S), 1.0));
}

#[test]
fn higher_classes_are_ahead_and_lower_ones_are_not() {
    let (mut ledger, _) = full();
    for class in [0, 2] {
        ledger.book(&Ask { class, size: Size::Time(3.0), ..ONE }, 0);
    }
    let waits = [0, 1, 2].map(|class| ledger.predicted(&Ask { class, ..ONE }, 0));
    assert!(near(waits[0], 2.5) && near(waits[1], 2.5) && near(waits[2], 4.0), "{waits:?}");
}

#[test]
fn another_tenants_flood_counts_as_far_as_it_is_served_first() {
    let (mut ledger, _) = full();
    let of = |tenant, weight| Ask { tenant: Some(tenant), weight, ..ONE };
    fill(&mut ledger, 100, &of("flood", 1.0));
    assert!(near(ledger.predicted(&of("flood", 1.0), 0), 51.0));
    assert!(near(ledger.predicted(&of("quiet", 1.0), 0), 1.5), "until both have had one second");
    assert!(near(ledger.predicted(&of("gold", 4.0), 0), 1.125));
    let own = ledger.book(&of("quiet", 1.0), 0);
    assert!(near(ledger.predicted(&of("quiet", 1.0), 0), 2.5), "its own one, and two of the flood");
    ledger.start(own, 0);
    assert!(near(ledger.predicted(&of("quiet", 1.0), 0), 1.5 + 1.0), "it has had its turn");
}

#[test]
fn a_lower_class_that_becomes_overdue_first_is_ahead() {
    let (mut ledger, _) = full();
    fill(&mut ledger, 2, &Ask { class: 2, aging: S / 4, ..ONE });
    let high = Ask { class: 0, ..ONE };
    assert!(near(ledger.predicted(&high, 0), 2.0), "overdue after half a second, and it waits for one");
    let mut patient = full().0;
    fill(&mut patient, 2, &Ask { class: 2, aging: S, ..ONE });
    assert!(near(patient.predicted(&high, 0), 1.0));
}

#[test]
fn the_lowest_class_waits_until_it_is_overdue_at_most() {
    let (mut ledger, _) = full();
    fill(&mut ledger, 40, &Ask { class: 0, ..ONE });
    let low = |aging| Ask { class: 2, aging, ..ONE };
    assert!(near(ledger.predicted(&low(NEVER), 0), 21.0));
    let wait = ledger.predicted(&low(2 * S), 0);
    assert!((4.0..4.3).contains(&wait), "{wait}");
    fill(&mut ledger, 6, &low(S / 2));
    let wait = ledger.predicted(&low(S), 0);
    assert!((7.0..7.3).contains(&wait), "after the first, twice three seconds of what is overdue before: {wait}");
}

#[test]
fn what_is_still_in_the_stages_before_counts_when_it_comes() {
    let mut ledger = Ledger::new();
    let later = Ask { before: 3 * S, ..ONE };
    let burst = (0..100).filter(|_| ledger.ask(&later, 0, TWO_SLOTS).is_ok()).count();
    assert!((4..=6).contains(&burst), "two seconds of two slots, though both are free now: {burst}");

    let mut steady = Ledger::new();
    let admitted = (0..60_u64).filter(|i| steady.ask(&later, i * S / 20, TWO_SLOTS).is_ok()).count();
    assert!((8..=12).contains(&admitted), "and two for each second in which they come: {admitted}");
}

#[test]
fn the_tenant_is_charged_its_estimate_and_then_what_it_was() {
    let mut ledger = Ledger::new();
    let key = ledger.book(&Ask { tenant: Some("a"), weight: 2.0, size: Size::Time(3.0), ..ONE }, 0);
    let other = ledger.book(&Ask { tenant: Some("a"), weight: 2.0, ..ONE }, 0);
    assert_eq!(ledger.counter(key), 0.0);
    ledger.start(key, 0);
    assert!(near(ledger.counter(other), 1.5));
    ledger.finish(key, 4 * S, true);
    assert!(near(ledger.counter(other), 2.0));
    ledger.abandon(other);
    assert!(ledger.is_blank());
}

#[test]
fn what_is_cancelled_teaches_nothing_and_is_charged_for_its_time() {
    let mut ledger = Ledger::new();
    let ask = Ask { size: Size::Unknown, tenant: Some("a"), ..ONE };
    let other = ledger.book(&ask, 0);
    for _ in 0..50 {
        let key = ledger.book(&ask, 0);
        ledger.start(key, 0);
        ledger.abandon(key);
        ledger.finish(key, S / 10, false);
    }
    assert_eq!(ledger.estimated(&ask), 1.0);
    assert!(near(ledger.counter(other), 5.0));
}

#[test]
fn the_least_that_a_request_needs_is_learned() {
    let mut ledger = Ledger::new();
    let [key, other] = [(); 2].map(|()| ledger.book(&ONE, 0));
    assert_eq!(ledger.least_service(key), 0.0);
    serve(&mut ledger, &ONE, 200, |i| 0.5 + f64::from(i % 10) / 10.0, |_| None);
    let least = ledger.least_service(key);
    assert!((0.4..=0.61).contains(&least), "{least}");
    ledger.abandon(other);
    assert_eq!(ledger.least_service(key), 0.0, "nobody else has a use for the slot");
}

#[test]
fn an_idle_server_is_asked_whatever_is_thought_of_it() {
    let (mut ledger, keys) = full();
    let hurried = Ask { deadline: S / 2, ..ONE };
    assert_eq!(ledger.ask(&hurried, 0, TWO_SLOTS).expect_err("it takes a second").reason, RefuseReason::Deadline);
    keys.into_iter().for_each(|key| ledger.finish(key, 0, false));
    assert!(ledger.ask(&hurried, 0, TWO_SLOTS).is_ok());
}

#[test]
fn sizes_that_are_not_told_are_the_mean_and_the_prior_weighs_as_four() {
    let mut ledger = Ledger::new();
    let ask = Ask { size: Size::Unknown, expected: Some(5.0), ..ONE };
    assert_eq!(ledger.estimated(&ask), 5.0);
    serve(&mut ledger, &ask, 4, |_| 1.0, |_| None);
    assert!((2.9..3.1).contains(&ledger.estimated(&ask)));
    serve(&mut ledger, &ask, 200, |_| 1.0, |_| None);
    assert!((0.98..1.05).contains(&ledger.estimated(&ask)));
}

#[test]
fn times_that_are_told_wrong_are_corrected_as_they_turn_out() {
    let mut ledger = Ledger::new();
    serve(&mut ledger, &ONE, 200, |_| 3.0, |_| None);
    let estimate = ledger.estimated(&Ask { size: Size::Time(2.0), ..ONE });
    assert!((5.9..6.1).contains(&estimate), "{estimate}");
}

#[test]
fn sizes_that_cannot_be_meant_spoil_nothing_for_the_others() {
    let (mut ledger, _) = full();
    let told = |seconds| Ask { size: Size::Time(seconds), ..ONE };
    for seconds in [1.0, 0.0, 1.0, 0.001, 1.0, 1_000.0].repeat(40) {
        serve(&mut ledger, &told(seconds), 1, |_| 1.0, |_| None);
    }
    assert!((0.99..1.01).contains(&ledger.estimated(&ONE)), "{}", ledger.estimated(&ONE));
    let wait = ledger.predicted(&ONE, 0);
    assert!((0.9..1.2).contains(&wait), "two seconds of work are in two slots: {wait}");
}

#[test]
fn tokens_are_learned_from_what_the_server_measured() {
    let mut ledger = Ledger::new();
    let cost = |prompt: f64, output: f64| 0.1 + prompt / 2_000.0 + (output - 1.0) / 50.0;
    let prompt = |i: u32| u64::from(i * 37 % 400);
    let ask = |prompt| Ask { size: Size::Tokens { prompt, limit: Some(100), model: 7 }, ..ONE };
    for i in 0..300 {
        let tokens = Tokens { prompt: prompt(i), cached: 0, completion: 80, first_token: cost(prompt(i) as f64, 1.0) };
        serve(&mut ledger, &ask(prompt(i)), 1, |_| cost(prompt(i) as f64, 80.0), |_| Some(tokens));
    }
    for prompt in [10, 1_000, 4_000] {
        let (estimate, really) = (ledger.estimated(&ask(prompt)), cost(prompt as f64, 80.0));
        assert!((estimate / really - 1.0).abs() < 0.1, "{prompt}: {estimate} for {really}");
    }
}

/// Serves `runs` requests one after the other.
fn serve(
    ledger: &mut Ledger,
    ask: &Ask<'_>,
    runs: u32,
    took: impl Fn(u32) -> f64,
    tokens: impl Fn(u32) -> Option<Tokens>,
) {
    for i in 0..runs {
        let key = ledger.book(ask, 0);
        ledger.start(key, 0);
        if let Some(tokens) = tokens(i) {
            ledger.measured(key, tokens);
        }
        ledger.finish(key, (took(i) * 1e9) as u64, true);
    }
}

#[test]
fn what_is_cancelled_early_does_not_make_the_server_look_fast() {
    let (mut ledger, mut running) = full();
    let mut now = 0;
    for _ in 0..400 {
        now += S / 10;
        for key in &mut running {
            ledger.abandon(*key);
            ledger.finish(*key, now, false);
            *key = ledger.book(&ONE, now);
            ledger.start(*key, now);
        }
    }
    let wait = ledger.predicted(&ONE, now);
    assert!((0.9..1.1).contains(&wait), "{wait}");
}

#[test]
fn a_server_that_was_slow_is_still_thought_so_after_it_took_nothing_for_a_while() {
    let (mut ledger, mut running) = full();
    let mut now = 0;
    for _ in 0..400 {
        now += 3 * S;
        for key in &mut running {
            ledger.finish(*key, now, false);
            *key = ledger.book(&ONE, now);
            ledger.start(*key, now);
        }
    }
    let wait = ledger.predicted(&ONE, now);
    assert!((2.7..3.3).contains(&wait), "a second of work takes three: {wait}");
    assert!(ledger.ask(&ONE, now, Supply { slots: 0, probe: 1.0 }).is_err());
    let key = ledger.ask(&ONE, now, TWO_SLOTS).expect("it takes requests again");
    ledger.abandon(key);
    assert_eq!(ledger.predicted(&ONE, now), wait);
}
