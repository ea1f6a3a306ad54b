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
use super::server::slots;
use crate::build::lazy::{Absent, Connect};
use crate::file;

/// How long a server that still loads is waited for by each attempt to connect.
const LOADING: Duration = Duration::from_secs(1);

/// What is known of a llama.cpp that is not there.
pub(super) fn absent(name: &str, settings: &file::LlamaCpp) -> Result<Absent, ConfigError> {
    let url = settings.url.as_str().trim().trim_end_matches('/');
    let (slots, are_known) = slots(url.strip_suffix("/v1").unwrap_or(url), settings.key.as_ref())?;
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
    let mut builder = LlamaCpp::builder(settings.url.as_str())
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
    Ok(Connected { worker: Arc::new(worker), embedder, tells_slots: true })
}
