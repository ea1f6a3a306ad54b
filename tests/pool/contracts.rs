//! The suite that every worker is held to, through all wrappers.

use std::time::Duration;

use prompt_orchestrator::openai::OpenAi;
use prompt_orchestrator::pool::{FailOver, Member, Pace, Pool, Retry};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::Script;
use prompt_orchestrator::testing::conformance::{self, Dialect, Suite, Target};
use prompt_orchestrator::worker::WorkerInfo;

use crate::common::count;
use crate::fleet::{Actor, Fleet, Limits};
use crate::scripted::script;
use crate::story::{Act, Begun};

/// What a member does, call by call: fewer failures than its breaker minds.
const ACTS: [Act; 18] = {
    let mut acts = [Act::Answers; 18];
    acts[1] = Act::Status(503);
    acts[7] = Act::CutAfter(3);
    acts[13] = Act::Resets;
    acts
};

#[tokio::test]
async fn scripted_members_that_fail_keep_the_contract_together() {
    let member = |name: &str, from: usize| {
        let script = move |call, request: &InferenceRequest| {
            script(Script::new().yields(), ACTS[(call + from) % ACTS.len()], request)
        };
        Actor::new(WorkerInfo::new(name), script).begun(Begun::GoesOn)
    };
    let (one, other) = (member("one", 0), member("other", 9));
    let fleet = Fleet::of(one.clone(), other.clone(), Limits::in_life());
    let probe = move || one.stats().live + other.stats().live;
    conformance::check(fleet.worker.clone()).in_flight(probe).run().await.assert();
    let failures: u64 = fleet.pool.stats().members.iter().map(|member| member.failures).sum();
    assert!(failures > 2, "{failures} failures show nothing");
}

/// Whatever a server does on the wire, the same comes out of all wrappers as of the worker alone. Asked twice at most, as the
/// suite waits no longer than ten seconds.
#[tokio::test]
async fn a_pool_of_http_workers_keeps_the_contract() {
    let make = |target: Target| async move {
        let builder = OpenAi::builder().base_url(target.base_url).key(target.key).timeouts(target.timeouts);
        let worker = builder.slots(count(2)).build().expect("the settings can be used");
        let pool = Pool::builder("fleet").member(Member::new("only", worker)).build().expect("one member");
        let pace = Pace::new().attempts(2).backoff(Duration::from_millis(10), Duration::from_millis(20));
        FailOver::new(Retry::new(pool).pace(pace)).pace(pace)
    };
    Suite::new(Dialect::openai_chat(), make).run().await.assert();
}
