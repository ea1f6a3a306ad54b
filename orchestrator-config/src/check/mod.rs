//! What a configuration means, and what of that cannot be: names that nothing has, stages that do not fit, doors that stand open.

mod access;
mod models;
mod pipelines;
mod pools;
mod telemetry;
mod workers;

use crate::fault::Problem;
use crate::file::Config;
use crate::path::Path;

/// Finds everything that is wrong with a configuration of which the shape is right.
pub(crate) fn problems(config: &Config) -> Vec<Problem> {
    let mut problems = access::problems(config);
    problems.extend(telemetry::problems(&config.telemetry));
    problems.extend(workers::problems(config));
    problems.extend(pools::problems(config));
    problems.extend(pipelines::problems(config));
    problems.extend(models::problems(config));
    problems
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
