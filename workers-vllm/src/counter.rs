use async_trait::async_trait;
use futures_util::stream::{self, StreamExt, TryStreamExt};
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::TokenCounter;
use workers_openai::wire::Extra;

use crate::tokenize::{self, TokenizeRequest};
use crate::vllm::Vllm;

/// How many texts are counted at once: the server takes one with each call, and has other things to do.
const AT_ONCE: usize = 8;

/// Counts with the server's tokenizer: one call for each text, and none for an empty one.
///
/// Marks that the tokenizer would put around a whole prompt are not counted.
#[async_trait]
impl TokenCounter for Vllm {
    async fn count(&self, texts: &[&str]) -> Result<Vec<usize>, WorkerError> {
        let counts = texts.iter().map(|text| self.count_one((*text).to_owned()));
        stream::iter(counts.collect::<Vec<_>>()).buffered(AT_ONCE).try_collect().await
    }

    fn is_exact(&self) -> bool {
        true
    }
}

impl Vllm {
    async fn count_one(&self, text: String) -> Result<usize, WorkerError> {
        if text.is_empty() {
            return Ok(0);
        }
        let request = TokenizeRequest {
            model: self.model().map(str::to_owned).into(),
            prompt: text.into(),
            extra: Extra::from_iter([("add_special_tokens".to_owned(), false.into())]),
            ..TokenizeRequest::default()
        };
        Ok(tokenize::tokens(self.client(), &request).await?.len())
    }
}
