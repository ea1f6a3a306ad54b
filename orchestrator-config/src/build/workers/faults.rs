use std::collections::BTreeMap;

use orchestrator_core::error::InvalidInput;
use secrecy::ExposeSecret;
use workers_openai::error::ConfigError;

use super::open_ai::of_kind;
use super::server::client;
use crate::file::{self, Worker};

/// The shortest secret that keeps prefix caches apart.
const SHORTEST_SALT: usize = 16;

/// Says what is wrong with the settings of a worker that are its server's, without asking that.
pub(crate) fn faults(worker: &Worker) -> Vec<InvalidInput> {
    let mut faults = built(worker).err().map(ConfigError::into_faults).unwrap_or_default();
    match worker {
        Worker::Vllm(settings) => faults.extend(short_salt(settings)),
        Worker::LlamaCpp(settings) => faults.extend(going_on(settings)),
        _ => {}
    }
    faults
}

/// Builds as much of it as can be built without its server.
fn built(worker: &Worker) -> Result<(), ConfigError> {
    let none = BTreeMap::new();
    let (url, access, headers) = match worker {
        Worker::Extractive(_) => return Ok(()),
        Worker::LlamaCpp(settings) => (&settings.url, &settings.access, &settings.headers),
        Worker::Vllm(settings) => (&settings.url, &settings.access, &settings.headers),
        Worker::Auto(settings) => (&settings.url, &settings.access, &none),
        Worker::OpenAiCompatible(_)
        | Worker::OpenAi(_)
        | Worker::Tgi(_)
        | Worker::Ollama(_)
        | Worker::LmStudio(_)
        | Worker::OpenRouter(_)
        | Worker::Mistral(_) => return of_kind("check", worker).map(drop),
    };
    client(url.as_str(), access, headers).build().map(drop)
}

fn short_salt(settings: &file::Vllm) -> Option<InvalidInput> {
    let salt = settings.cache_salt.as_ref()?.reveal();
    let is_short = salt.expose_secret().len() < SHORTEST_SALT;
    is_short.then(|| InvalidInput::new("cache_salt", format!("must have {SHORTEST_SALT} bytes at least")))
}

fn going_on(settings: &file::LlamaCpp) -> Option<InvalidInput> {
    let name = settings.headers.keys().find(|name| name.eq_ignore_ascii_case("x-conversation-id"))?;
    let problem = format!("`{name}` would make the server go on with answers that nobody reads any more");
    Some(InvalidInput::new("header", problem))
}
