use std::sync::Arc;

use metrics::Unit::{Count, Seconds};
use metrics::{Label, counter, describe_counter, describe_gauge, gauge};
use workers_pool::{MemberStats, Pool};

const MEMBER_STATES: [&str; 4] = ["serving", "draining", "unavailable", "ejected"];
const BREAKER_STATES: [&str; 4] = ["closed", "resting", "open", "half-open"];

/// Passes the figures of pools, each with the name that it is to have, on to the `metrics` facade.
///
/// A pool keeps them itself and is only read, so this is for whoever is about to [render](crate::Metrics::render) metrics,
/// however many do. A member that has left its pool keeps its last figures.
pub fn record_pools(pools: &[(Arc<str>, Pool)]) {
    describe();
    for (pool, workers) in pools {
        for member in workers.stats().members {
            let labels = [Label::new("pool", pool.to_string()), Label::new("member", member.name.clone())];
            record_states(&labels, &member);
            record_load(&labels, &member);
            record_work(&labels, &member);
        }
    }
}

fn with(labels: &[Label; 2], key: &'static str, value: &'static str) -> Vec<Label> {
    [&labels[..], &[Label::from_static_parts(key, value)]].concat()
}

/// One gauge for each state that there is, 1 for the one that is: so a dashboard can draw them, and an alert ask for one.
fn record_states(labels: &[Label; 2], member: &MemberStats) {
    for state in MEMBER_STATES {
        let is = f64::from(state == member.state.as_str());
        gauge!("orchestrator_pool_member_state", with(labels, "state", state)).set(is);
    }
    for state in BREAKER_STATES {
        let is = f64::from(state == member.breaker.state.as_str());
        gauge!("orchestrator_pool_breaker_state", with(labels, "state", state)).set(is);
    }
}

fn record_load(labels: &[Label; 2], member: &MemberStats) {
    gauge!("orchestrator_pool_in_flight", labels.iter()).set(member.in_flight as f64);
    gauge!("orchestrator_pool_slots", labels.iter()).set(member.slots as f64);
    gauge!("orchestrator_pool_free_slots", labels.iter()).set(member.free as f64);
    if let Some(first_token) = member.first_token {
        gauge!("orchestrator_pool_first_token_seconds", labels.iter()).set(first_token.as_secs_f64());
    }
}

fn record_work(labels: &[Label; 2], member: &MemberStats) {
    counter!("orchestrator_pool_calls_total", labels.iter()).absolute(member.calls);
    counter!("orchestrator_pool_failures_total", labels.iter()).absolute(member.failures);
    counter!("orchestrator_pool_breaker_opened_total", labels.iter()).absolute(member.breaker.opened);
    let usage = &member.usage;
    let kinds =
        [("prompt", usage.prompt_tokens), ("cached", usage.cached_tokens), ("completion", usage.completion_tokens)];
    for (kind, tokens) in kinds {
        counter!("orchestrator_pool_tokens_total", with(labels, "kind", kind)).absolute(tokens);
    }
}

fn describe() {
    describe_gauge!("orchestrator_pool_member_state", Count, "1 for the state that a member is in, 0 for the others");
    describe_gauge!(
        "orchestrator_pool_breaker_state",
        Count,
        "1 for the state that its breaker is in, 0 for the others"
    );
    describe_gauge!("orchestrator_pool_in_flight", Count, "calls that a member works on");
    describe_gauge!("orchestrator_pool_slots", Count, "slots that a member has");
    describe_gauge!("orchestrator_pool_free_slots", Count, "slots of a member that are free");
    describe_gauge!("orchestrator_pool_first_token_seconds", Seconds, "how long a member's first tokens take");
    describe_counter!("orchestrator_pool_calls_total", Count, "calls of a member");
    describe_counter!("orchestrator_pool_failures_total", Count, "calls of a member that failed");
    describe_counter!("orchestrator_pool_breaker_opened_total", Count, "how often the breaker of a member opened");
    describe_counter!("orchestrator_pool_tokens_total", Count, "tokens of a member's calls, as it counted them");
}

#[cfg(test)]
mod tests;
