//! Servers, and how they are asked.

use std::num::NonZeroU32;

use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::openai::client::Client;
use prompt_orchestrator::pool::{FailOver, Pool, Retry};
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::token::Finish;
use serde_json::{Value, json};

/// An answer as its caller has it.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) text: String,
    pub(crate) finish: Finish,
}

/// A pipeline around a pool, whose callers wait as long as it takes.
pub(crate) fn pipeline(pool: &Pool) -> Result<Pipeline<PromptRequest, Tokens>, BuildError> {
    let worker = FailOver::new(Retry::new(pool.clone()));
    let patient = StageConfig::new().shed(ShedPolicy::Backpressure);
    Pipeline::builder("real").stage_with(InferenceStage::new(worker), patient).stage(StreamStage::default()).build()
}

/// Submits a prompt and reads its answer.
pub(crate) async fn ask(pipeline: &Pipeline<PromptRequest, Tokens>, prompt: PromptRequest) -> Result<Whole, Error> {
    let mut answer = pipeline.submit(prompt).await?;
    let text = answer.text().await?;
    let finish = answer.report().finish.expect("what is answered has an end");
    Ok(Whole { text, finish })
}

/// Without chance, of so many tokens.
pub(crate) fn greedy(prompt: PromptRequest, tokens: u32) -> PromptRequest {
    let tokens = NonZeroU32::new(tokens).expect("not zero");
    prompt.temperature(0.0).seed(1).max_tokens(tokens).vendor("ignore_eos", true)
}

/// Returns the `logit_bias` that forbids every token that is not plain text.
///
/// Of a character that two tokens make the server shows nothing before it is whole, and then the id of the second alone: such
/// an answer can be gone on with by its text only.
pub(crate) async fn plain_text_only(base_url: &str) -> Result<Value, Box<dyn std::error::Error + Send + Sync>> {
    let client = Client::builder(base_url).build()?;
    let models: Value = client.get_json("/v1/models").await?;
    let vocabulary = models["data"][0]["meta"]["n_vocab"].as_u64().ok_or("no size of the vocabulary")?;
    let mut forbidden = Vec::new();
    for token in 0..vocabulary {
        let text: Value = client.post_json("/detokenize", &json!({ "tokens": [token] })).await?;
        let text = text["content"].as_str().unwrap_or_default();
        if text.is_empty() || !text.bytes().all(|byte| (b' '..=b'~').contains(&byte)) {
            forbidden.push(json!([token, false]));
        }
    }
    Ok(forbidden.into())
}
