//! What a door that predicts and turns among tenants cost where nothing has to be refused.

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use prompt_orchestrator::prelude::*;

use crate::baseline::DEPTH;
use crate::harness::{Goal, Harness};
use crate::hops::{Caller, Item, Noop, Round, STAGES, closed_loop, two_threads};

const IN_FLIGHT: usize = 64;
const TENANTS: usize = 8;

/// Callers of one pipeline, each with its tenant where there are any.
#[derive(Clone)]
struct Tenants {
    pipeline: Pipeline<Item, Item>,
    names: Arc<[Arc<str>]>,
}

impl Caller for Tenants {
    async fn call(&self, number: u64, now: Instant) {
        let mut options = RequestOptions::new().deadline((now + Duration::from_secs(30)).into());
        if !self.names.is_empty() {
            options.tenant = Some(self.names[number as usize % self.names.len()].clone());
        }
        let mut answer = self.pipeline.submit_with(Item([number; 7]), options).await.expect("let in");
        assert_eq!(answer.output().await.expect("answered").0[6], number);
    }
}

/// Five stages that do nothing, of which the middle one takes slots if there are any; there are as many as requests.
fn callers(policy: ShedPolicy, slots: Option<Slots>, tenants: usize) -> Tenants {
    let plain = || StageConfig::new().depth(DEPTH);
    let middle = match slots {
        Some(slots) => plain().slots(slots),
        None => plain().concurrency(IN_FLIGHT),
    };
    let first = Pipeline::builder("admission").stage_with(Noop, plain().shed(policy));
    let stage = |number: usize| if number == STAGES / 2 { middle.clone() } else { plain() };
    let builder = (1..STAGES).fold(first, |builder, number| builder.stage_with(Noop, stage(number)));
    let names = (0..tenants).map(|number| format!("tenant-{number}").into()).collect();
    Tenants { pipeline: builder.build().expect("the plan is sound"), names }
}

pub(crate) fn run(harness: &mut Harness) {
    let runtime = two_threads();
    let slots = || Some(Slots::new(NonZeroUsize::new(IN_FLIGHT).expect("not zero")));
    let time = harness.round_time();
    let throughput = |(bare, ours): &(Round, Round)| ours.per_second / bare.per_second;
    let ours = callers(ShedPolicy::Predictive, slots(), TENANTS);
    for (name, goal, baseline) in [
        ("admission/64 throughput", Goal::AtLeast(0.85), callers(ShedPolicy::RejectNew, slots(), 0)),
        ("admission/64 against no slots", Goal::None, callers(ShedPolicy::RejectNew, None, 0)),
    ] {
        if harness.wants(name) {
            let pairs = harness.pairs(
                || closed_loop(&runtime, IN_FLIGHT, time, &baseline),
                || closed_loop(&runtime, IN_FLIGHT, time, &ours),
            );
            harness.ratio(name, goal, pairs.iter().map(throughput));
        }
    }
}
