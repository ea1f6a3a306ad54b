//! The worker for whatever model server answers at a URL.

use std::sync::Arc;

use prompt_orchestrator::llamacpp::LlamaCpp;
use prompt_orchestrator::openai::client::Client;
use prompt_orchestrator::openai::probe::{ServerKind, probe};
use prompt_orchestrator::openai::wire::ModelList;
use prompt_orchestrator::openai::{OpenAi, Preset};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::vllm::Vllm;

/// Finds out what kind of server it is and connects to it.
pub(crate) async fn connect(url: &str) -> Result<Arc<dyn ModelWorker>, Box<dyn std::error::Error>> {
    let kind = probe(url, None).await?;
    eprintln!("{url} is {kind:?}");
    Ok(match kind {
        ServerKind::LlamaCpp => Arc::new(LlamaCpp::connect(url).await?),
        ServerKind::Vllm => Arc::new(Vllm::connect(url).await?),
        kind => Arc::new(openai_type(url, kind).await?),
    })
}

/// Asks for the first model that the server lists.
async fn openai_type(url: &str, kind: ServerKind) -> Result<OpenAi, Box<dyn std::error::Error>> {
    let client = Client::builder(url).build()?;
    let models: ModelList = client.get_json(&client.route("models")).await?;
    let first = models.data.get().and_then(|models| models.first()?.id.get());
    let model = first.ok_or("the server lists no model")?;
    let builder = match kind {
        ServerKind::Ollama => OpenAi::builder().preset(Preset::Ollama),
        ServerKind::Tgi => OpenAi::builder().preset(Preset::Tgi),
        _ => OpenAi::builder(),
    };
    Ok(builder.base_url(url).model(model.as_str()).build()?)
}
