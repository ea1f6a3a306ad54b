use std::collections::BTreeMap;

use orchestrator_core::error::InvalidInput;
use secrecy::ExposeSecret;
use workers_openai::error::ConfigError;

use super::open_ai::{compatible, open_ai, preset};
use super::server::client;
use crate::file::{self, Worker};

/// The shortest secret that keeps prefix caches apart.
const SHORTEST_SALT: usize = 16;

/// Says what is wrong with the settings of a worker that are its server's, without asking that.
pub(crate) fn faults(worker: &Worker) -> Vec<InvalidInput> {
    let built = match worker {
        Worker::Extractive(_) => return Vec::new(),
        Worker::LlamaCpp(settings) => {
            client(settings.url.as_str(), settings.key.as_ref(), &settings.headers, None).build().map(drop)
        }
        Worker::Vllm(settings) => {
            client(settings.url.as_str(), settings.key.as_ref(), &settings.headers, None).build().map(drop)
        }
        Worker::Auto(settings) => {
            client(settings.url.as_str(), settings.key.as_ref(), &BTreeMap::new(), None).build().map(drop)
        }
        Worker::OpenAiCompatible(settings) => open_ai("check", &compatible(settings), None).map(drop),
        Worker::OpenAi(settings)
        | Worker::Tgi(settings)
        | Worker::Ollama(settings)
        | Worker::LmStudio(settings)
        | Worker::OpenRouter(settings)
        | Worker::Mistral(settings) => open_ai("check", settings, preset(worker)).map(drop),
    };
    let mut faults = built.err().map(ConfigError::into_faults).unwrap_or_default();
    if let Worker::Vllm(file::Vllm { cache_salt: Some(salt), .. }) = worker
        && salt.reveal().expose_secret().len() < SHORTEST_SALT
    {
        faults.push(InvalidInput::new("cache_salt", format!("must have {SHORTEST_SALT} bytes at least")));
    }
    if let Worker::LlamaCpp(settings) = worker
        && let Some(name) = settings.headers.keys().find(|name| name.eq_ignore_ascii_case("x-conversation-id"))
    {
        let problem = format!("`{name}` would make the server go on with answers that nobody reads any more");
        faults.push(InvalidInput::new("header", problem));
    }
    faults
}
