use std::time::Duration;

use futures_util::future::try_join_all;
use orchestrator_core::prelude::*;
use test_peers::{LlamaServer, Model, TestResult};
use workers_llamacpp::{LlamaCpp, Route};
use workers_openai::client::Client;

use crate::rig::{call, client, has_seed, long, slots, until};

const LANES: u64 = 4;
const EACH: u64 = 50;

/// A seed that none of them has.
const SEEN: u64 = 1 << 20;

/// Two hundred streams, four at a time, dropped before, at and behind their first tokens.
pub(crate) async fn cancelled_streams_free_their_slots(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().model(Model::Slow).parallel(4).context(8192).start()?;
    let chat = LlamaCpp::connect(server.base_url()).await?;
    let native = LlamaCpp::builder(server.base_url()).route(Route::Native).connect().await?;
    let client = client(&server);
    // One that runs is seen to run.
    let mut one = chat.infer(call(long(PromptRequest::new("tell me").seed(SEEN)), None)).await?;
    one.next().await.expect("a token")?;
    assert!(has_seed(&slots(&client).await, SEEN));
    drop(one);

    let lanes = (0..LANES).map(|lane| run_lane(if lane % 2 == 0 { &chat } else { &native }, &client, lane));
    let mut freed: Vec<Duration> = try_join_all(lanes).await?.concat();
    freed.sort_unstable();
    let (p95, worst) = (freed[freed.len() * 95 / 100], freed[freed.len() - 1]);
    let median = freed[freed.len() / 2];
    println!(
        "{} streams cancelled: slots free after {median:?} (median), {p95:?} (p95), {worst:?} (worst)",
        freed.len()
    );
    assert_eq!(freed.len() as u64, LANES * EACH);
    assert!(p95 <= Duration::from_millis(100), "{p95:?}");
    assert!(worst <= Duration::from_secs(1), "{worst:?}");
    let running = slots(&client).await.iter().filter(|slot| slot.is_processing.get() == Some(&true)).count();
    assert_eq!(running, 0, "one runs on");
    assert_eq!(chat.health().await.load.waiting, Some(0));
    Ok(())
}

async fn run_lane(worker: &LlamaCpp, client: &Client, lane: u64) -> Result<Vec<Duration>, WorkerError> {
    let mut chance = fastrand::Rng::with_seed(lane);
    let mut freed = Vec::new();
    for number in 0..EACH {
        let seed = 1 + lane * EACH + number;
        let prompt = long(PromptRequest::new("tell me").seed(seed));
        let patience = Duration::from_millis(chance.u64(0..80));
        // Whatever it is doing then is dropped.
        let read = tokio::time::timeout(patience, read(worker, call(prompt, None))).await;
        if let Ok(ended) = read {
            ended?;
        }
        freed.push(until("the slot", async || !has_seed(&slots(client).await, seed)).await);
    }
    Ok(freed)
}

async fn read(worker: &LlamaCpp, call: InferenceRequest) -> Result<(), WorkerError> {
    let mut stream = worker.infer(call).await?;
    while let Some(event) = stream.next().await {
        event?;
    }
    Ok(())
}
