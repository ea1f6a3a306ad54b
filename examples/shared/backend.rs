//! The worker for whatever model server answers at a URL.

use std::sync::Arc;

use prompt_orchestrator::llamacpp::LlamaCpp;
use prompt_orchestrator::openai::client::Client;
use prompt_orchestrator::openai::probe::{ServerKind, probe};
use prompt_orchestrator::openai::wire::ModelList;
use prompt_orchestrator::openai::{OpenAi, Preset};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::vllm::Vllm;

type Result<T> = std::result::Result<T, Box<dyn std::error::Error>>;

/// Finds out what kind of server it is and connects to it, with the key in `MODEL_SERVER_KEY` if there is one.
///
/// `model` is for servers that have several; without it the first that is listed is asked for.
pub(crate) async fn connect(url: &str, model: Option<&str>) -> Result<Arc<dyn ModelWorker>> {
    let key = std::env::var("MODEL_SERVER_KEY").ok();
    let kind = probe(url, key.clone().map(Into::into)).await?;
    eprintln!("{url} is {kind:?}");
    Ok(match kind {
        ServerKind::LlamaCpp => {
            let builder = LlamaCpp::builder(url);
            let builder = if let Some(key) = key { builder.key(key) } else { builder };
            Arc::new(builder.connect().await?)
        }
        ServerKind::Vllm => {
            let builder = Vllm::builder(url);
            let builder = if let Some(key) = key { builder.key(key) } else { builder };
            let builder = if let Some(model) = model { builder.model(model) } else { builder };
            Arc::new(builder.connect().await?)
        }
        kind => Arc::new(openai_type(url, kind, key, model).await?),
    })
}

async fn openai_type(url: &str, kind: ServerKind, key: Option<String>, model: Option<&str>) -> Result<OpenAi> {
    let model = match model {
        Some(model) => model.to_owned(),
        None => first_model(url, key.clone()).await?,
    };
    let builder = match kind {
        ServerKind::Ollama => OpenAi::builder().preset(Preset::Ollama),
        ServerKind::Tgi => OpenAi::builder().preset(Preset::Tgi),
        _ => OpenAi::builder(),
    };
    let builder = if let Some(key) = key { builder.key(key) } else { builder };
    Ok(builder.base_url(url).model(model).build()?)
}

async fn first_model(url: &str, key: Option<String>) -> Result<String> {
    let client = Client::builder(url);
    let client = if let Some(key) = key { client.key(key) } else { client }.build()?;
    let models: ModelList = client.get_json(&client.route("models")).await?;
    let first = models.data.get().and_then(|models| models.first()?.id.get());
    Ok(first.ok_or("the server lists no model")?.clone())
}
