use futures_util::FutureExt;
use orchestrator_core::error::WorkerError;
use orchestrator_core::worker::WorkerInfo;
use workers_openai::Preset;
use workers_openai::error::ConfigError;
use workers_openai::probe::{ServerKind, probe};

use super::Connected;
use super::llama::llama;
use super::open_ai::open_ai;
use super::server::{invalid, slots};
use super::vllm::vllm;
use crate::build::lazy::{Absent, Connect};
use crate::file::{self, Secret};

/// What is known of a server of unknown kind that is not there.
pub(super) fn absent(name: &str, settings: &file::Auto) -> Result<Absent, ConfigError> {
    let mut info = WorkerInfo::new(name);
    info.model.clone_from(&settings.model);
    let (slots, are_known) = slots(settings.url.as_str(), settings.key.as_ref())?;
    Ok(Absent { info, slots, are_known, embeddings: settings.embeddings.clone() })
}

/// Asks what it is, and makes the worker of its kind.
pub(super) fn connect(name: &str, settings: &file::Auto) -> Connect {
    let (name, settings) = (name.to_owned(), settings.clone());
    Box::new(move || auto(name.clone(), settings.clone()).boxed())
}

async fn auto(name: String, settings: file::Auto) -> Result<Connected, WorkerError> {
    let kind = probe(settings.url.as_str(), settings.key.as_ref().map(Secret::reveal)).await?;
    tracing::info!(worker = name, ?kind, "is a server of this kind");
    let file::Auto { url, key, connect_timeout, timeouts, model, embeddings } = settings;
    let preset = match kind {
        ServerKind::LlamaCpp => {
            let settings =
                file::LlamaCpp { key, connect_timeout, timeouts, embeddings, ..file::LlamaCpp::new(url.as_str()) };
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
