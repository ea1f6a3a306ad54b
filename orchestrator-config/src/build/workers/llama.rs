use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use orchestrator_core::error::WorkerError;
use orchestrator_core::retrieval::Embedder;
use orchestrator_core::worker::WorkerInfo;
use workers_llamacpp::LlamaCpp;
use workers_openai::error::ConfigError;

use super::Connected;
use super::known::Known;
use super::server::{slots, spoken_to};
use crate::build::lazy::{Absent, Connect};
use crate::file;

/// How long a server that still loads is waited for by each attempt to connect.
const LOADING: Duration = Duration::from_secs(1);

/// What is known of a llama.cpp that is not there.
pub(super) fn absent(name: &str, settings: &file::LlamaCpp) -> Result<Absent, ConfigError> {
    let url = settings.url.as_str().trim().trim_end_matches('/');
    let (slots, are_known) = slots(url.strip_suffix("/v1").unwrap_or(url), &settings.access)?;
    let info = WorkerInfo::new(name).continues();
    Ok(Absent { info, slots, are_known, embeddings: settings.embeddings.clone() })
}

/// Makes the worker of a llama.cpp.
pub(super) fn connect(name: &str, settings: &file::LlamaCpp) -> Connect {
    let (name, settings) = (name.to_owned(), settings.clone());
    Box::new(move || llama(name.clone(), settings.clone()).boxed())
}

pub(super) async fn llama(name: String, settings: file::LlamaCpp) -> Result<Connected, WorkerError> {
    let route = match settings.route {
        file::Route::Chat => workers_llamacpp::Route::Chat,
        file::Route::Native => workers_llamacpp::Route::Native,
    };
    let builder = LlamaCpp::builder(settings.url.as_str())
        .name(name)
        .timeouts(settings.access.timeouts.into())
        .loading_timeout(LOADING)
        .route(route)
        .pin_sessions(settings.pin_sessions);
    let worker = spoken_to(builder, &settings.access, &settings.headers).connect().await?;
    let embedder =
        settings.embeddings.map(|name| -> Arc<dyn Embedder> { Arc::new(Known { name, embedder: worker.embedder() }) });
    Ok(Connected { worker: Arc::new(worker), embedder, tells_slots: true })
}
