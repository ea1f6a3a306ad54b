//! What kind of server answers at a URL.

use std::time::Duration;

use http::header::SERVER;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use secrecy::SecretString;
use serde_json::Value;

use crate::client::{Client, Page};
use crate::wire::ModelList;

/// A kind of model server.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ServerKind {
    /// llama.cpp's `llama-server`.
    LlamaCpp,
    /// vLLM.
    Vllm,
    /// Ollama.
    Ollama,
    /// Hugging Face's text-generation-inference.
    Tgi,
    /// Anything else that lists models as OpenAI does.
    OpenAi,
}

/// Finds out what kind of server answers at a URL, by routes that only one kind has.
///
/// Asks at most four times, one after the other and for 5 s each; no model has to work for it. The URL may end in `/v1` or
/// not.
///
/// # Errors
///
/// `InvalidRequest` where the URL or the key cannot be used; those of [`Client::get_json`] where nothing answers, or the key is
/// not accepted; `NotFound` where what answers is no model server of any kind that is known here.
///
/// # Examples
///
/// ```no_run
/// # async fn example() -> Result<(), orchestrator_core::error::WorkerError> {
/// use workers_openai::probe::{ServerKind, probe};
///
/// match probe("http://127.0.0.1:8080", None).await? {
///     ServerKind::LlamaCpp => println!("llama.cpp"),
///     kind => println!("{kind:?}"),
/// }
/// # Ok(()) }
/// ```
pub async fn probe(base_url: &str, key: Option<SecretString>) -> Result<ServerKind, WorkerError> {
    let client = client(base_url, key.clone())?;
    let root = self::client(client.server(), key)?;
    let models = match client.get(&client.route("models")).await {
        Ok(page) => page,
        // TGI did not always list its model.
        Err(error) if error.kind() == WorkerErrorKind::NotFound => return beside(&root).await.ok_or(error),
        Err(error) => return Err(error),
    };
    match of_models(&models) {
        Some(ServerKind::OpenAi) => Ok(beside(&root).await.unwrap_or(ServerKind::OpenAi)),
        Some(kind) => Ok(kind),
        None => Err(WorkerError::new(WorkerErrorKind::NotFound, "what answers does not list models")),
    }
}

/// How long each route is waited for.
const PATIENCE: Duration = Duration::from_secs(5);

/// Routes that one kind of server has beside those of OpenAI's API, and what is told there.
const BESIDE: [(&str, &str, ServerKind); 3] = [
    ("/api/version", "version", ServerKind::Ollama),
    ("/info", "model_id", ServerKind::Tgi),
    // Behind a proxy that does not hand on who serves.
    ("/props", "total_slots", ServerKind::LlamaCpp),
];

fn client(base_url: &str, key: Option<SecretString>) -> Result<Client, WorkerError> {
    let builder = Client::builder(base_url).exchange_timeout(PATIENCE);
    let builder = key.into_iter().fold(builder, |builder, key| builder.key(key));
    builder.build().map_err(|error| {
        WorkerError::new(WorkerErrorKind::InvalidRequest, "the server cannot be asked").with_source(error)
    })
}

/// Goes by who serves and who owns the models; `None` where there is no list of models.
fn of_models(page: &Page) -> Option<ServerKind> {
    if page.headers.get(SERVER).is_some_and(|server| server.as_bytes() == b"llama.cpp") {
        return Some(ServerKind::LlamaCpp);
    }
    let list: ModelList = serde_json::from_slice(&page.body).ok()?;
    // Ollama without a model says `null`.
    if list.data.is_absent() {
        return None;
    }
    let models = list.data.into_option().unwrap_or_default();
    let owner = models.iter().find_map(|model| model.owned_by.get());
    Some(match owner.map(String::as_str) {
        Some("vllm") => ServerKind::Vllm,
        Some("llamacpp") => ServerKind::LlamaCpp,
        _ => ServerKind::OpenAi,
    })
}

/// A server that refuses such a route, however it does so, is not of that kind.
async fn beside(root: &Client) -> Option<ServerKind> {
    for (route, field, kind) in BESIDE {
        let told = root.get_json::<Value>(route).await;
        if told.is_ok_and(|told| told.get(field).is_some()) {
            return Some(kind);
        }
    }
    None
}
