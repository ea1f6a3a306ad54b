//! Workers of the file: made at once, or when their servers are there.

mod auto;
mod faults;
mod known;
mod llama;
mod open_ai;
mod server;
mod vllm;

pub(crate) use faults::faults;

use std::sync::Arc;

use orchestrator_core::retrieval::Embedder;
use orchestrator_core::worker::ModelWorker;
use workers_embedded::Extractive;

use self::open_ai::of_kind;
use self::server::invalid;
use super::{ConnectError, lazy};
use crate::file::Worker;

/// A worker, and its embedder where it has one.
#[derive(Clone)]
pub(super) struct Connected {
    pub(super) worker: Arc<dyn ModelWorker>,
    pub(super) embedder: Option<Arc<dyn Embedder>>,
    /// Whether the number of its slots was found out, or set.
    pub(super) tells_slots: bool,
}

impl Connected {
    pub(super) fn alone(worker: impl ModelWorker) -> Self {
        Self { worker: Arc::new(worker), embedder: None, tells_slots: false }
    }
}

/// Makes a worker of the file.
pub(super) async fn connect(name: &str, worker: &Worker) -> Result<Connected, ConnectError> {
    let refused = |source| ConnectError::Worker { worker: name.to_owned(), source };
    let unusable = |source| ConnectError::Settings { worker: name.to_owned(), source };
    match worker {
        Worker::Extractive(settings) => Ok(Connected::alone(Extractive::default().max_sentences(settings.sentences))),
        Worker::LlamaCpp(settings) => {
            let absent = || llama::absent(name, settings).map_err(invalid);
            lazy::connect(absent, llama::connect(name, settings)).await.map_err(refused)
        }
        Worker::Vllm(settings) => {
            let absent = || vllm::absent(name, settings).map_err(invalid);
            lazy::connect(absent, vllm::connect(name, settings)).await.map_err(refused)
        }
        Worker::Auto(settings) => {
            let absent = || auto::absent(name, settings).map_err(invalid);
            lazy::connect(absent, auto::connect(name, settings)).await.map_err(refused)
        }
        Worker::OpenAiCompatible(_)
        | Worker::OpenAi(_)
        | Worker::Tgi(_)
        | Worker::Ollama(_)
        | Worker::LmStudio(_)
        | Worker::OpenRouter(_)
        | Worker::Mistral(_) => of_kind(name, worker).map_err(unusable),
    }
}
