use crate::build::worker_faults;
use crate::fault::Problem;
use crate::file::{Config, Timeouts, Worker};
use crate::path::Path;

use super::access::above_zero;

pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let path = Path::root().key("workers");
    if config.workers.is_empty() {
        return vec![Problem::new(path, "there is none").expected("at least one, such as `[workers.local]`")];
    }
    let mut problems = Vec::new();
    for (name, worker) in &config.workers {
        let at = path.key(name);
        if name.trim().is_empty() {
            problems.push(Problem::new(at.clone(), "has no name"));
        }
        problems.extend(settings(&at, worker));
        let limits = worker.access().map(|access| &access.timeouts);
        problems.extend(limits.into_iter().flat_map(|limits| limits_of(&at.key("timeouts"), limits)));
    }
    problems
}

/// What the worker's own builder says, where the file says it.
fn settings(at: &Path, worker: &Worker) -> Vec<Problem> {
    let problem = |fault: orchestrator_core::error::InvalidInput| {
        let field = match fault.field() {
            "base_url" | "http_client" => "url",
            "header" => "headers",
            other => other,
        };
        let problem = Problem::new(at.key(field), fault.problem());
        if field != "url" || !fault.problem().starts_with("needs TLS") {
            return problem;
        }
        Problem::new(at.key(field), "needs TLS, which this program was built without").expected("`http://`")
    };
    worker_faults(worker).into_iter().map(problem).collect()
}

/// Times that must not be zero.
pub(super) fn limits_of(path: &Path, limits: &Timeouts) -> Vec<Problem> {
    let times =
        [("first_token", limits.first_token), ("between_tokens", limits.between_tokens), ("total", limits.total)];
    times.into_iter().filter_map(|(name, time)| above_zero(path.key(name), time?)).collect()
}
