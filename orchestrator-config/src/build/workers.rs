use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures_util::FutureExt;
use orchestrator_core::error::{InvalidInput, WorkerError};
use orchestrator_core::retrieval::{Embedded, Embedder};
use orchestrator_core::worker::{ModelWorker, Slots, WorkerInfo};
use secrecy::ExposeSecret;
use workers_embedded::Extractive;
use workers_llamacpp::LlamaCpp;
use workers_openai::client::{Client, ClientBuilder};
use workers_openai::error::ConfigError;
use workers_openai::probe::{ServerKind, probe};
use workers_openai::{OpenAi, OpenAiEmbedder, Preset};
use workers_vllm::Vllm;

use super::ConnectError;
use super::lazy::{self, Absent, Connect};
use crate::file::{self, Secret, Time, Worker};

/// How long a llama.cpp that still loads is waited for by each attempt to connect.
const LOADING: Duration = Duration::from_secs(1);

/// The shortest secret that keeps prefix caches apart.
const SHORTEST_SALT: usize = 16;

/// A worker, and its embedder where it has one.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) worker: Arc<dyn ModelWorker>,
    pub(super) embedder: Option<Arc<dyn Embedder>>,
}

impl Connected {
    fn alone(worker: impl ModelWorker) -> Self {
        Self { worker: Arc::new(worker), embedder: None }
    }
}

/// Makes a worker of the file.
pub(super) async fn connect(name: &str, worker: &Worker) -> Result<Connected, ConnectError> {
    let refused = |source| ConnectError::Worker { worker: name.to_owned(), source };
    let unusable = |source| ConnectError::Settings { worker: name.to_owned(), source };
    match worker {
        Worker::Extractive(settings) => Ok(Connected::alone(Extractive::default().max_sentences(settings.sentences))),
        Worker::LlamaCpp(settings) => {
            let absent = || absent_llama(name, settings).map_err(invalid);
            lazy::connect(absent, connect_llama(name, settings)).await.map_err(refused)
        }
        Worker::Vllm(settings) => {
            let absent = || absent_vllm(name, settings).map_err(invalid);
            lazy::connect(absent, connect_vllm(name, settings)).await.map_err(refused)
        }
        Worker::Auto(settings) => {
            let absent = || absent_auto(name, settings).map_err(invalid);
            lazy::connect(absent, connect_auto(name, settings)).await.map_err(refused)
        }
        Worker::OpenAiCompatible(settings) => open_ai(name, &compatible(settings), None).map_err(unusable),
        Worker::OpenAi(settings)
        | Worker::Tgi(settings)
        | Worker::Ollama(settings)
        | Worker::LmStudio(settings)
        | Worker::OpenRouter(settings)
        | Worker::Mistral(settings) => open_ai(name, settings, preset(worker)).map_err(unusable),
    }
}

/// Says what is wrong with the settings of a worker that are its server's, without asking that.
pub(crate) fn faults(worker: &Worker) -> Vec<InvalidInput> {
    let built = match worker {
        Worker::Extractive(_) => return Vec::new(),
        Worker::LlamaCpp(settings) => {
            client(&settings.url, settings.key.as_ref(), &settings.headers, None).build().map(drop)
        }
        Worker::Vllm(settings) => {
            client(&settings.url, settings.key.as_ref(), &settings.headers, None).build().map(drop)
        }
        Worker::Auto(settings) => {
            client(&settings.url, settings.key.as_ref(), &BTreeMap::new(), None).build().map(drop)
        }
        Worker::OpenAiCompatible(settings) => open_ai("check", &compatible(settings), None).map(drop),
        Worker::OpenAi(settings)
        | Worker::Tgi(settings)
        | Worker::Ollama(settings)
        | Worker::LmStudio(settings)
        | Worker::OpenRouter(settings)
        | Worker::Mistral(settings) => open_ai("check", settings, preset(worker)).map(drop),
    };
    let mut faults = built.err().map(ConfigError::into_faults).unwrap_or_default();
    if let Worker::Vllm(file::Vllm { cache_salt: Some(salt), .. }) = worker
        && salt.reveal().expose_secret().len() < SHORTEST_SALT
    {
        faults.push(InvalidInput::new("cache_salt", format!("must have {SHORTEST_SALT} bytes at least")));
    }
    if let Worker::LlamaCpp(settings) = worker
        && let Some(name) = settings.headers.keys().find(|name| name.eq_ignore_ascii_case("x-conversation-id"))
    {
        let problem = format!("`{name}` would make the server go on with answers that nobody reads any more");
        faults.push(InvalidInput::new("header", problem));
    }
    faults
}

const fn preset(worker: &Worker) -> Option<Preset> {
    match worker {
        Worker::OpenAi(_) => Some(Preset::OpenAi),
        Worker::Tgi(_) => Some(Preset::Tgi),
        Worker::Ollama(_) => Some(Preset::Ollama),
        Worker::LmStudio(_) => Some(Preset::LmStudio),
        Worker::OpenRouter(_) => Some(Preset::OpenRouter),
        Worker::Mistral(_) => Some(Preset::Mistral),
        Worker::Extractive(_)
        | Worker::LlamaCpp(_)
        | Worker::Vllm(_)
        | Worker::Auto(_)
        | Worker::OpenAiCompatible(_) => None,
    }
}

fn compatible(settings: &file::OpenAiCompatible) -> file::OpenAi {
    let file::OpenAiCompatible {
        url,
        key,
        headers,
        connect_timeout,
        timeouts,
        model,
        slots,
        context_length,
        embeddings,
    } = settings.clone();
    file::OpenAi { url: Some(url), key, headers, connect_timeout, timeouts, model, slots, context_length, embeddings }
}

fn open_ai(name: &str, settings: &file::OpenAi, preset: Option<Preset>) -> Result<Connected, ConfigError> {
    let mut builder = OpenAi::builder().name(name).timeouts(settings.timeouts.into());
    if let Some(preset) = preset {
        builder = builder.preset(preset);
    }
    if let Some(url) = &settings.url {
        builder = builder.base_url(url);
    }
    if let Some(key) = &settings.key {
        builder = builder.key(key.reveal());
    }
    if let Some(limit) = settings.connect_timeout {
        builder = builder.connect_timeout(limit.into());
    }
    if let Some(model) = &settings.model {
        builder = builder.model(model);
    }
    if let Some(slots) = settings.slots {
        builder = builder.slots(slots);
    }
    if let Some(tokens) = settings.context_length {
        builder = builder.context_length(tokens);
    }
    builder = settings.headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value.reveal()));
    let worker = builder.build()?;
    let url = settings.url.as_deref().or(preset.map(Preset::base_url)).unwrap_or_default();
    let client = || client(url, settings.key.as_ref(), &settings.headers, settings.connect_timeout).build();
    let embedder = settings.embeddings.as_ref().map(|model| Ok(open_ai_embedder(client()?, model)));
    Ok(Connected { worker: Arc::new(worker), embedder: embedder.transpose()? })
}

fn open_ai_embedder(client: Client, model: &str) -> Arc<dyn Embedder> {
    Arc::new(OpenAiEmbedder::new(client, model))
}

fn client(
    url: &str,
    key: Option<&Secret>,
    headers: &BTreeMap<String, Secret>,
    connect_timeout: Option<Time>,
) -> ClientBuilder {
    let builder = Client::builder(url);
    let builder = key.into_iter().fold(builder, |builder, key| builder.key(key.reveal()));
    let builder = connect_timeout.into_iter().fold(builder, |builder, limit| builder.connect_timeout(limit.into()));
    headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value.reveal()))
}

/// The slots of a server that is not there: those of other workers of it, or one for now.
fn slots(url: &str, key: Option<&Secret>) -> Result<Slots, ConfigError> {
    let client = client(url, key, &BTreeMap::new(), None).build()?;
    Ok(Slots::known(client.server()).unwrap_or_else(|| Slots::of_server(client.server(), NonZeroUsize::MIN)))
}

fn absent_llama(name: &str, settings: &file::LlamaCpp) -> Result<Absent, ConfigError> {
    let url = settings.url.trim().trim_end_matches('/');
    Ok(Absent {
        info: WorkerInfo::new(name).continues(),
        slots: slots(url.strip_suffix("/v1").unwrap_or(url), settings.key.as_ref())?,
        tells_slots: true,
        embeddings: settings.embeddings.clone(),
    })
}

fn connect_llama(name: &str, settings: &file::LlamaCpp) -> Connect {
    let (name, settings) = (name.to_owned(), settings.clone());
    Box::new(move || llama(name.clone(), settings.clone()).boxed())
}

async fn llama(name: String, settings: file::LlamaCpp) -> Result<Connected, WorkerError> {
    let route = match settings.route {
        file::Route::Chat => workers_llamacpp::Route::Chat,
        file::Route::Native => workers_llamacpp::Route::Native,
    };
    let mut builder = LlamaCpp::builder(&settings.url)
        .name(name)
        .timeouts(settings.timeouts.into())
        .loading_timeout(LOADING)
        .route(route)
        .pin_sessions(settings.pin_sessions);
    if let Some(key) = &settings.key {
        builder = builder.key(key.reveal());
    }
    if let Some(limit) = settings.connect_timeout {
        builder = builder.connect_timeout(limit.into());
    }
    builder = settings.headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value.reveal()));
    let worker = builder.connect().await?;
    let embedder =
        settings.embeddings.map(|name| -> Arc<dyn Embedder> { Arc::new(Known { name, embedder: worker.embedder() }) });
    Ok(Connected { worker: Arc::new(worker), embedder })
}

fn absent_vllm(name: &str, settings: &file::Vllm) -> Result<Absent, ConfigError> {
    let slots = match settings.slots {
        None => slots(&settings.url, settings.key.as_ref())?,
        Some(most) => {
            let client = client(&settings.url, settings.key.as_ref(), &BTreeMap::new(), None).build()?;
            Slots::at_most(client.server(), most)
        }
    };
    let mut info = WorkerInfo::new(name).continues();
    info.model.clone_from(&settings.model);
    Ok(Absent { info, slots, tells_slots: settings.slots.is_some(), embeddings: settings.embeddings.clone() })
}

fn connect_vllm(name: &str, settings: &file::Vllm) -> Connect {
    let (name, settings) = (name.to_owned(), settings.clone());
    Box::new(move || vllm(name.clone(), settings.clone()).boxed())
}

async fn vllm(name: String, settings: file::Vllm) -> Result<Connected, WorkerError> {
    let mut builder = Vllm::builder(&settings.url).name(name).timeouts(settings.timeouts.into());
    if let Some(key) = &settings.key {
        builder = builder.key(key.reveal());
    }
    if let Some(limit) = settings.connect_timeout {
        builder = builder.connect_timeout(limit.into());
    }
    if let Some(model) = &settings.model {
        builder = builder.model(model);
    }
    if let Some(slots) = settings.slots {
        builder = builder.slots(slots);
    }
    if settings.priorities {
        builder = builder.priorities();
    }
    if let Some(salt) = &settings.cache_salt {
        builder = builder.cache_salt(salt.reveal());
    }
    if settings.token_ids {
        builder = builder.with_token_ids();
    }
    builder = settings.headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value.reveal()));
    let worker = builder.connect().await?;
    let embedder = settings.embeddings.as_ref().map(|model| {
        let client = client(&settings.url, settings.key.as_ref(), &settings.headers, settings.connect_timeout).build();
        client.map(|client| open_ai_embedder(client, model)).map_err(invalid)
    });
    Ok(Connected { worker: Arc::new(worker), embedder: embedder.transpose()? })
}

fn absent_auto(name: &str, settings: &file::Auto) -> Result<Absent, ConfigError> {
    let mut info = WorkerInfo::new(name);
    info.model.clone_from(&settings.model);
    let slots = slots(&settings.url, settings.key.as_ref())?;
    Ok(Absent { info, slots, tells_slots: false, embeddings: settings.embeddings.clone() })
}

fn connect_auto(name: &str, settings: &file::Auto) -> Connect {
    let (name, settings) = (name.to_owned(), settings.clone());
    Box::new(move || auto(name.clone(), settings.clone()).boxed())
}

async fn auto(name: String, settings: file::Auto) -> Result<Connected, WorkerError> {
    let kind = probe(&settings.url, settings.key.as_ref().map(Secret::reveal)).await?;
    tracing::info!(worker = name, ?kind, "is a server of this kind");
    let file::Auto { url, key, connect_timeout, timeouts, model, embeddings } = settings;
    let preset = match kind {
        ServerKind::LlamaCpp => {
            let settings = file::LlamaCpp { key, connect_timeout, timeouts, embeddings, ..file::LlamaCpp::new(url) };
            return llama(name, settings).await;
        }
        ServerKind::Vllm => {
            let settings =
                file::Vllm { url, key, connect_timeout, timeouts, model, embeddings, ..file::Vllm::default() };
            return vllm(name, settings).await;
        }
        ServerKind::Ollama => Some(Preset::Ollama),
        ServerKind::Tgi => Some(Preset::Tgi),
        _ => None,
    };
    let url = Some(url);
    let settings = file::OpenAi { url, key, connect_timeout, timeouts, model, embeddings, ..file::OpenAi::default() };
    open_ai(&name, &settings, preset).map_err(invalid)
}

fn invalid(error: ConfigError) -> WorkerError {
    WorkerError::new(orchestrator_core::error::WorkerErrorKind::InvalidRequest, error.to_string()).with_source(error)
}

/// An embedder whose vectors are called as the file says.
struct Known<E> {
    name: String,
    embedder: E,
}

#[async_trait]
impl<E: Embedder> Embedder for Known<E> {
    fn name(&self) -> &str {
        &self.name
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.embedder.embed(texts).await
    }

    async fn embed_counted(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        self.embedder.embed_counted(texts).await
    }

    async fn embed_query(&self, question: &str) -> Result<Vec<f32>, WorkerError> {
        self.embedder.embed_query(question).await
    }
}
