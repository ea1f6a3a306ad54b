use std::time::Duration;

use proptest::prelude::*;
use tokio::time::{Instant, advance};

use super::{Limit, OverLimit, Tenants};

/// How many requests of a tenant pass at this moment.
fn passing(tenants: &Tenants, tenant: Option<&str>) -> usize {
    (0..1_000).take_while(|_| tenants.check(tenant, None).is_ok()).count()
}

/// How long a request that is refused now has to wait.
fn wait(tenants: &Tenants, tenant: &str, tokens: Option<u64>) -> Duration {
    match tenants.check(Some(tenant), tokens) {
        Err(OverLimit::Until(wait)) => wait,
        other => panic!("expected to wait, got {other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn a_burst_passes_at_once_and_then_the_rate() {
    let tenants = Tenants::new().limit("a", Limit::new().requests_per_second(5).burst(20));
    assert_eq!(passing(&tenants, Some("a")), 20);
    for _ in 0..50 {
        advance(Duration::from_millis(200)).await;
        assert_eq!(passing(&tenants, Some("a")), 1);
    }
    advance(Duration::from_millis(1_000)).await;
    assert_eq!(passing(&tenants, Some("a")), 5);
    advance(Duration::from_secs(3_600)).await;
    assert_eq!(passing(&tenants, Some("a")), 20, "no more is saved up than the burst");
}

#[tokio::test(start_paused = true)]
async fn without_a_burst_one_seconds_worth_passes_at_once() {
    let tenants = Tenants::new().limit("a", Limit::new().requests_per_second(7));
    assert_eq!(passing(&tenants, Some("a")), 7);
    advance(Duration::from_secs(60)).await;
    assert_eq!(passing(&tenants, Some("a")), 7);
}

#[tokio::test(start_paused = true)]
async fn a_minutes_worth_of_tokens_passes_at_once_and_comes_back_in_a_minute() {
    let tenants = Tenants::new().limit("a", Limit::new().tokens_per_minute(6_000));
    tenants.check(Some("a"), Some(6_000)).expect("a minute's worth");
    assert_eq!(wait(&tenants, "a", Some(1)), Duration::from_millis(10));
    assert_eq!(wait(&tenants, "a", Some(3_000)), Duration::from_secs(30));
    advance(Duration::from_secs(30)).await;
    tenants.check(Some("a"), Some(3_000)).expect("half a minute's worth");
    assert_eq!(wait(&tenants, "a", Some(1)), Duration::from_millis(10));
}

#[tokio::test(start_paused = true)]
async fn requests_whose_tokens_nobody_knows_cost_none() {
    let tenants = Tenants::new().limit("a", Limit::new().tokens_per_minute(10));
    tenants.check(Some("a"), Some(10)).expect("a minute's worth");
    tenants.check(Some("a"), None).expect("unknown");
    tenants.check(Some("a"), Some(0)).expect("none");
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_for_its_tokens_uses_up_no_request() {
    let tenants = Tenants::new().limit("a", Limit::new().requests_per_second(2).tokens_per_minute(600));
    tenants.check(Some("a"), Some(600)).expect("a minute's worth");
    for _ in 0..5 {
        assert_eq!(wait(&tenants, "a", Some(10)), Duration::from_secs(1));
    }
    tenants.check(Some("a"), None).expect("the second request of this second");
    assert_eq!(wait(&tenants, "a", None), Duration::from_millis(500));
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_as_one_request_too_many_uses_up_no_tokens() {
    let tenants = Tenants::new().limit("a", Limit::new().requests_per_second(1).tokens_per_minute(600));
    tenants.check(Some("a"), Some(100)).expect("the first");
    for _ in 0..5 {
        assert_eq!(wait(&tenants, "a", Some(100)), Duration::from_secs(1));
    }
    advance(Duration::from_secs(1)).await;
    tenants.check(Some("a"), Some(510)).expect("what is left, and what came back within a second");
}

#[tokio::test(start_paused = true)]
async fn the_longer_of_two_waits_is_told() {
    let tenants = Tenants::new().limit("a", Limit::new().requests_per_second(1).tokens_per_minute(60));
    tenants.check(Some("a"), Some(60)).expect("all of both");
    assert_eq!(wait(&tenants, "a", None), Duration::from_secs(1));
    assert_eq!(wait(&tenants, "a", Some(3)), Duration::from_secs(3));
    advance(Duration::from_secs(3)).await;
    tenants.check(Some("a"), Some(3)).expect("both are there again");
}

#[tokio::test(start_paused = true)]
async fn more_tokens_than_a_minutes_worth_never_pass_and_cost_nothing() {
    let limit = Limit::new().requests_per_second(1).tokens_per_minute(100);
    let tenants = Tenants::new().limit("a", limit).default_limit(limit);
    for tenant in ["a", "other"] {
        for tokens in [101, u64::from(u32::MAX) + 1, u64::MAX] {
            match tenants.check(Some(tenant), Some(tokens)) {
                Err(OverLimit::Never(invalid)) => assert_eq!(invalid.field(), "tokens"),
                other => panic!("{other:?}"),
            }
        }
        tenants.check(Some(tenant), Some(100)).expect("nothing was charged");
    }
}

#[tokio::test(start_paused = true)]
async fn the_slowest_rate_and_the_largest_numbers_do_not_overflow() {
    let slow = Tenants::new().default_limit(Limit::new().requests_per_second(1).burst(u32::MAX).tokens_per_minute(1));
    slow.check(Some("a"), Some(1)).expect("the first token");
    assert_eq!(wait(&slow, "a", Some(1)), Duration::from_secs(60));
    let fast = Tenants::new().default_limit(Limit::new().requests_per_second(u32::MAX).tokens_per_minute(u32::MAX));
    fast.check(Some("a"), Some(u32::MAX.into())).expect("a minute's worth");
    let whole = wait(&fast, "a", Some(u32::MAX.into()));
    assert!(whole >= Duration::from_secs(60), "{whole:?}");
}

#[tokio::test(start_paused = true)]
async fn no_tenant_uses_up_anothers_limit() {
    let two = Limit::new().requests_per_second(2);
    let tenants = Tenants::new().limit("named", two).default_limit(two);
    for tenant in [Some("named"), Some("a"), Some("b"), None] {
        assert_eq!(passing(&tenants, tenant), 2, "{tenant:?}");
        assert_eq!(passing(&tenants, tenant), 0, "{tenant:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn requests_without_a_tenant_are_one_tenant_with_an_empty_name() {
    let three = Limit::new().requests_per_second(3);
    let tenants = Tenants::new().limit("", three);
    assert_eq!(passing(&tenants, None), 3);
    assert_eq!(passing(&tenants, Some("")), 0);
    let tenants = Tenants::new().default_limit(three);
    assert_eq!(passing(&tenants, Some("")), 3);
    assert_eq!(passing(&tenants, None), 0);
}

#[tokio::test(start_paused = true)]
async fn an_own_limit_stands_in_place_of_the_default_one_and_a_weight_does_not() {
    let tenants = Tenants::new()
        .default_limit(Limit::new().requests_per_second(1))
        .limit("more", Limit::new().requests_per_second(9))
        .limit("free", Limit::new())
        .weight("heavy", 2.0);
    assert_eq!(passing(&tenants, Some("more")), 9);
    assert_eq!(passing(&tenants, Some("free")), 1_000);
    assert_eq!(passing(&tenants, Some("heavy")), 1);
    assert_eq!(passing(&tenants, Some("anybody")), 1);
}

#[tokio::test(start_paused = true)]
async fn without_limits_everything_passes() {
    let tenants = Tenants::new().weight("heavy", 2.0);
    tenants.check(Some("heavy"), Some(u64::MAX)).expect("no limit");
    tenants.check(None, Some(u64::MAX)).expect("no limit");
}

#[tokio::test(start_paused = true)]
async fn clones_share_what_is_counted_but_not_what_is_set_on_one() {
    let two = Limit::new().requests_per_second(2);
    let one = Tenants::new().limit("a", two).default_limit(two);
    let other = one.clone();
    for tenant in ["a", "b"] {
        assert_eq!(passing(&one, Some(tenant)), 2);
        assert_eq!(passing(&other, Some(tenant)), 0);
    }
    let changed = other.limit("a", two);
    assert_eq!(passing(&one, Some("a")), 0);
    assert_eq!(passing(&changed, Some("a")), 2, "a new limit starts anew");
    assert_eq!(passing(&changed, Some("b")), 0, "what was left as it was is still shared");
}

#[test]
fn weights_are_one_unless_set() {
    let tenants = Tenants::new().weight("gold", 4.0).weight("", 0.5).limit("limited", Limit::new());
    let of = |tenant| tenants.weight_of(tenant);
    assert_eq!([of(Some("gold")), of(None), of(Some("limited")), of(Some("other"))], [4.0, 0.5, 1.0, 1.0]);
}

#[test]
fn all_faults_are_told_at_once() {
    let zero = Limit::new().requests_per_second(0).burst(0).tokens_per_minute(0);
    let tenants = Tenants::new()
        .weight("c", f64::NAN)
        .weight("b", f64::INFINITY)
        .weight("a", -1.0)
        .weight("", 0.0)
        .limit("a", Limit::new().burst(3))
        .limit("d", zero)
        .default_limit(zero);
    let faults: Vec<_> = tenants.faults().iter().map(ToString::to_string).collect();
    let expected = [
        "`requests_per_second` of the default limit must be at least 1",
        "`burst` of the default limit must be at least 1",
        "`tokens_per_minute` of the default limit must be at least 1",
        "`weight` of requests without a tenant is 0 and must be above zero and finite",
        "`weight` of tenant `a` is -1 and must be above zero and finite",
        "`burst` of tenant `a` needs `requests_per_second`",
        "`weight` of tenant `b` is inf and must be above zero and finite",
        "`weight` of tenant `c` is NaN and must be above zero and finite",
        "`requests_per_second` of tenant `d` must be at least 1",
        "`burst` of tenant `d` must be at least 1",
        "`tokens_per_minute` of tenant `d` must be at least 1",
    ];
    assert_eq!(faults, expected);
}

#[test]
fn a_table_that_can_be_kept_has_no_faults() {
    let limit = Limit::new().requests_per_second(1).burst(1).tokens_per_minute(1);
    assert!(Tenants::new().weight("a", 0.1).limit("a", limit).default_limit(Limit::new()).faults().is_empty());
}

/// A request that passed: when, in nanoseconds, and with how many tokens.
type Passed = (u128, u64);

/// Sends requests with these pauses and tokens; one that is refused comes again when it was told to. Returns what passed.
async fn drive(limit: Limit, requests: &[(u64, u64)]) -> Result<Vec<Passed>, TestCaseError> {
    let tenants = Tenants::new().default_limit(limit);
    let start = Instant::now();
    let mut passed = Vec::new();
    for &(pause, tokens) in requests {
        advance(Duration::from_nanos(pause)).await;
        if let Err(refused) = tenants.check(Some("a"), Some(tokens)) {
            let OverLimit::Until(wait) = refused else { continue };
            advance(wait - Duration::from_nanos(1)).await;
            prop_assert_eq!(tenants.check(Some("a"), Some(tokens)), Err(OverLimit::Until(Duration::from_nanos(1))));
            advance(Duration::from_nanos(1)).await;
            prop_assert_eq!(tenants.check(Some("a"), Some(tokens)), Ok(()));
        }
        passed.push((start.elapsed().as_nanos(), tokens));
    }
    Ok(passed)
}

/// Whether in no stretch of time more passed than `burst` and `rate` in each `per` nanoseconds.
fn within(passed: &[Passed], amount: impl Fn(&Passed) -> u64, burst: u32, rate: u32, per: u128) -> bool {
    (0..passed.len()).all(|from| {
        let sums = passed[from..].iter().scan(0, |sum, one| {
            *sum += u128::from(amount(one));
            Some((one.0 - passed[from].0, *sum))
        });
        sums.into_iter().all(|(time, sum)| sum * per <= u128::from(burst) * per + u128::from(rate) * time)
    })
}

proptest! {
    #[test]
    fn never_more_passes_than_the_rate_and_the_burst_and_a_wait_is_neither_too_short_nor_too_long(
        rate in 1_u32..50,
        burst in 1_u32..20,
        tokens in 1_u32..5_000,
        requests in prop::collection::vec((0_u64..2_000_000_000, 0_u64..500), 1..60),
    ) {
        let limit = Limit::new().requests_per_second(rate).burst(burst).tokens_per_minute(tokens);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let passed = runtime.block_on(drive(limit, &requests))?;
        prop_assert!(within(&passed, |_| 1, burst, rate, 1_000_000_000));
        prop_assert!(within(&passed, |one| one.1, tokens, tokens, 60_000_000_000));
    }
}
