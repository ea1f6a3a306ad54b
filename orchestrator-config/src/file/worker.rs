use std::num::NonZeroUsize;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Access, Auto, LlamaCpp, OpenAi, OpenAiCompatible, OpenAiServer, Vllm};

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

impl Worker {
    /// Returns the model that it was given, where its kind is given one.
    #[must_use]
    pub fn model(&self) -> Option<&str> {
        match self {
            Self::Vllm(vllm) => vllm.model.as_deref(),
            Self::Auto(auto) => auto.model.as_deref(),
            _ => self.open_ai()?.served.model.as_deref(),
        }
    }

    /// Returns what its vectors are called, where it embeds.
    #[must_use]
    pub fn embeddings(&self) -> Option<&str> {
        match self {
            Self::LlamaCpp(llama) => llama.embeddings.as_deref(),
            Self::Vllm(vllm) => vllm.embeddings.as_deref(),
            Self::Auto(auto) => auto.embeddings.as_deref(),
            _ => self.open_ai()?.served.embeddings.as_deref(),
        }
    }

    /// Returns how its server is spoken to, where it has one.
    pub(crate) fn access(&self) -> Option<&Access> {
        match self {
            Self::LlamaCpp(llama) => Some(&llama.access),
            Self::Vllm(vllm) => Some(&vllm.access),
            Self::Auto(auto) => Some(&auto.access),
            _ => Some(self.open_ai()?.access),
        }
    }

    /// Returns the settings of a server that speaks OpenAI's API and is not asked what it is.
    pub(crate) const fn open_ai(&self) -> Option<OpenAiServer<'_>> {
        match self {
            Self::OpenAiCompatible(OpenAiCompatible { url, access, served }) => {
                Some(OpenAiServer { url: Some(url), access, served })
            }
            Self::OpenAi(known)
            | Self::Tgi(known)
            | Self::Ollama(known)
            | Self::LmStudio(known)
            | Self::OpenRouter(known)
            | Self::Mistral(known) => {
                Some(OpenAiServer { url: known.url.as_ref(), access: &known.access, served: &known.served })
            }
            Self::Extractive(_) | Self::LlamaCpp(_) | Self::Vllm(_) | Self::Auto(_) => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::file::Time;

    const SERVERS: [&str; 10] = [
        "llamacpp",
        "vllm",
        "auto",
        "openai-compatible",
        "openai",
        "tgi",
        "ollama",
        "lm-studio",
        "openrouter",
        "mistral",
    ];

    #[test]
    fn every_kind_of_server_takes_what_all_take_and_nothing_unknown() {
        for kind in SERVERS {
            let said =
                json!({"kind": kind, "url": "http://a", "key": "k", "timeouts": {"total": "9s"}, "embeddings": "e"});
            let worker = Worker::deserialize(&said).expect(kind);
            let access = worker.access().expect("it has a server");
            assert_eq!(access.key, Some("k".to_owned().into()), "{kind}");
            assert_eq!(access.timeouts.total, Some(Time::secs(9)), "{kind}");
            assert_eq!(worker.embeddings(), Some("e"), "{kind}");
            let mut wrong = said;
            wrong["keys"] = "k".into();
            let error = Worker::deserialize(&wrong).expect_err(kind).to_string();
            assert!(error.contains("unknown field `keys`"), "{kind}: {error}");
        }
    }
}
