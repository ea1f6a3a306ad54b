use std::time::Duration;

use orchestrator_core::error::WorkerError;
use orchestrator_core::worker::{Health, Load};
use serde_json::Value;
use workers_openai::client::{Client, Metrics};

/// How long each route is waited for.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks whether the server works, and if so for its load; without the load, it works all the same.
pub(crate) async fn ask(client: &Client) -> Health {
    match tokio::time::timeout(PATIENCE, client.get_text("/health")).await {
        Ok(Ok(_)) => Health::ready().load(load(client).await),
        Ok(Err(error)) => Health::unavailable(error.to_string()),
        Err(_) => Health::unavailable(format!("no answer within {PATIENCE:?}")),
    }
}

async fn load(client: &Client) -> Load {
    let metrics = client.get_text("/metrics");
    let mut load = in_time(metrics).await.map_or_else(Load::default, |text| read(&text));
    if load.running.is_none() {
        load.running = in_time(client.get_json("/load")).await.as_ref().and_then(tracked);
    }
    load
}

async fn in_time<T>(asked: impl Future<Output = Result<T, WorkerError>>) -> Option<T> {
    tokio::time::timeout(PATIENCE, asked).await.ok()?.ok()
}

/// Counters are of all engines of the server together, the use of the cache is their mean.
fn read(text: &str) -> Load {
    let metrics = Metrics::read(text);
    let mut load = Load::default();
    load.running = metrics.count("vllm:num_requests_running");
    load.waiting = metrics.count("vllm:num_requests_waiting");
    load.kv_cache_use = metrics.mean("vllm:kv_cache_usage_perc");
    load.prompt_tokens = metrics.count("vllm:prompt_tokens_total");
    load.cached_tokens = metrics.count("vllm:prefix_cache_hits_total");
    load
}

/// Requests that are in the server, whether they run or wait. Zero is also what a server says that does not track them
/// (`--enable-server-load-tracking`).
fn tracked(said: &Value) -> Option<u64> {
    said.get("server_load")?.as_u64().filter(|load| *load > 0)
}
