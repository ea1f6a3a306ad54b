//! What a configuration means, and what of that cannot be: names that nothing has, stages that do not fit, doors that stand
//! open.

mod access;
mod models;
mod pipelines;
mod pools;
mod telemetry;
mod workers;

use std::collections::BTreeSet;

use crate::fault::Problem;
use crate::file::Config;
use crate::path::Path;

/// A check, and the sections by which it goes.
type Check = (&'static [&'static str], fn(&Config) -> Vec<Problem>);

const CHECKS: [Check; 6] = [
    (&["listeners", "limits", "keys", "tenants", "tenant_defaults"], access::problems),
    (&["telemetry"], |config| telemetry::problems(&config.telemetry).into_iter().collect()),
    (&["workers"], workers::problems),
    (&["workers", "pools"], pools::problems),
    (&["workers", "pools", "pipelines"], pipelines::problems),
    (&["workers", "pools", "pipelines", "models"], models::problems),
];

/// Finds everything that is wrong with a configuration, but for what goes by a section that is `broken`: of which the shape is
/// wrong.
pub(crate) fn problems(config: &Config, broken: &BTreeSet<String>) -> Vec<Problem> {
    let is_whole = |sections: &[&str]| !sections.iter().any(|section| broken.contains(*section));
    CHECKS.iter().filter(|(sections, _)| is_whole(sections)).flat_map(|(_, problems)| problems(config)).collect()
}

/// A name that should be one of a worker or a pool, and is none.
fn unknown_worker(config: &Config, path: Path, name: &str) -> Option<Problem> {
    if config.workers.contains_key(name) || config.pools.contains_key(name) {
        return None;
    }
    let known: Vec<_> = config.workers.keys().chain(config.pools.keys()).cloned().collect();
    Some(
        Problem::new(path, format!("there is no worker or pool `{name}`"))
            .expected(crate::words::one_of_or_near(name, &known)),
    )
}
