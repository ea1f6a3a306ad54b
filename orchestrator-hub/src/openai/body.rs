use std::num::NonZeroU32;

use orchestrator_core::request::Sampling;
use serde::Deserialize;
use serde_json::{Map, Number, Value};
use utoipa::ToSchema;
use workers_openai::wire::{ChatMessage, Prompt, Stop, StreamOptions};

use super::schema;
use crate::fault::Fault;

/// The body of a request for text, on either route: a fault in a field is told by its name only where all of them are in one
/// type.
#[derive(Debug, Deserialize, ToSchema)]
pub(super) struct Body {
    pub(super) model: String,
    /// On the route of chats.
    #[schema(value_type = Vec<schema::ChatMessage>, required = false, min_items = 1)]
    pub(super) messages: Option<Vec<ChatMessage>>,
    #[schema(value_type = Option<Vec<schema::Tool>>)]
    pub(super) tools: Option<Vec<Value>>,
    #[schema(value_type = Option<schema::ResponseFormat>)]
    pub(super) response_format: Option<Value>,
    /// On the route of completions.
    #[schema(value_type = schema::OneText, required = false)]
    pub(super) prompt: Option<Prompt>,
    #[schema(minimum = 1, maximum = 1)]
    best_of: Option<i64>,
    #[schema(minimum = 1, maximum = 4294967295_u32)]
    max_tokens: Option<u64>,
    #[schema(minimum = 1, maximum = 4294967295_u32)]
    max_completion_tokens: Option<u64>,
    #[schema(minimum = 0, maximum = 2)]
    temperature: Option<f32>,
    #[schema(exclusive_minimum = 0, maximum = 1)]
    top_p: Option<f32>,
    #[schema(minimum = 1, maximum = 1)]
    n: Option<i64>,
    #[schema(value_type = Option<schema::Stop>)]
    stop: Option<Stop>,
    #[schema(value_type = Option<i64>)]
    seed: Option<Number>,
    stream: Option<bool>,
    #[schema(value_type = Option<schema::StreamOptions>)]
    stream_options: Option<StreamOptions>,
    pub(super) user: Option<String>,
    /// Everything else, for the server behind.
    #[serde(flatten)]
    #[schema(ignore)]
    pub(super) vendor: Map<String, Value>,
}

impl Body {
    /// Returns whether the answer is to be streamed.
    pub(super) fn streams(&self) -> bool {
        self.stream == Some(true)
    }

    /// Returns whether the stream is to end with the usage.
    pub(super) fn includes_usage(&self) -> bool {
        self.stream_options.as_ref().is_some_and(|options| options.include_usage.get() == Some(&true))
    }

    /// Makes of it what a worker is told.
    ///
    /// # Errors
    ///
    /// Names the field that is out of range.
    pub(super) fn into_sampling(self) -> Result<Sampling, Fault> {
        if self.n.is_some_and(|n| n != 1) {
            return Err(Fault::invalid("n", "`n` must be 1: there is one answer for each request"));
        }
        if self.best_of.is_some_and(|best_of| best_of != 1) {
            return Err(Fault::invalid("best_of", "`best_of` must be 1: there is one answer for each request"));
        }
        let mut sampling = Sampling::default();
        sampling.max_tokens = match self.max_completion_tokens {
            Some(tokens) => Some(limit("max_completion_tokens", tokens)?),
            None => self.max_tokens.map(|tokens| limit("max_tokens", tokens)).transpose()?,
        };
        sampling.temperature = self.temperature;
        sampling.top_p = self.top_p;
        sampling.stop = match self.stop {
            Some(Stop::Text(text)) => vec![text],
            Some(Stop::Texts(texts)) => texts,
            None => Vec::new(),
        };
        sampling.vendor = self.vendor;
        sampling.seed = self.seed.as_ref().and_then(Number::as_u64);
        if let (None, Some(seed)) = (sampling.seed, self.seed) {
            sampling.vendor.insert("seed".to_owned(), seed.into());
        }
        if let Some(user) = self.user {
            sampling.vendor.insert("user".to_owned(), user.into());
        }
        sampling.validate().map_err(|wrong| Fault::invalid(wrong.field(), wrong.to_string()))?;
        Ok(sampling)
    }
}

fn limit(field: &str, tokens: u64) -> Result<NonZeroU32, Fault> {
    let limit = u32::try_from(tokens).ok().and_then(NonZeroU32::new);
    limit.ok_or_else(|| Fault::invalid(field, format!("`{field}` must be at least 1, and less than 2^32")))
}
