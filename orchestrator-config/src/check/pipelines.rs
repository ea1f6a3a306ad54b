use crate::build::{Flow, dry_run};
use crate::fault::Problem;
use crate::file::{Config, Pipeline, Queue, Rag, Shed, Stage, Time, Worker};
use crate::path::Path;

use super::access::above_zero;

pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let path = Path::root().key("pipelines");
    let mut problems = Vec::new();
    for (name, pipeline) in &config.pipelines {
        let at = path.key(name);
        if name.trim().is_empty() {
            problems.push(Problem::new(at.clone(), "has no name"));
        }
        problems.extend(pipeline.deadline.and_then(|limit| above_zero(at.key("deadline"), limit)));
        problems.extend(of_pipeline(&at.key("stages"), name, pipeline, config));
    }
    problems.extend(indexes(config));
    problems
}

fn of_pipeline(path: &Path, name: &str, pipeline: &Pipeline, config: &Config) -> Vec<Problem> {
    let mut problems = order(path, &pipeline.stages);
    for (number, stage) in pipeline.stages.iter().enumerate() {
        let at = path.index(number);
        if let Stage::Infer(infer) = stage {
            problems.extend(super::unknown_worker(config, at.key("worker"), &infer.worker));
        }
        problems.extend(queue(stage).into_iter().flat_map(|queue| of_queue(&at.key("queue"), queue)));
        if let Stage::Stream(stream) = stage
            && stream.buffer.is_some()
            && stream.mode == crate::file::Mode::Direct
        {
            problems.push(Problem::new(at.key("buffer"), "is for buffered answers").expected("`mode = \"buffered\"`"));
        }
    }
    if problems.is_empty() {
        problems.extend(built(path, name, &pipeline.stages, config));
    }
    problems
}

/// What a stage is called in the file.
const fn name(stage: &Stage) -> &'static str {
    match stage {
        Stage::Rag(_) => "rag",
        Stage::Assemble(_) => "assemble",
        Stage::Infer(_) => "infer",
        Stage::Post(_) => "post",
        Stage::Stream(_) => "stream",
    }
}

const fn queue(stage: &Stage) -> Option<&Queue> {
    match stage {
        Stage::Rag(rag) => rag.queue.as_ref(),
        Stage::Assemble(assemble) => assemble.queue.as_ref(),
        Stage::Infer(infer) => infer.queue.as_ref(),
        Stage::Post(post) => post.queue.as_ref(),
        Stage::Stream(_) => None,
    }
}

/// Whether each stage takes what the one before it hands on; one that does not is looked past.
fn order(path: &Path, stages: &[Stage]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let (mut flow, mut before) = (Flow::Prompt, None);
    for (number, stage) in stages.iter().enumerate() {
        let Some(next) = flow.behind(stage) else {
            problems.push(misplaced(path.index(number), stage, number, before).expected(followers(flow)));
            // It is asked, only too early.
            if let (Flow::Grounded, Stage::Infer(_)) = (flow, stage) {
                (flow, before) = (Flow::Tokens, Some(name(stage)));
            }
            continue;
        };
        (flow, before) = (next, Some(name(stage)));
    }
    if problems.is_empty() && !matches!(flow, Flow::Tokens | Flow::Answer) {
        problems.push(Problem::new(path.clone(), "end before a model is asked").expected(followers(flow)));
    }
    problems
}

fn misplaced(at: Path, stage: &Stage, number: usize, before: Option<&str>) -> Problem {
    let place = match before {
        Some(before) => format!("stand behind `{before}`"),
        None if number == 0 => "be the first stage".to_owned(),
        None => "stand before a model is asked".to_owned(),
    };
    Problem::new(at, format!("`{}` cannot {place}", name(stage)))
}

/// What can stand there.
const fn followers(flow: Flow) -> &'static str {
    match flow {
        Flow::Prompt => "`rag`, `assemble` or `infer` there",
        Flow::Grounded => "`assemble` there",
        Flow::Request => "`infer` there",
        Flow::Tokens => "`post` or `stream` there",
        Flow::Answer => "nothing behind `stream`",
    }
}

fn of_queue(path: &Path, queue: &Queue) -> Vec<Problem> {
    let times: [(&str, Option<Time>); 4] = [
        ("max_wait", queue.max_wait),
        ("aging", queue.aging),
        ("expected", queue.expected),
        ("timeout", queue.timeout),
    ];
    let mut problems: Vec<_> = times.into_iter().filter_map(|(name, time)| above_zero(path.key(name), time?)).collect();
    if let Some(codel) = &queue.codel {
        let at = path.key("codel");
        if queue.shed != Some(Shed::CoDel) {
            problems.push(Problem::new(at, "has no meaning for this policy").expected("`shed = \"codel\"`"));
        } else if codel.target.0.is_zero() || codel.target > codel.interval {
            let problem = "has a target that is zero, or above its interval";
            problems.push(Problem::new(at, problem).expected("a target above zero, and at most the interval"));
        }
    }
    problems
}

/// What the stages themselves say of their settings, where the file says it.
fn built(path: &Path, name: &str, stages: &[Stage], config: &Config) -> Vec<Problem> {
    let slots = stages.iter().any(|stage| matches!(stage, Stage::Infer(infer) if has_slots(&infer.worker, config)));
    let Some(error) = dry_run(name, stages, slots) else { return Vec::new() };
    let problem = |fault: &orchestrator_core::error::Fault| {
        let number = fault.stage().and_then(|stage| number_of(stage, stages));
        let at = number.map_or_else(|| path.clone(), |number| setting(&path.index(number), fault.field()));
        Problem::new(at, fault.problem())
    };
    error.faults().iter().map(problem).collect()
}

/// Where a stage stands by its name in the pipeline, in which the second `post` is `post-2`.
fn number_of(called: &str, stages: &[Stage]) -> Option<usize> {
    let (kind, count) = match called.rsplit_once('-').map(|(kind, count)| (kind, count.parse::<usize>())) {
        Some((kind, Ok(count))) => (kind, count),
        _ => (called, 1),
    };
    let mut same = stages.iter().enumerate().filter(|(_, stage)| name(stage) == kind);
    same.nth(count - 1).map(|(number, _)| number)
}

/// What the file calls a setting of a stage.
fn setting(stage: &Path, field: &str) -> Path {
    match field {
        "depth" | "concurrency" | "shed" | "max_wait" | "aging" | "expected" | "timeout" => {
            stage.key("queue").key(field)
        }
        "stop_sequences" => stage.key("stop"),
        "system" | "context" | "history" | "question" => stage.key(format!("{field}_template")),
        other => stage.key(other),
    }
}

/// Whether a worker tells slots, or may once it is there; a pool always does.
fn has_slots(name: &str, config: &Config) -> bool {
    match config.workers.get(name) {
        None => true,
        Some(Worker::Extractive(_)) => false,
        Some(Worker::LlamaCpp(_) | Worker::Auto(_)) => true,
        Some(Worker::Vllm(settings)) => settings.slots.is_some(),
        Some(worker) => worker.open_ai().is_some_and(|server| server.served.slots.is_some()),
    }
}

/// A folder has one index, and no two folders share one.
fn indexes(config: &Config) -> Vec<Problem> {
    let mut seen: Vec<&Rag> = Vec::new();
    let mut problems = Vec::new();
    for (name, pipeline) in &config.pipelines {
        for (number, stage) in pipeline.stages.iter().enumerate() {
            let Stage::Rag(rag) = stage else { continue };
            let at = || Path::root().key("pipelines").key(name).key("stages").index(number).key("index");
            let clash = seen.iter().find(|other| {
                let same_folder = other.docs == rag.docs;
                (same_folder && (&other.index, other.watch) != (&rag.index, rag.watch))
                    || (!same_folder && other.index.is_some() && other.index == rag.index)
            });
            if let Some(other) = clash {
                let problem = format!("differs from that of another stage, which searches `{}`", other.docs.display());
                problems.push(Problem::new(at(), problem).expected("one `index` and one `watch` for each folder"));
            }
            seen.push(rag);
        }
    }
    problems
}
