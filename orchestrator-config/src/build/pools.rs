use std::collections::BTreeMap;
use std::sync::Arc;

use workers_pool::policy::{Cheapest, LeastOutstanding, Ordered, PeakEwma, RoundRobin, SessionAffinity, Weighted};
use workers_pool::{BreakerConfig, BuildError, Member, Pool, PoolBuilder};

use super::workers::Connected;
use crate::file::{self, Policy, Time};

/// How long a first token may take for the cheapest member, unless the file says otherwise.
const GOAL: Time = Time::secs(2);

/// Makes a pool of workers that are there.
pub(super) fn pool(
    name: &str,
    settings: &file::Pool,
    workers: &BTreeMap<String, Connected>,
) -> Result<Pool, BuildError> {
    let builder =
        Pool::builder(name).health_every(std::time::Duration::from(settings.health_every)).waiting(settings.waiting);
    let builder =
        settings.members.iter().fold(policy(builder, settings), |builder, member| match workers.get(member.worker()) {
            Some(worker) => builder.member(self::member(member, worker, &settings.breaker)),
            None => builder,
        });
    builder.build()
}

fn policy(builder: PoolBuilder, settings: &file::Pool) -> PoolBuilder {
    match settings.policy {
        Policy::PeakEwma => builder.policy(PeakEwma::default()),
        Policy::RoundRobin => builder.policy(RoundRobin::default()),
        Policy::Weighted => builder.policy(Weighted::default()),
        Policy::LeastOutstanding => builder.policy(LeastOutstanding::default()),
        Policy::Ordered => builder.policy(Ordered::new()),
        Policy::Cheapest => builder.policy(Cheapest::within(settings.goal.unwrap_or(GOAL).into())),
        Policy::SessionAffinity => {
            let affinity = SessionAffinity::new();
            builder.policy(match settings.bound {
                Some(bound) => affinity.bound(bound),
                None => affinity,
            })
        }
    }
}

fn member(settings: &file::Member, worker: &Connected, breaker: &file::Breaker) -> Member {
    let mut member = Member::new(settings.worker(), worker.worker.clone());
    let more = settings.settings();
    let breaker = more.and_then(|more| more.breaker.as_ref()).unwrap_or(breaker);
    member = member.breaker(self::breaker(breaker));
    if let Some(embedder) = &worker.embedder {
        member = member.embedder(Arc::clone(embedder));
    }
    let Some(more) = more else { return member };
    if let Some(weight) = more.weight {
        member = member.weight(weight);
    }
    if let Some(cost) = more.cost {
        member = member.cost(cost);
    }
    if let Some(calls) = more.in_flight {
        member = member.in_flight(calls.get());
    }
    if let Some(timeouts) = more.timeouts {
        member = member.timeouts(timeouts.into());
    }
    more.serves.iter().fold(member, |member, model| member.serves(model))
}

fn breaker(settings: &file::Breaker) -> BreakerConfig {
    let config = BreakerConfig::new()
        .failure_rate(settings.failure_rate)
        .slow_rate(settings.slow_rate)
        .window(settings.window.into())
        .least_calls(settings.least_calls)
        .in_a_row(settings.in_a_row)
        .pauses(settings.first_pause.into(), settings.longest_pause.into());
    match settings.slow_call {
        Some(above) => config.slow_call(above.into()),
        None => config,
    }
}
