use futures_util::FutureExt;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
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
use crate::file::{self, OpenAiServer, Secret, Served};

/// What is known of a server of unknown kind that is not there.
pub(super) fn absent(name: &str, settings: &file::Auto) -> Result<Absent, ConfigError> {
    let mut info = WorkerInfo::new(name);
    info.model.clone_from(&settings.model);
    let (slots, are_known) = slots(settings.url.as_str(), &settings.access)?;
    Ok(Absent { info, slots, are_known, embeddings: settings.embeddings.clone() })
}

/// Asks what it is, and makes the worker of its kind.
pub(super) fn connect(name: &str, settings: &file::Auto) -> Connect {
    let (name, settings) = (name.to_owned(), settings.clone());
    Box::new(move || auto(name.clone(), settings.clone()).boxed())
}

async fn auto(name: String, settings: file::Auto) -> Result<Connected, WorkerError> {
    let kind = probe(settings.url.as_str(), settings.access.key.as_ref().map(Secret::reveal)).await?;
    tracing::info!(worker = name, ?kind, "is a server of this kind");
    let file::Auto { url, access, model, embeddings } = settings;
    let preset = match kind {
        ServerKind::LlamaCpp => {
            let settings = file::LlamaCpp { access, embeddings, ..file::LlamaCpp::new(url.as_str()) };
            return of_model(llama(name, settings).await?, model.as_deref());
        }
        ServerKind::Vllm => {
            let settings = file::Vllm { url, access, model, embeddings, ..file::Vllm::default() };
            return vllm(name, settings).await;
        }
        ServerKind::Ollama => Some(Preset::Ollama),
        ServerKind::Tgi => Some(Preset::Tgi),
        _ => None,
    };
    let served = Served { model, embeddings, ..Served::default() };
    let settings = OpenAiServer { url: Some(&url), access: &access, served: &served };
    open_ai(&name, settings, preset).map_err(invalid)
}

/// Refuses a llama.cpp that has another model than it shall: it has one, and answers with that whatever it is asked for.
fn of_model(connected: Connected, asked: Option<&str>) -> Result<Connected, WorkerError> {
    match (asked, connected.worker.info().model) {
        (Some(asked), Some(has)) if asked != has => {
            let why = format!("`model` says `{asked}`, but there is a llama.cpp, whose only model is `{has}`");
            Err(WorkerError::new(WorkerErrorKind::InvalidRequest, why))
        }
        _ => Ok(connected),
    }
}
