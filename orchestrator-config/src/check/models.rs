use std::collections::HashSet;

use crate::build::find_model;
use crate::fault::Problem;
use crate::file::{Config, Model};
use crate::path::Path;

use super::access::above_zero;

pub(super) fn problems(config: &Config) -> Vec<Problem> {
    let path = Path::root().key("models");
    let mut problems = Vec::new();
    let mut seen = HashSet::new();
    for (number, model) in config.models.iter().enumerate() {
        let at = path.index(number);
        if !seen.insert(&model.name) {
            let problem = format!("there is a model `{}` already", model.name);
            problems.push(Problem::new(at.key("name"), problem).expected("a name of its own"));
        }
        if model.name.matches('*').count() > 1 {
            let problem = Problem::new(at.key("name"), format!("`{}` has more than one `*`", model.name));
            problems.push(problem.expected("a name, or a pattern with one `*`"));
        }
        problems.extend(upstream(&at, model));
        problems.extend(answers(&at, model, config));
        problems.extend(fallbacks(&at.key("fallback"), model, config));
        problems.extend(model.deadline.and_then(|limit| above_zero(at.key("deadline"), limit)));
    }
    problems
}

/// What a pattern stands for is not put into another one.
fn upstream(at: &Path, model: &Model) -> Option<Problem> {
    let upstream = model.upstream.as_ref().filter(|upstream| upstream.contains('*') && model.name.contains('*'))?;
    let problem = Problem::new(at.key("upstream"), format!("`{upstream}` would be asked for with its `*`"));
    Some(problem.expected("one name for all, or nothing for the names as they were asked for"))
}

/// What answers for a model.
fn answers(at: &Path, model: &Model, config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    match (&model.pipeline, &model.worker) {
        (Some(_), Some(_)) => {
            let problem = "has a pipeline and a worker";
            problems.push(Problem::new(at.key("worker"), problem).expected("one of the two"));
        }
        (None, None) if model.embeddings.is_none() => {
            problems.push(
                Problem::new(at.clone(), "nothing answers for it").expected("`pipeline`, `worker` or `embeddings`"),
            );
        }
        _ => {}
    }
    if let Some(name) = model.pipeline.as_ref().filter(|name| !config.pipelines.contains_key(*name)) {
        let known: Vec<_> = config.pipelines.keys().cloned().collect();
        let problem = Problem::new(at.key("pipeline"), format!("there is no pipeline `{name}`"));
        problems.push(problem.expected(crate::words::one_of_or_near(name, &known)));
    }
    problems.extend(model.worker.as_ref().and_then(|name| super::unknown_worker(config, at.key("worker"), name)));
    if let Some(name) = &model.embeddings {
        let at = at.key("embeddings");
        problems.extend(super::unknown_worker(config, at.clone(), name).or_else(|| {
            let problem = || Problem::new(at, format!("`{name}` does not embed"));
            (!config.embeds(name)).then(|| problem().expected("a worker with `embeddings`, or a pool of such"))
        }));
    }
    problems
}

fn fallbacks(path: &Path, model: &Model, config: &Config) -> Vec<Problem> {
    let mut problems = Vec::new();
    if !model.fallback.is_empty() && model.pipeline.is_none() && model.worker.is_none() {
        problems
            .push(Problem::new(path.clone(), "is for models that answer prompts").expected("`pipeline` or `worker`"));
    }
    let mut seen = HashSet::new();
    for (number, name) in model.fallback.iter().enumerate() {
        let at = path.index(number);
        let found = find_model(name, &config.models);
        let problem = match found {
            None => {
                let known: Vec<_> = config.models.iter().map(|model| model.name.clone()).collect();
                let problem = Problem::new(at, format!("there is no model `{name}`"));
                Some(problem.expected(crate::words::one_of_or_near(name, &known)))
            }
            Some(found) if found.name == model.name => Some(Problem::new(at, format!("`{name}` is the model itself"))),
            Some(found) if found.pipeline.is_none() && found.worker.is_none() => {
                Some(Problem::new(at, format!("`{name}` answers no prompts")))
            }
            Some(_) if !seen.insert(name) => Some(Problem::new(at, format!("`{name}` stands there already"))),
            Some(_) => None,
        };
        problems.extend(problem);
    }
    problems
}
