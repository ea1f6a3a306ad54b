use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::HeaderMap;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Health, InferenceRequest, ModelWorker, Slots, Timeouts, WorkerInfo};

use super::builder::OpenAiBuilder;
use crate::chat::Dialect;
use crate::client::Client;
use crate::wire::Prompt;
use crate::{answer, chat, completion};

/// How long the server is waited for when it is asked how it is.
const HEALTH: Duration = Duration::from_secs(5);

/// The worker of any server that speaks OpenAI's API. Cheap to clone; clones share connections and slots.
///
/// Conversations go to `/v1/chat/completions`, raw prompts to `/v1/completions`, both as streams; so it needs no more than
/// these. It cannot go on with an answer that another call began. For llama.cpp and vLLM there are workers that know more of
/// them.
///
/// # Examples
///
/// ```
/// use workers_openai::{OpenAi, Preset};
///
/// let local = OpenAi::builder().base_url("http://127.0.0.1:8000").model("tiny").build()?;
/// let ollama = OpenAi::builder().preset(Preset::Ollama).model("llama3.2").build()?;
/// # drop((local, ollama));
///
/// // Everything that is wrong is told at once.
/// let error = OpenAi::builder().base_url("localhost").model("").build().expect_err("two faults");
/// assert_eq!(error.faults().len(), 2);
/// # Ok::<_, workers_openai::error::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct OpenAi(Arc<Settings>);

/// What the builder makes.
pub(super) struct Settings {
    pub(super) client: Client,
    pub(super) dialect: Dialect,
    pub(super) name: String,
    pub(super) model: Option<String>,
    pub(super) context_length: Option<u64>,
    pub(super) slots: Option<Slots>,
    pub(super) health: &'static str,
    pub(super) takes_raw_prompts: bool,
    pub(super) timeouts: Timeouts,
}

impl OpenAi {
    /// Starts with nothing set; a base URL or a preset is needed.
    pub fn builder() -> OpenAiBuilder {
        OpenAiBuilder::new()
    }

    pub(super) fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }

    async fn call(&self, request: &InferenceRequest) -> Result<TokenStream, WorkerError> {
        if request.prefix.is_some() {
            let what = "this worker cannot go on with an answer that another call began";
            return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, what));
        }
        let Settings { client, dialect, model, .. } = &*self.0;
        let frames = match request.raw_prompt() {
            None => {
                let body = chat::request(request, model.as_deref(), dialect)?;
                client.stream(&client.route("chat/completions"), &body, HeaderMap::new()).await?
            }
            Some(_) if !self.0.takes_raw_prompts => {
                let what = "this server takes no raw prompts, only conversations";
                return Err(WorkerError::new(WorkerErrorKind::InvalidRequest, what));
            }
            Some(prompt) => {
                let prompt = Prompt::Text(prompt.into_owned());
                let body = completion::request(request, prompt, model.as_deref(), dialect)?;
                client.stream(&client.route("completions"), &body, HeaderMap::new()).await?
            }
        };
        Ok(answer::tokens(frames))
    }
}

#[async_trait]
impl ModelWorker for OpenAi {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.0.timeouts.of(&request.context).run(self.call(&request)).await
    }

    fn info(&self) -> WorkerInfo {
        let mut info = WorkerInfo::new(&self.0.name);
        info.model = self.0.model.clone();
        info.context_length = self.0.context_length;
        info
    }

    /// Those that were set, or else those that another worker of this server has told of.
    fn slots(&self) -> Option<Slots> {
        self.0.slots.clone().or_else(|| Slots::known(self.0.client.server()))
    }

    /// Asks for the models, or what the preset asks for. A server that does not know that route, or keeps it from this key,
    /// says nothing by it; one that has had enough requests is there.
    async fn health(&self) -> Health {
        let client = &self.0.client;
        let health = match tokio::time::timeout(HEALTH, client.get_text(&client.route(self.0.health))).await {
            Ok(Ok(_)) => Health::ready(),
            Ok(Err(error)) if error.kind() == WorkerErrorKind::RateLimited => Health::ready(),
            Ok(Err(error)) if error.kind() == WorkerErrorKind::NotFound => Health::unknown(),
            Ok(Err(error)) if matches!(error.status(), Some(403 | 405)) => Health::unknown(),
            Ok(Err(error)) => Health::unavailable(error.to_string()),
            Err(_) => Health::unavailable(format!("no answer within {HEALTH:?}")),
        };
        if let Some(slots) = self.slots() {
            slots.heed(&health);
        }
        health
    }
}

impl fmt::Debug for OpenAi {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Settings { client, name, model, .. } = &*self.0;
        f.debug_struct("OpenAi")
            .field("name", name)
            .field("model", model)
            .field("client", client)
            .finish_non_exhaustive()
    }
}
