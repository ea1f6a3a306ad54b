use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Secret, Time, Url};

/// A model server, or what answers in the place of one.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(tag = "kind", rename_all = "kebab-case")]
pub enum Worker {
    /// Quotes sentences of the passages; needs no server, and is no language model.
    Extractive(Extractive),
    /// llama.cpp's own server.
    #[serde(rename = "llamacpp")]
    LlamaCpp(LlamaCpp),
    /// vLLM.
    Vllm(Vllm),
    /// A server that is asked what it is: llama.cpp, vLLM, Ollama, TGI, or any that speaks OpenAI's API.
    Auto(Auto),
    /// Any server that speaks OpenAI's API.
    #[serde(rename = "openai-compatible")]
    OpenAiCompatible(OpenAiCompatible),
    /// OpenAI itself.
    #[serde(rename = "openai")]
    OpenAi(OpenAi),
    /// Hugging Face's text-generation-inference.
    Tgi(OpenAi),
    /// Ollama.
    Ollama(OpenAi),
    /// LM Studio.
    LmStudio(OpenAi),
    /// OpenRouter.
    #[serde(rename = "openrouter")]
    OpenRouter(OpenAi),
    /// Mistral's own service.
    Mistral(OpenAi),
}

/// Quotes sentences of the passages.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Extractive {
    /// The most sentences of an answer.
    pub sentences: NonZeroUsize,
}

impl Default for Extractive {
    fn default() -> Self {
        Self { sentences: NonZeroUsize::new(3).expect("above zero") }
    }
}

/// llama.cpp's own server.
///
/// It is asked for its slots, its context and its model. While it is down the service runs without it, and takes it in when it is
/// there.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlamaCpp {
    /// Where it is, such as `http://127.0.0.1:8081`.
    pub url: Url,
    /// Its key.
    #[serde(default)]
    pub key: Option<Secret>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long a connection may take to stand; 5 s unless set.
    #[serde(default)]
    pub connect_timeout: Option<Time>,
    /// How long an answer is waited for, phase by phase.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// By which route conversations go.
    #[serde(default)]
    pub route: Route,
    /// Whether the turns of a session go to the slot that keeps them; to be turned off where other processes use the server too.
    #[serde(default = "yes")]
    pub pin_sessions: bool,
    /// That it embeds texts (`--embeddings`), and what its vectors are called: workers whose vectors are comparable say the same.
    #[serde(default)]
    pub embeddings: Option<String>,
}

const fn yes() -> bool {
    true
}

impl LlamaCpp {
    /// Names a server, with what is set unless said otherwise.
    pub fn new(url: impl Into<String>) -> Self {
        Self {
            url: Url::from(url.into()),
            key: None,
            headers: BTreeMap::new(),
            connect_timeout: None,
            timeouts: Timeouts::default(),
            route: Route::default(),
            pin_sessions: yes(),
            embeddings: None,
        }
    }
}

/// By which route conversations go to llama.cpp.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Route {
    /// `/v1/chat/completions`: tools, pictures, reasoning.
    #[default]
    Chat,
    /// `/completion`: answers that another worker can go on with exactly where they broke off.
    Native,
}

/// vLLM. Its model and length are read from it; while it is down the service runs without it.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Vllm {
    /// Where it is, such as `http://127.0.0.1:8000`.
    pub url: Url,
    /// Its key.
    #[serde(default)]
    pub key: Option<Secret>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long a connection may take to stand; 5 s unless set.
    #[serde(default)]
    pub connect_timeout: Option<Time>,
    /// How long an answer is waited for, phase by phase.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The model, or an adapter of it; its first unless set.
    #[serde(default)]
    pub model: Option<String>,
    /// Requests that it runs at once (`--max-num-seqs`); without a limit it queues what it cannot run.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub slots: Option<NonZeroUsize>,
    /// Whether it is told priorities (`--scheduling-policy priority`).
    #[serde(default)]
    pub priorities: bool,
    /// A secret by which tenants' parts of the prefix cache are kept apart; 16 bytes at least.
    #[serde(default)]
    pub cache_salt: Option<Secret>,
    /// Whether the ids of tokens are asked for, so that another vLLM can go on with an answer exactly where it broke off.
    #[serde(default)]
    pub token_ids: bool,
    /// The model that embeds texts.
    #[serde(default)]
    pub embeddings: Option<String>,
}

/// A server that is asked what it is, which waits at most 5 s for each answer, whatever limits are set.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Auto {
    /// Where it is.
    pub url: Url,
    /// Its key.
    #[serde(default)]
    pub key: Option<Secret>,
    /// How long a connection may take to stand; 5 s unless set.
    #[serde(default)]
    pub connect_timeout: Option<Time>,
    /// How long an answer is waited for, phase by phase.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The model, where it has several; a llama.cpp has one, and is asked for none.
    #[serde(default)]
    pub model: Option<String>,
    /// The model that embeds texts.
    #[serde(default)]
    pub embeddings: Option<String>,
}

impl Auto {
    /// Names a server, with what is set unless said otherwise.
    pub fn new(url: impl Into<String>) -> Self {
        Self { url: Url::from(url.into()), ..Self::default() }
    }
}

/// A server that speaks OpenAI's API, at a place of its own.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OpenAiCompatible {
    /// Where it is: routes are below `/v1`, or below the URL's path where it has one.
    pub url: Url,
    /// Its key.
    #[serde(default)]
    pub key: Option<Secret>,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// How long a connection may take to stand; 5 s unless set.
    #[serde(default)]
    pub connect_timeout: Option<Time>,
    /// How long an answer is waited for, phase by phase.
    #[serde(default)]
    pub timeouts: Timeouts,
    /// The model that is asked for where a request names none.
    #[serde(default)]
    pub model: Option<String>,
    /// Requests that it takes at once; no limit unless set.
    #[serde(default)]
    #[schemars(range(min = 1, max = 1_000_000))]
    pub slots: Option<NonZeroUsize>,
    /// Tokens that prompt and answer may have together.
    #[serde(default)]
    pub context_length: Option<u64>,
    /// The model that embeds texts.
    #[serde(default)]
    pub embeddings: Option<String>,
}

/// A service or server that is known, at its usual place unless a URL is given.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpenAi {
    /// Where it is; where it usually is unless set.
    pub url: Option<Url>,
    /// Its key.
    pub key: Option<Secret>,
    /// Headers of every request.
    pub headers: BTreeMap<String, Secret>,
    /// How long a connection may take to stand; 5 s unless set.
    pub connect_timeout: Option<Time>,
    /// How long an answer is waited for, phase by phase.
    pub timeouts: Timeouts,
    /// The model that is asked for where a request names none.
    pub model: Option<String>,
    /// Requests that it takes at once; no limit unless set.
    #[schemars(range(min = 1, max = 1_000_000))]
    pub slots: Option<NonZeroUsize>,
    /// Tokens that prompt and answer may have together.
    pub context_length: Option<u64>,
    /// The model that embeds texts.
    pub embeddings: Option<String>,
}

/// How long a worker is waited for, phase by phase.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Timeouts {
    /// From the call to the first token; 120 s unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_token: Option<Time>,
    /// From one token to the next; 30 s unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub between_tokens: Option<Time>,
    /// From the call to the end; no limit unless set.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub total: Option<Time>,
}

impl From<Timeouts> for orchestrator_core::worker::Timeouts {
    fn from(set: Timeouts) -> Self {
        let mut limits = Self::default();
        limits.first_token = set.first_token.map(Into::into).or(limits.first_token);
        limits.between_tokens = set.between_tokens.map(Into::into).or(limits.between_tokens);
        limits.total = set.total.map(Into::into).or(limits.total);
        limits
    }
}

impl Worker {
    /// Returns the model that it was given, where its kind is given one.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Extractive(_) | Self::LlamaCpp(_) => None,
            Self::Vllm(vllm) => vllm.model.as_deref(),
            Self::Auto(auto) => auto.model.as_deref(),
            Self::OpenAiCompatible(server) => server.model.as_deref(),
            _ => self.known()?.model.as_deref(),
        }
    }

    /// Returns what its vectors are called, where it embeds.
    #[must_use]
    pub fn embeddings(&self) -> Option<&str> {
        match self {
            Self::Extractive(_) => None,
            Self::LlamaCpp(llama) => llama.embeddings.as_deref(),
            Self::Vllm(vllm) => vllm.embeddings.as_deref(),
            Self::Auto(auto) => auto.embeddings.as_deref(),
            Self::OpenAiCompatible(server) => server.embeddings.as_deref(),
            _ => self.known()?.embeddings.as_deref(),
        }
    }

    /// Returns the settings of one of the kinds that speak OpenAI's API at a place that is known.
    pub(crate) const fn known(&self) -> Option<&OpenAi> {
        match self {
            Self::OpenAi(known)
            | Self::Tgi(known)
            | Self::Ollama(known)
            | Self::LmStudio(known)
            | Self::OpenRouter(known)
            | Self::Mistral(known) => Some(known),
            Self::Extractive(_) | Self::LlamaCpp(_) | Self::Vllm(_) | Self::Auto(_) | Self::OpenAiCompatible(_) => None,
        }
    }
}
