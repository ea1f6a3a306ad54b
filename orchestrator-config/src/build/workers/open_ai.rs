use std::sync::Arc;

use orchestrator_core::retrieval::Embedder;
use workers_openai::client::Client;
use workers_openai::error::ConfigError;
use workers_openai::{OpenAi, OpenAiEmbedder, Preset};

use super::Connected;
use super::server::client;
use crate::file::{self, Url, Worker};

/// What is known of servers of this kind.
pub(super) const fn preset(worker: &Worker) -> Option<Preset> {
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

/// The settings of any server as those of one that is known.
pub(super) fn compatible(settings: &file::OpenAiCompatible) -> file::OpenAi {
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

/// Makes the worker of a server that speaks OpenAI's API; asks it nothing.
pub(super) fn open_ai(name: &str, settings: &file::OpenAi, preset: Option<Preset>) -> Result<Connected, ConfigError> {
    let mut builder = OpenAi::builder().name(name).timeouts(settings.timeouts.into());
    if let Some(preset) = preset {
        builder = builder.preset(preset);
    }
    if let Some(url) = &settings.url {
        builder = builder.base_url(url.as_str());
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
    let url = settings.url.as_ref().map(Url::as_str).or(preset.map(Preset::base_url)).unwrap_or_default();
    let client = || client(url, settings.key.as_ref(), &settings.headers, settings.connect_timeout).build();
    let vectors = settings.embeddings.as_ref().map(|model| Ok(embedder(client()?, model)));
    Ok(Connected { worker: Arc::new(worker), embedder: vectors.transpose()?, tells_slots: settings.slots.is_some() })
}

/// Embeds with a model of a server.
pub(super) fn embedder(client: Client, model: &str) -> Arc<dyn Embedder> {
    Arc::new(OpenAiEmbedder::new(client, model))
}
