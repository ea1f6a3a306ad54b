use std::time::Duration;

use futures_util::future::{join, try_join};
use orchestrator_core::error::WorkerError;
use orchestrator_core::worker::{Health, Load};
use serde_json::Value;
use workers_openai::client::{Client, Metrics};

/// How long an answer is waited for, whatever of it is there.
const PATIENCE: Duration = Duration::from_secs(2);

/// Asks whether the server works, and at the same time for its load; without the load, it works all the same.
pub(crate) async fn ask(client: &Client) -> Health {
    let asked = try_join(works(client), async { Ok(load(client).await) });
    asked.await.map_or_else(Health::unavailable, |((), load)| Health::ready().load(load))
}

/// Fails with the reason for which it does not, at once.
async fn works(client: &Client) -> Result<(), String> {
    match tokio::time::timeout(PATIENCE, client.get_text("/health")).await {
        Ok(said) => said.map(drop).map_err(|error| error.to_string()),
        Err(_) => Err(format!("no answer within {PATIENCE:?}")),
    }
}

async fn load(client: &Client) -> Load {
    let (metrics, tracked) = join(in_time(client.get_text("/metrics")), in_time(client.get_json("/load"))).await;
    let mut load = metrics.map_or_else(Load::default, |text| read(&text));
    load.running = load.running.or_else(|| in_server(&tracked?));
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
fn in_server(said: &Value) -> Option<u64> {
    said.get("server_load")?.as_u64().filter(|load| *load > 0)
}
