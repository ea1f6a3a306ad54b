use std::path::Path;

use futures_util::future::try_join_all;
use orchestrator_config::file::{
    Assemble, Auto, Config, Infer, Logs, Model, Pipeline, Policy, Pool, Post, Rag, Stage, Worker,
};
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use workers_openai::client::Client;
use workers_openai::probe::{ServerKind, probe};
use workers_openai::wire::ModelList;

use super::failure::Failure;
use super::load::QUOTES;
use super::message;

/// A model server of the command line, as far as it is known.
#[derive(Debug)]
struct Backend {
    url: String,
    /// What it has told of itself, if it was there.
    told: Option<Told>,
}

#[derive(Debug)]
struct Told {
    kind: ServerKind,
    models: Vec<String>,
}

/// Makes the configuration of a service without a file: models of the servers by their own names, with a folder of documents in
/// front of them if one is given; without servers, sentences of that folder.
///
/// A server that does not answer yet, or lists no models, is taken to have the models that the others have. If none answers,
/// any name is asked for.
///
/// # Errors
///
/// Where a URL cannot be used, or what answers there is no model server, or wants a key.
pub(super) async fn config(base: Config, urls: &[String], docs: Option<&Path>) -> Result<Config, Failure> {
    if urls.is_empty() {
        return Ok(quotes(base, docs.unwrap_or_else(|| folder())));
    }
    let backends = try_join_all(urls.iter().map(|url| ask(url, base.telemetry.logs))).await?;
    Ok(serving(base, &backends, docs))
}

/// The folder that is there, where none is named.
fn folder() -> &'static Path {
    let docs = Path::new("docs");
    if docs.is_dir() { docs } else { Path::new(".") }
}

fn quotes(mut config: Config, docs: &Path) -> Config {
    let told = format!("no file and no backend: answers are sentences of the documents in {}", docs.display());
    message::say(config.telemetry.logs, &told);
    config.pipelines.insert(QUOTES.to_owned(), pipeline(QUOTES, Some(docs)));
    config
}

/// Asks a server what it is and which models it has.
async fn ask(url: &str, logs: Logs) -> Result<Backend, Failure> {
    let told = match asked(url).await {
        Ok(told) => Some(told),
        Err(error) => {
            let problem = format!("backend {}: {error}", shown(url));
            match error.kind() {
                WorkerErrorKind::InvalidRequest => return Err(Failure::Usage(problem)),
                WorkerErrorKind::Auth | WorkerErrorKind::NotFound => return Err(Failure::of(problem)),
                _ => message::warn(logs, &format!("{problem}; it is asked again until it is there")),
            }
            None
        }
    };
    Ok(Backend { url: url.to_owned(), told })
}

/// A URL without what may be a key or a password.
fn shown(url: &str) -> &str {
    let path = url.split('?').next().unwrap_or_default();
    path.rsplit('@').next().unwrap_or_default()
}

async fn asked(url: &str) -> Result<Told, WorkerError> {
    let kind = probe(url, None).await?;
    let client = Client::builder(url).build().map_err(|error| {
        WorkerError::new(WorkerErrorKind::InvalidRequest, "the server cannot be asked").with_source(error)
    })?;
    // Some have one model, which they do not list.
    let list = client.get_json::<ModelList>(&client.route("models")).await.unwrap_or_default();
    let models = list.data.into_option().unwrap_or_default();
    Ok(Told { kind, models: models.into_iter().filter_map(|model| model.id.into_option()).collect() })
}

fn serving(mut config: Config, backends: &[Backend], docs: Option<&Path>) -> Config {
    config.workers.remove(QUOTES);
    for (number, backend) in backends.iter().enumerate() {
        config.workers.insert(worker(number), Worker::Auto(Auto::new(backend.url.as_str())));
    }
    let mut groups: Vec<Vec<usize>> = Vec::new();
    for model in models(backends) {
        let group = serve(backends, &model);
        let number = groups.iter().position(|known| *known == group).unwrap_or_else(|| {
            groups.push(group);
            groups.len() - 1
        });
        config.models.push(offered(&model, number, docs));
    }
    for (number, group) in groups.iter().enumerate() {
        config.pools.insert(pool(number), members(backends, group));
        if docs.is_some() {
            config.pipelines.insert(answers(number), pipeline(&pool(number), docs));
        }
    }
    config
}

/// The names of all models in the order in which they were told, or else any name.
fn models(backends: &[Backend]) -> Vec<String> {
    let told = backends.iter().filter_map(|backend| backend.told.as_ref());
    let mut models: Vec<String> = Vec::new();
    for model in told.flat_map(|told| &told.models) {
        if !models.contains(model) {
            models.push(model.clone());
        }
    }
    if models.is_empty() { vec!["*".to_owned()] } else { models }
}

/// Who has a model, as far as that is known.
fn serve(backends: &[Backend], model: &str) -> Vec<usize> {
    let may = |backend: &Backend| match &backend.told {
        Some(told) if !told.models.is_empty() => told.models.iter().any(|known| known == model),
        // Some do not list the one that they have.
        _ => true,
    };
    (0..backends.len()).filter(|number| may(&backends[*number])).collect()
}

fn offered(model: &str, group: usize, docs: Option<&Path>) -> Model {
    let mut offered = Model { name: model.to_owned(), ..Model::default() };
    offered.upstream = (model != "*").then(|| model.to_owned());
    if docs.is_some() {
        offered.pipeline = Some(answers(group));
    } else {
        offered.worker = Some(pool(group));
    }
    offered
}

/// The servers of a group as one; a session stays where its cache is, on servers that keep one.
fn members(backends: &[Backend], group: &[usize]) -> Pool {
    let keeps = |number: &usize| matches!(&backends[*number].told, Some(told) if told.kind == ServerKind::LlamaCpp);
    let mut pool = Pool::new(group.iter().map(|number| worker(*number)));
    pool.policy = if group.iter().any(keeps) { Policy::SessionAffinity } else { Policy::PeakEwma };
    pool
}

fn pipeline(worker: &str, docs: Option<&Path>) -> Pipeline {
    let mut stages = Vec::new();
    if let Some(docs) = docs {
        stages.extend([Stage::Rag(Rag::new(docs)), Stage::Assemble(Box::<Assemble>::default())]);
    }
    stages.push(Stage::Infer(Infer { worker: worker.to_owned(), queue: None }));
    stages.push(Stage::Post(Box::new(Post { trim: true, ..Post::default() })));
    Pipeline { deadline: None, stages }
}

fn worker(number: usize) -> String {
    format!("backend-{}", number + 1)
}

fn pool(group: usize) -> String {
    numbered("backends", group)
}

fn answers(group: usize) -> String {
    numbered("documents", group)
}

fn numbered(name: &str, group: usize) -> String {
    if group == 0 { name.to_owned() } else { format!("{name}-{}", group + 1) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn backend(models: Option<&[&str]>, kind: ServerKind) -> Backend {
        let told = models.map(|models| Told { kind, models: models.iter().map(ToString::to_string).collect() });
        Backend { url: "http://127.0.0.1:1".to_owned(), told }
    }

    fn members_of(config: &Config, model: &str) -> Vec<String> {
        let model = config.models.iter().find(|offered| offered.name == model).expect("a model");
        let pool = &config.pools[model.worker.as_ref().expect("a pool")];
        pool.members.iter().map(|member| member.worker().to_owned()).collect()
    }

    #[test]
    fn a_model_is_asked_of_those_who_have_it_and_of_those_who_have_not_said() {
        let openai = ServerKind::OpenAi;
        let backends =
            [backend(Some(&["a", "b"]), openai), backend(Some(&["b"]), openai), backend(None, ServerKind::OpenAi)];
        let config = serving(Config::default(), &backends, None);
        assert_eq!(config.models.len(), 2);
        assert_eq!(members_of(&config, "a"), ["backend-1", "backend-3"]);
        assert_eq!(members_of(&config, "b"), ["backend-1", "backend-2", "backend-3"]);
        config.check().expect("a service");
    }

    #[test]
    fn who_lists_no_model_is_asked_for_those_of_the_others() {
        let backends = [backend(Some(&["a"]), ServerKind::OpenAi), backend(Some(&[]), ServerKind::OpenAi)];
        let config = serving(Config::default(), &backends, None);
        assert_eq!(members_of(&config, "a"), ["backend-1", "backend-2"]);
    }

    #[test]
    fn any_name_is_asked_for_while_nobody_has_told_one() {
        let config = serving(Config::default(), &[backend(None, ServerKind::OpenAi)], None);
        assert_eq!((config.models[0].name.as_str(), &config.models[0].upstream), ("*", &None));
        assert_eq!(members_of(&config, "*"), ["backend-1"]);
        config.check().expect("a service");
    }

    #[test]
    fn what_may_be_a_key_in_a_url_is_not_shown() {
        assert_eq!(shown("http://127.0.0.1:1/v1?key=secret"), "http://127.0.0.1:1/v1");
        assert_eq!(shown("http://me:secret@host/v1"), "host/v1");
    }

    #[test]
    fn sessions_stay_where_their_cache_is() {
        let policy = |kind| serving(Config::default(), &[backend(Some(&["a"]), kind)], None).pools["backends"].policy;
        assert_eq!(policy(ServerKind::LlamaCpp), Policy::SessionAffinity);
        assert_eq!(policy(ServerKind::Vllm), Policy::PeakEwma);
    }

    #[test]
    fn documents_stand_in_front_of_every_backend() {
        let backends = [backend(Some(&["a"]), ServerKind::OpenAi), backend(Some(&["b"]), ServerKind::OpenAi)];
        let config = serving(Config::default(), &backends, Some(Path::new(".")));
        let pipelines: Vec<_> = config.models.iter().filter_map(|model| model.pipeline.as_deref()).collect();
        assert_eq!(pipelines, ["documents", "documents-2"]);
        assert!(matches!(config.pipelines["documents-2"].stages[0], Stage::Rag(_)));
        config.check().expect("a service");
    }
}
