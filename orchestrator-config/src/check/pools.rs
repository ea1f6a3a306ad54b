use std::collections::HashSet;

use crate::fault::Problem;
use crate::file::{Config, Member, MemberSettings, Policy, Pool};
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
