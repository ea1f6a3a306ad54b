//! Bad configuration is refused when the pipeline is built, all of it at once.

use std::time::Duration;

use prompt_orchestrator::prelude::*;
use prompt_orchestrator::tenants::{Limit, Tenants};

use crate::{MS, SECOND, Work, hold, slots};

fn faults<Out: Send + 'static>(built: Result<Pipeline<Work, Out>, BuildError>) -> Vec<String> {
    built.expect_err("it cannot be built").faults().iter().map(ToString::to_string).collect()
}

#[test]
fn all_faults_are_told_at_once() {
    let codel = ShedPolicy::CoDel(CoDel::new(SECOND, 100 * MS));
    let first = StageConfig::new().max_wait(Duration::ZERO).aging(Duration::ZERO).shed(codel);
    let second = StageConfig::new().slots(slots(1)).expected(Duration::ZERO).shed(ShedPolicy::Predictive);
    let tenants =
        Tenants::new().weight("a", -1.0).weight("b", f64::NAN).default_limit(Limit::new().requests_per_second(0));
    let built = Pipeline::builder("faulty")
        .tenants(tenants)
        .then_with("first", first, |_cx, work: Work| async move { Ok::<_, BoxError>(work) })
        .then_with("second", second, |_cx, work: Work| hold(work.0))
        .build();
    let told = faults(built);
    for expected in ["max_wait", "aging", "CoDel target above its interval", "expected", "predicts at the door"] {
        assert_eq!(told.iter().filter(|fault| fault.contains(expected)).count(), 1, "{expected}: {told:#?}");
    }
    assert!(
        told.iter().any(|fault| fault.contains("tenant `a`")) && told.iter().any(|fault| fault.contains("tenant `b`"))
    );
    assert!(told.iter().any(|fault| fault.contains("requests_per_second")), "{told:#?}");
}

#[test]
fn a_door_predicts_nothing_without_slots() {
    let config = StageConfig::new().shed(ShedPolicy::Predictive).expected(SECOND);
    let told = faults(Pipeline::builder("bare").then_with("work", config, |_cx, work: Work| hold(work.0)).build());
    assert_eq!(told.len(), 2, "{told:#?}");
    assert!(told.iter().all(|fault| fault.contains("slots")), "{told:#?}");
}
