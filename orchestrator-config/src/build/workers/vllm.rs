use std::sync::Arc;

use futures_util::FutureExt;
use orchestrator_core::error::WorkerError;
use orchestrator_core::worker::{Slots, WorkerInfo};
use workers_openai::error::ConfigError;
use workers_vllm::Vllm;

use super::Connected;
use super::open_ai::embedder;
use super::server::{client, invalid, slots, spoken_to};
use crate::build::lazy::{Absent, Connect};
use crate::file;

/// What is known of a vLLM that is not there.
pub(super) fn absent(name: &str, settings: &file::Vllm) -> Result<Absent, ConfigError> {
    let (slots, are_known) = match settings.slots {
        None => slots(settings.url.as_str(), &settings.access)?,
        Some(most) => {
            let client = client(settings.url.as_str(), &settings.access, &settings.headers).build()?;
            (Slots::at_most(client.server(), most), true)
        }
    };
    let mut info = WorkerInfo::new(name).continues();
    info.model.clone_from(&settings.model);
    Ok(Absent { info, slots, are_known, embeddings: settings.embeddings.clone() })
}

/// Makes the worker of a vLLM.
pub(super) fn connect(name: &str, settings: &file::Vllm) -> Connect {
    let (name, settings) = (name.to_owned(), settings.clone());
    Box::new(move || vllm(name.clone(), settings.clone()).boxed())
}

pub(super) async fn vllm(name: String, settings: file::Vllm) -> Result<Connected, WorkerError> {
    let mut builder = Vllm::builder(settings.url.as_str()).name(name).timeouts(settings.access.timeouts.into());
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
    let worker = spoken_to(builder, &settings.access, &settings.headers).connect().await?;
    let vectors = settings.embeddings.as_ref().map(|model| {
        let client = client(settings.url.as_str(), &settings.access, &settings.headers).build();
        client.map(|client| embedder(client, model)).map_err(invalid)
    });
    Ok(Connected { worker: Arc::new(worker), embedder: vectors.transpose()?, tells_slots: settings.slots.is_some() })
}
