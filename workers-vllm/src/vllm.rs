use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;
use http::HeaderMap;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Health, InferenceRequest, ModelWorker, Prefix, Slots, Timeouts, WorkerInfo};
use serde::Serialize;
use workers_openai::chat::Dialect;
use workers_openai::client::Client;
use workers_openai::wire::{Field, Prompt};
use workers_openai::{answer, chat, completion};

use crate::builder::VllmBuilder;
use crate::fields::Fields;
use crate::{health, request_id, resume, tokenize};

/// The worker of a vLLM server. Cheap to clone; clones share connections and slots.
///
/// Conversations go to `/v1/chat/completions`, raw prompts to `/v1/completions`. An answer without a limit of its own may fill
/// the model's length on both, though vLLM's own limit for raw prompts would be 16 tokens.
///
/// Every call has an id, `po-PROCESS-REQUEST-CALL`, where `REQUEST` is the id that reports show; in the server's log it is
/// `chatcmpl-` or `cmpl-` and this. Fields of [`Sampling::vendor`](orchestrator_core::request::Sampling) are handed on:
/// `top_k`, `min_tokens`, `structured_outputs` and whatever else the server knows. What it says at the end beyond OpenAI's
/// fields, such as `stop_reason`, is in [`Finish::vendor`](orchestrator_core::token::Finish).
///
/// # Going on with an answer
///
/// | of the [`Prefix`] is known | what is asked |
/// |---|---|
/// | the ids of its tokens | `/tokenize` for those of the prompt, then `/v1/completions` with all: exactly where it broke off |
/// | its text | the text behind a raw prompt; else as the last message, with `continue_final_message` |
/// | both, and there are pictures | as if only the text were known |
///
/// The ids are known where the first call asked for them: [`VllmBuilder::with_token_ids`]. The usage counts what there was
/// among the tokens of the prompt. On `/v1/completions` the server's parsers of reasoning and tool calls do nothing.
///
/// What is not carried over the seam: a stop text that begins before it and ends behind it is not seen; and where only the text
/// is known, the model does not see its reasoning again, and its template may drop white space at the end. Refused, with
/// [`InvalidRequest`](orchestrator_core::error::WorkerErrorKind::InvalidRequest), are answers with tools or of a given form,
/// and in a conversation those with ids and no text: they were still reasoning, and the rest of that would come as text.
///
/// # Slots
///
/// vLLM does not say how many requests it runs at once (`--max-num-seqs`), and queues the others without a limit, unless told
/// otherwise. So the worker has slots only where [`VllmBuilder::slots`] says how many.
///
/// # Examples
///
/// ```no_run
/// use workers_vllm::Vllm;
///
/// # async fn example() -> Result<(), orchestrator_core::error::WorkerError> {
/// let worker = Vllm::connect("http://127.0.0.1:8000").await?;
/// println!("{:?} {:?}", worker.version(), worker);
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct Vllm(Arc<Settings>);

/// What the builder makes.
pub(crate) struct Settings {
    pub(crate) client: Client,
    pub(crate) name: String,
    pub(crate) model: Option<String>,
    pub(crate) context_length: Option<u64>,
    pub(crate) version: Option<String>,
    pub(crate) slots: Option<Slots>,
    pub(crate) timeouts: Timeouts,
    pub(crate) fields: Fields,
}

const CHAT: &str = "/v1/chat/completions";
const COMPLETIONS: &str = "/v1/completions";

impl Vllm {
    /// Connects to a server: reads which model it has, and its length.
    ///
    /// # Errors
    ///
    /// As [`VllmBuilder::connect`].
    pub async fn connect(base_url: impl Into<String>) -> Result<Self, WorkerError> {
        Self::builder(base_url).connect().await
    }

    /// Starts with the base URL of a server, such as `http://127.0.0.1:8000`; it may end in `/v1` or not.
    pub fn builder(base_url: impl Into<String>) -> VllmBuilder {
        VllmBuilder::new(&base_url.into())
    }

    pub(crate) fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }

    /// Returns the server's version, where it was told when it was connected to.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.0.version.as_deref()
    }

    pub(crate) fn model(&self) -> Option<&str> {
        self.0.model.as_deref()
    }

    pub(crate) fn client(&self) -> &Client {
        &self.0.client
    }

    async fn call(&self, request: &InferenceRequest) -> Result<TokenStream, WorkerError> {
        let prefix = resume::prefix(request)?;
        match (prefix, request.raw_prompt()) {
            (Some(prefix), _) if !prefix.token_ids.is_empty() && resume::has_ids(request) => {
                self.resume(request, prefix).await
            }
            (prefix, None) => self.chat(request, prefix).await,
            (prefix, Some(prompt)) => {
                let begun = prefix.map_or("", |prefix| &prefix.text);
                self.complete(request, Prompt::Text(prompt.into_owned() + begun)).await
            }
        }
    }

    async fn chat(&self, request: &InferenceRequest, prefix: Option<&Prefix>) -> Result<TokenStream, WorkerError> {
        let mut body = chat::request(request, self.model(), &Dialect::default())?;
        if let Some(prefix) = prefix {
            resume::with_text(&mut body, prefix);
        }
        self.0.fields.add_to(&mut body.extra, &request.context, false);
        self.stream(CHAT, &body, request).await
    }

    async fn complete(&self, request: &InferenceRequest, prompt: Prompt) -> Result<TokenStream, WorkerError> {
        let by_ids = matches!(prompt, Prompt::Tokens(_));
        let mut body = completion::request(request, prompt, self.model(), &Dialect::default())?;
        resume::without_template(&mut body.extra);
        if body.max_tokens.is_absent() && !body.extra.contains_key("max_tokens") {
            // As many as fit; left out, it would be 16.
            body.max_tokens = Field::Null;
        }
        self.0.fields.add_to(&mut body.extra, &request.context, by_ids);
        self.stream(COMPLETIONS, &body, request).await
    }

    async fn resume(&self, request: &InferenceRequest, prefix: &Prefix) -> Result<TokenStream, WorkerError> {
        let asked = resume::tokenize(request, self.model())?;
        let mut ids = tokenize::tokens(self.client(), &asked).await?;
        ids.extend_from_slice(&prefix.token_ids);
        self.complete(request, Prompt::Tokens(ids)).await
    }

    async fn stream(
        &self,
        route: &str,
        body: &(impl Serialize + Sync),
        request: &InferenceRequest,
    ) -> Result<TokenStream, WorkerError> {
        let headers = HeaderMap::from_iter([(REQUEST_ID, request_id::next(&request.context))]);
        let frames = self.client().stream(route, body, headers).await?;
        Ok(answer::tokens(frames))
    }
}

const REQUEST_ID: http::HeaderName = http::HeaderName::from_static("x-request-id");

#[async_trait]
impl ModelWorker for Vllm {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.0.timeouts.of(&request.context).run(self.call(&request)).await
    }

    fn info(&self) -> WorkerInfo {
        let mut info = WorkerInfo::new(&self.0.name).continues();
        info.model.clone_from(&self.0.model);
        info.context_length = self.0.context_length;
        info
    }

    fn slots(&self) -> Option<Slots> {
        self.0.slots.clone()
    }

    /// Asks `/health`, and `/metrics` and `/load` for the load, all at once and for 2 s at most. Where the server has no
    /// metrics (`--disable-log-stats`), what it has in all, by `/load`, counts as running, if it tracks that.
    async fn health(&self) -> Health {
        let mut health = health::ask(self.client()).await;
        if let Some(slots) = &self.0.slots {
            health.load.slots = Some(slots.total() as u64);
            slots.heed(&health);
        }
        health
    }
}

impl fmt::Debug for Vllm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { client, name, model, context_length, .. } = &*self.0;
        f.debug_struct("Vllm")
            .field("name", name)
            .field("model", model)
            .field("context_length", context_length)
            .field("client", client)
            .finish_non_exhaustive()
    }
}
