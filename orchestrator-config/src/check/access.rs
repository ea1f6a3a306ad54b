//! Who may ask, from where, and how much.

use std::collections::HashSet;

use crate::fault::Problem;
use crate::file::{Config, Limits, RateLimit, Tenant, Time};
use crate::path::Path;

pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let mut problems = listeners(config);
    problems.extend(limits(&config.limits));
    problems.extend(keys(config));
    for (name, tenant) in &config.tenants {
        problems.extend(self::tenant(&Path::root().key("tenants").key(name), tenant));
    }
    problems.extend(rate(&Path::root().key("tenant_defaults"), config.tenant_defaults));
    problems
}

fn listeners(config: &Config) -> Vec<Problem> {
    let path = Path::root().key("listeners");
    if config.listeners.is_empty() {
        return vec![Problem::new(path, "is empty").expected("at least one address")];
    }
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    for (number, listener) in config.listeners.iter().enumerate() {
        let at = path.index(number).key("address");
        let address = listener.address;
        if !address.ip().is_loopback() && !listener.public && config.keys.is_empty() {
            let problem = format!("`{address}` is reached by others, who need no key");
            problems.push(Problem::new(at.clone(), problem).expected("`[[keys]]`, or `public = true` for everybody"));
        }
        if address.port() != 0 && !seen.insert(address) {
            problems.push(Problem::new(at, format!("`{address}` is listened at twice")));
        }
    }
    problems
}

fn limits(limits: &Limits) -> Vec<Problem> {
    let path = Path::root().key("limits");
    let times = [
        ("header_time", limits.header_time),
        ("body_time", limits.body_time),
        ("idle_time", limits.idle_time),
        ("reader_stall", limits.reader_stall),
    ];
    let bodies = (limits.bodies < limits.body).then(|| {
        Problem::new(path.key("bodies"), format!("is {}", limits.bodies)).expected("at least `body`, the longest one")
    });
    times.into_iter().filter_map(|(name, time)| above_zero(path.key(name), time)).chain(bodies).collect()
}

/// What is wrong with a time that must not be zero.
pub(super) fn above_zero(path: Path, time: Time) -> Option<Problem> {
    time.0.is_zero().then(|| Problem::new(path, "is zero").expected("a time above zero"))
}

fn keys(config: &Config) -> Vec<Problem> {
    let mut seen = HashSet::new();
    let twice = config.keys.iter().enumerate().filter(|(_, key)| !seen.insert(key.sha256.0));
    let path = Path::root().key("keys");
    twice
        .map(|(number, _)| {
            Problem::new(path.index(number).key("sha256"), "is the digest of a key that stands there already")
        })
        .collect()
}

fn tenant(path: &Path, tenant: &Tenant) -> Vec<Problem> {
    let weight = tenant.weight.filter(|weight| !is_weight(*weight));
    let weight = weight.map(|weight| Problem::new(path.key("weight"), format!("is {weight}")).expected(ABOVE_ZERO));
    weight.into_iter().chain(rate(path, tenant.rate())).collect()
}

fn rate(path: &Path, rate: RateLimit) -> Option<Problem> {
    let alone = rate.burst.is_some() && rate.requests_per_second.is_none();
    alone.then(|| {
        Problem::new(path.key("burst"), "limits nothing by itself").expected("`requests_per_second` beside it")
    })
}

/// What a weight must be.
pub(super) const ABOVE_ZERO: &str = "a number above zero";

pub(super) fn is_weight(weight: f64) -> bool {
    weight.is_finite() && weight > 0.0
}
