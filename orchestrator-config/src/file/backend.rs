use std::collections::BTreeMap;
use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Secret, Url};

/// llama.cpp's own server.
///
/// It is asked for its slots, its context and its model. While it is down the service runs without it, and takes it in when it
/// is there.
#[derive(Debug, Clone, PartialEq, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LlamaCpp {
    /// Where it is, such as `http://127.0.0.1:8081`.
    pub url: Url,
    /// How it is spoken to.
    #[serde(flatten)]
    pub access: Access,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
    /// By which route conversations go.
    #[serde(default)]
    pub route: Route,
    /// Whether the turns of a session go to the slot that keeps them; to be turned off where other processes use the server
    /// too.
    #[serde(default = "yes")]
    pub pin_sessions: bool,
    /// That it embeds texts (`--embeddings`), and what its vectors are called: workers whose vectors are comparable say the
    /// same.
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
            access: Access::default(),
            headers: BTreeMap::new(),
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
    /// How it is spoken to.
    #[serde(flatten)]
    pub access: Access,
    /// Headers of every request.
    #[serde(default)]
    pub headers: BTreeMap<String, Secret>,
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
    /// How it is spoken to.
    #[serde(flatten)]
    pub access: Access,
    /// The model, where it has several. A llama.cpp has one: where this is set, it must be that one's name.
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
    /// How it is spoken to.
    #[serde(flatten)]
    pub access: Access,
    /// What it serves.
    #[serde(flatten)]
    pub served: Served,
}

/// A service or server that is known, at its usual place unless a URL is given.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct OpenAi {
    /// Where it is; where it usually is unless set.
    pub url: Option<Url>,
    /// How it is spoken to.
    #[serde(flatten)]
    pub access: Access,
    /// What it serves.
    #[serde(flatten)]
    pub served: Served,
}

/// What a server that speaks OpenAI's API has for its clients, and what it wants of them.
#[derive(Debug, Clone, PartialEq, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub struct Served {
    /// Headers of every request.
    pub headers: BTreeMap<String, Secret>,
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

/// A server that speaks OpenAI's API, at a place of its own or at one that is known.
#[derive(Debug, Clone, Copy)]
pub(crate) struct OpenAiServer<'a> {
    /// `None` where its kind says where it is.
    pub(crate) url: Option<&'a Url>,
    pub(crate) access: &'a Access,
    pub(crate) served: &'a Served,
}
