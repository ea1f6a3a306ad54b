use std::cell::Cell;
use std::ops::Range;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, join, select, try_join_all};
use orchestrator_core::prelude::*;
use test_peers::{LlamaServer, Model, TestResult};
use workers_llamacpp::{LlamaCpp, Route};
use workers_openai::client::Client;

use crate::rig::{call, client, has_seed, long, slots, until, watch};

/// A seed that none of them has.
const BYSTANDER: u64 = 1 << 20;

/// About 1,900 tokens, which the server evaluates in some thirty batches.
const LONG_PROMPT: usize = 310;

/// When streams are dropped.
#[derive(Clone, Copy, PartialEq)]
enum Leaving {
    /// Before, at or behind their first tokens.
    Anywhere,
    /// While the server evaluates a long prompt.
    InPrefill,
}

/// Two hundred streams, four at a time, on both routes.
pub(crate) async fn cancelled_streams_free_their_slots(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().model(Model::Slow).parallel(5).context(5 * 2048).start()?;
    let freed = crowd(&server, Leaving::Anywhere, 4, 50).await?;
    assert_eq!(freed.len(), 200);
    assert_freed(freed, Duration::from_millis(100));
    Ok(())
}

/// One long prompt at a time: the server finds out when it tells how far a prompt is, and of several it goes on with one.
pub(crate) async fn streams_cancelled_in_prefill_free_their_slots(_shared: &LlamaServer) -> TestResult {
    let server = LlamaServer::builder().model(Model::Slow).parallel(5).context(5 * 2048);
    let server = ["-b", "64", "-ub", "64"].into_iter().fold(server, test_peers::Builder::arg).start()?;
    let freed = crowd(&server, Leaving::InPrefill, 1, 32).await?;
    assert_eq!(freed.len(), 32);
    assert_freed(freed, Duration::from_millis(300));
    Ok(())
}

/// Has streams dropped, beside one that runs and that nobody drops; returns how long each slot was not free then.
async fn crowd(server: &LlamaServer, leaving: Leaving, lanes: u64, each: u64) -> Result<Vec<Duration>, BoxError> {
    let chat = LlamaCpp::connect(server.base_url()).await?;
    let native = LlamaCpp::builder(server.base_url()).route(Route::Native).connect().await?;
    let client = client(server);
    // One that runs is seen to run.
    let mut one = chat.infer(call(long(PromptRequest::new("tell me").seed(BYSTANDER)), None)).await?;
    one.next().await.expect("a token")?;
    assert!(has_seed(&slots(&client).await, BYSTANDER));
    drop(one);

    let done = Cell::new(false);
    let lanes = async {
        let worker = |lane| if lane % 2 == 0 { &chat } else { &native };
        let lanes =
            (0..lanes).map(|lane| run_lane(worker(lane), &client, leaving, 1 + lane * each..1 + (lane + 1) * each));
        let freed = try_join_all(lanes).await;
        done.set(true);
        freed
    };
    let ((freed, bystanders), watched) = join(join(lanes, stand_by(&chat, &done)), watch(&client, &done)).await;
    assert!(bystanders? > 0);
    // What was dropped on its way there may have to wait for the slot of what was dropped before.
    assert!(watched.longest_wait <= Duration::from_secs(1), "somebody waited at the server: {watched:?}");
    until("all slots", async || slots(&client).await.iter().all(|slot| slot.is_processing.get() == Some(&false))).await;
    Ok(freed?.concat())
}

fn assert_freed(mut freed: Vec<Duration>, late: Duration) {
    freed.sort_unstable();
    let (median, p95, worst) = (freed[freed.len() / 2], freed[freed.len() * 95 / 100], freed[freed.len() - 1]);
    println!("{} cancelled: slots free after {median:?} (median), {p95:?} (p95), {worst:?} (worst)", freed.len());
    assert!(p95 <= late, "{p95:?}");
    assert!(worst <= Duration::from_secs(1), "{worst:?}");
}

async fn run_lane(
    worker: &LlamaCpp,
    client: &Client,
    leaving: Leaving,
    seeds: Range<u64>,
) -> Result<Vec<Duration>, WorkerError> {
    let mut chance = fastrand::Rng::with_seed(seeds.start);
    let in_prefill = leaving == Leaving::InPrefill;
    let mut freed = Vec::new();
    for seed in seeds {
        let text = match leaving {
            Leaving::Anywhere => "tell me".to_owned(),
            Leaving::InPrefill => format!("{seed} {}", "the quick brown fox jumps over ".repeat(LONG_PROMPT)),
        };
        let call = call(long(PromptRequest::new(text).seed(seed)), None);
        let patience = Duration::from_millis(chance.u64(0..80));
        let left = async {
            if in_prefill {
                until("its prefill", async || has_seed(&slots(client).await, seed)).await;
            }
            tokio::time::sleep(patience).await;
        };
        // Whatever it is doing then is dropped.
        if let Either::Left((ended, _)) = select(pin!(read(worker, call, in_prefill)), pin!(left)).await {
            ended?;
        }
        freed.push(until("the slot", async || !has_seed(&slots(client).await, seed)).await);
    }
    Ok(freed)
}

async fn read(worker: &LlamaCpp, call: InferenceRequest, in_prefill: bool) -> Result<(), WorkerError> {
    let mut stream = worker.infer(call).await?;
    while let Some(event) = stream.next().await {
        assert!(!in_prefill, "the prompt was evaluated before it was dropped: {event:?}");
        event?;
    }
    Ok(())
}

/// Has an answer come all the time, and returns how many tokens it had.
async fn stand_by(worker: &LlamaCpp, done: &Cell<bool>) -> Result<usize, WorkerError> {
    let mut tokens = 0;
    while !done.get() {
        let mut stream = worker.infer(call(long(PromptRequest::new("stand by").seed(BYSTANDER)), None)).await?;
        while let Some(event) = stream.next().await {
            event?;
            tokens += 1;
            if done.get() {
                break;
            }
        }
    }
    Ok(tokens)
}
