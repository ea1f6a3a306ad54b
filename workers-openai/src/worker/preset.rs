use crate::chat::{Dialect, Json};

/// A kind of server, as far as it differs from others that speak OpenAI's API.
///
/// | preset | base URL | differs in |
/// |---|---|---|
/// | `OpenAi` | `https://api.openai.com/v1` | `max_completion_tokens` in a chat: reasoning models refuse `max_tokens` |
/// | `Tgi` | `http://127.0.0.1:3000` | JSON is asked for by `{"type": "json", "value": schema}`; `top_p` of 1 is refused, so it is left out; the model is `tgi` unless set |
/// | `Ollama` | `http://127.0.0.1:11434` | nothing else |
/// | `LmStudio` | `http://127.0.0.1:1234` | `json_object` is refused, so JSON is asked for by a schema of any object |
/// | `OpenRouter` | `https://openrouter.ai/api/v1` | usage is always sent; health is asked at `/key`, which tells whether the key holds |
/// | `Mistral` | `https://api.mistral.ai/v1` | `random_seed`; usage is always sent, and asking for it is refused; there are no raw prompts |
///
/// OpenRouter ranks applications by the headers `HTTP-Referer` and `X-Title`:
/// [`OpenAiBuilder::header`](crate::OpenAiBuilder::header) sets them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Preset {
    /// OpenAI itself.
    OpenAi,
    /// Hugging Face's text-generation-inference.
    Tgi,
    /// Ollama.
    Ollama,
    /// LM Studio.
    LmStudio,
    /// OpenRouter.
    OpenRouter,
    /// Mistral's own service.
    Mistral,
}

impl Preset {
    /// Returns where such a server is unless it is said otherwise.
    #[must_use]
    pub const fn base_url(self) -> &'static str {
        match self {
            Self::OpenAi => "https://api.openai.com/v1",
            Self::Tgi => "http://127.0.0.1:3000",
            Self::Ollama => "http://127.0.0.1:11434",
            Self::LmStudio => "http://127.0.0.1:1234",
            Self::OpenRouter => "https://openrouter.ai/api/v1",
            Self::Mistral => "https://api.mistral.ai/v1",
        }
    }

    /// Returns how requests to it are worded.
    #[must_use]
    pub const fn dialect(self) -> Dialect {
        let common = Dialect::COMMON;
        match self {
            Self::OpenAi => Dialect { max_completion_tokens: true, ..common },
            Self::Tgi => Dialect { whole_top_p: false, json: Json::Tgi, ..common },
            Self::Ollama => common,
            Self::LmStudio => Dialect { json: Json::SchemaOnly, ..common },
            Self::OpenRouter => Dialect { include_usage: false, ..common },
            Self::Mistral => Dialect { include_usage: false, seed: "random_seed", ..common },
        }
    }

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::OpenAi => "openai",
            Self::Tgi => "tgi",
            Self::Ollama => "ollama",
            Self::LmStudio => "lm-studio",
            Self::OpenRouter => "openrouter",
            Self::Mistral => "mistral",
        }
    }

    /// What is asked for where nobody names a model: TGI has one and wants some name for it.
    pub(super) const fn model(self) -> Option<&'static str> {
        match self {
            Self::Tgi => Some("tgi"),
            _ => None,
        }
    }

    /// Whether it has a route for prompts without a chat template.
    pub(super) const fn takes_raw_prompts(self) -> bool {
        !matches!(self, Self::Mistral)
    }

    /// The route that answers only if requests would be taken.
    pub(super) const fn health(self) -> &'static str {
        match self {
            Self::OpenRouter => "key",
            _ => "models",
        }
    }
}
