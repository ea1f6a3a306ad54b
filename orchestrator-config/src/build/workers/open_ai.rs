use std::sync::Arc;

use orchestrator_core::retrieval::Embedder;
use workers_openai::client::Client;
use workers_openai::error::ConfigError;
use workers_openai::{OpenAi, OpenAiEmbedder, Preset};

use super::Connected;
use super::server::{client, spoken_to};
use crate::file::{OpenAiServer, Url, Worker};

/// What is known of servers of this kind.
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

/// Makes the worker of a kind that is not asked what it is.
///
/// # Panics
///
/// Panics where it is of any other kind.
pub(super) fn of_kind(name: &str, worker: &Worker) -> Result<Connected, ConfigError> {
    open_ai(name, worker.open_ai().expect("callers have matched on its kind"), preset(worker))
}

/// Makes the worker of a server that speaks OpenAI's API; asks it nothing.
pub(super) fn open_ai(
    name: &str,
    settings: OpenAiServer<'_>,
    preset: Option<Preset>,
) -> Result<Connected, ConfigError> {
    let OpenAiServer { url, access, served } = settings;
    let mut builder = OpenAi::builder().name(name).timeouts(access.timeouts.into());
    if let Some(preset) = preset {
        builder = builder.preset(preset);
    }
    if let Some(url) = url {
        builder = builder.base_url(url.as_str());
    }
    if let Some(model) = &served.model {
        builder = builder.model(model);
    }
    if let Some(slots) = served.slots {
        builder = builder.slots(slots);
    }
    if let Some(tokens) = served.context_length {
        builder = builder.context_length(tokens);
    }
    let worker = spoken_to(builder, access, &served.headers).build()?;
    let url = url.map(Url::as_str).or(preset.map(Preset::base_url)).unwrap_or_default();
    let client = || client(url, access, &served.headers).build();
    let vectors = served.embeddings.as_ref().map(|model| Ok(embedder(client()?, model)));
    Ok(Connected { worker: Arc::new(worker), embedder: vectors.transpose()?, tells_slots: served.slots.is_some() })
}

/// Embeds with a model of a server.
pub(super) fn embedder(client: Client, model: &str) -> Arc<dyn Embedder> {
    Arc::new(OpenAiEmbedder::new(client, model))
}
