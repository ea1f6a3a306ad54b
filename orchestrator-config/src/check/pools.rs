use std::collections::HashSet;

use crate::fault::Problem;
use crate::file::{Breaker, Config, Member, MemberSettings, Policy, Pool, Retry, Time};
use crate::path::Path;

use super::access::{ABOVE_ZERO, above_zero, is_weight};
use super::workers::limits_of;

pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let path = Path::root().key("pools");
    let mut problems = Vec::new();
    for (name, pool) in &config.pools {
        let at = path.key(name);
        if config.workers.contains_key(name) {
            problems.push(Problem::new(at.clone(), "has the name of a worker").expected("a name of its own"));
        }
        if name.trim().is_empty() {
            problems.push(Problem::new(at.clone(), "has no name"));
        }
        problems.extend(settings(&at, pool));
        problems.extend(breaker(&at.key("breaker"), &pool.breaker));
        problems.extend(retry(&at.key("retry"), &pool.retry));
        problems.extend(members(&at.key("members"), pool, config));
        problems.extend(vectors(&at.key("members"), pool, config));
    }
    problems
}

fn settings(at: &Path, pool: &Pool) -> Vec<Problem> {
    let mut problems: Vec<_> = above_zero(at.key("health_every"), pool.health_every).into_iter().collect();
    if pool.goal.is_some() && pool.policy != Policy::Cheapest {
        problems
            .push(Problem::new(at.key("goal"), "has no meaning for this policy").expected("`policy = \"cheapest\"`"));
    }
    problems.extend(pool.goal.and_then(|goal| above_zero(at.key("goal"), goal)));
    if let Some(bound) = pool.bound {
        if pool.policy != Policy::SessionAffinity {
            let problem = Problem::new(at.key("bound"), "has no meaning for this policy");
            problems.push(problem.expected("`policy = \"session-affinity\"`"));
        } else if !(bound.is_finite() && bound >= 1.0) {
            problems.push(Problem::new(at.key("bound"), format!("is {bound}")).expected("a number, at least 1"));
        }
    }
    problems
}

fn breaker(at: &Path, settings: &Breaker) -> Vec<Problem> {
    let times = [("window", Some(settings.window)), ("slow_call", settings.slow_call)];
    let mut problems: Vec<_> = times.into_iter().filter_map(|(name, time)| above_zero(at.key(name), time?)).collect();
    for (name, share) in [("failure_rate", settings.failure_rate), ("slow_rate", settings.slow_rate)] {
        if !(share > 0.0 && share <= 1.0) {
            let problem = Problem::new(at.key(name), format!("is {share}"));
            problems.push(problem.expected("a share above 0, and at most 1"));
        }
    }
    if settings.in_a_row == 0 {
        problems.push(Problem::new(at.key("in_a_row"), "is 0").expected("a number above zero"));
    }
    problems.extend(pauses(at, ("first_pause", settings.first_pause), settings.longest_pause));
    problems
}

fn retry(at: &Path, settings: &Retry) -> Option<Problem> {
    pauses(at, ("pause", settings.pause), settings.longest_pause)
}

/// A first pause that the longest would cut.
fn pauses(at: &Path, (name, first): (&str, Time), longest: Time) -> Option<Problem> {
    let problem = || Problem::new(at.key(name), "is longer than `longest_pause`");
    (first > longest).then(|| problem().expected("at most `longest_pause`, which may be set, too"))
}

fn members(path: &Path, pool: &Pool, config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    for (number, member) in pool.members.iter().enumerate() {
        let at = path.index(number);
        let name = member.worker();
        let named = if member.settings().is_some() { at.key("worker") } else { at.clone() };
        if !config.workers.contains_key(name) {
            let known: Vec<_> = config.workers.keys().cloned().collect();
            let problem = Problem::new(named, format!("there is no worker `{name}`"));
            problems.push(problem.expected(crate::words::one_of_or_near(name, &known)));
        } else if !seen.insert(name) {
            problems.push(Problem::new(named, format!("`{name}` is a member already")));
        }
        problems.extend(member.settings().into_iter().flat_map(|more| member_settings(&at, more)));
    }
    problems
}

fn member_settings(at: &Path, more: &MemberSettings) -> Vec<Problem> {
    let mut problems = Vec::new();
    if let Some(weight) = more.weight.filter(|weight| !is_weight(*weight)) {
        problems.push(Problem::new(at.key("weight"), format!("is {weight}")).expected(ABOVE_ZERO));
    }
    if let Some(cost) = more.cost.filter(|cost| !(cost.is_finite() && *cost >= 0.0)) {
        problems.push(Problem::new(at.key("cost"), format!("is {cost}")).expected("a number, at least 0"));
    }
    if more.serves.iter().any(String::is_empty) {
        problems.push(Problem::new(at.key("serves"), "has an empty name"));
    }
    problems.extend(more.breaker.iter().flat_map(|settings| breaker(&at.key("breaker"), settings)));
    problems.extend(more.timeouts.iter().flat_map(|limits| limits_of(&at.key("timeouts"), limits)));
    problems
}

/// Vectors of one pool must be comparable.
fn vectors(path: &Path, pool: &Pool, config: &Config) -> Option<Problem> {
    let name = |member: &Member| config.workers.get(member.worker())?.embeddings();
    let mut embedders =
        pool.members.iter().enumerate().filter_map(|(number, member)| Some((number, member, name(member)?)));
    let (_, first, ours) = embedders.next()?;
    let (number, other, theirs) = embedders.find(|(_, _, name)| *name != ours)?;
    let (first, other) = (first.worker(), other.worker());
    let problem = format!("`{other}` embeds with `{theirs}`, and `{first}` with `{ours}`");
    Some(Problem::new(path.index(number), problem).expected("the same `embeddings` for all members that embed"))
}
