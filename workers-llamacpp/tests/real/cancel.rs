use std::cell::Cell;
use std::pin::pin;
use std::time::Duration;

use futures_util::future::{Either, join, select, try_join_all};
use orchestrator_core::prelude::*;
use test_peers::{LlamaServer, Model, TestResult};
use workers_llamacpp::{LlamaCpp, Route};
use workers_openai::client::Client;

use crate::rig::{call, client, has_seed, long, slots, until, watch};

const LANES: u64 = 4;
const EACH: u64 = 50;

/// Seeds that none of them has.
const SEEN: u64 = 1 << 20;
const BYSTANDER: u64 = SEEN + 1;

/// About 1,900 tokens, which the server evaluates in some thirty batches.
const LONG_PROMPT: usize = 310;

/// A batch or two of what the others have evaluated.
const LATE: Duration = Duration::from_millis(400);

/// Two hundred streams, four at a time, dropped before, at and behind their first tokens; a third of them while the server
/// evaluates a long prompt. Beside them one runs that nobody drops.
pub(crate) async fn cancelled_streams_free_their_slots(_shared: &LlamaServer) -> TestResult {
    let batches = ["-b", "64", "-ub", "64"];
    let server = LlamaServer::builder().model(Model::Slow).parallel(5).context(5 * 2048);
    let server = batches.into_iter().fold(server, test_peers::Builder::arg).start()?;
    let chat = LlamaCpp::connect(server.base_url()).await?;
    let native = LlamaCpp::builder(server.base_url()).route(Route::Native).connect().await?;
    let client = client(&server);
    // One that runs is seen to run.
    let mut one = chat.infer(call(long(PromptRequest::new("tell me").seed(SEEN)), None)).await?;
    one.next().await.expect("a token")?;
    assert!(has_seed(&slots(&client).await, SEEN));
    drop(one);

    let done = Cell::new(false);
    let lanes = async {
        let lanes = (0..LANES).map(|lane| run_lane(if lane % 2 == 0 { &chat } else { &native }, &client, lane));
        let freed = try_join_all(lanes).await;
        done.set(true);
        freed
    };
    let ((freed, bystanders), watched) = join(join(lanes, stand_by(&chat, &done)), watch(&client, &done)).await;
    let (mut short, mut prefill) = (Vec::new(), Vec::new());
    for Freed { after, in_prefill } in freed?.concat() {
        if in_prefill { prefill.push(after) } else { short.push(after) }
    }
    assert_eq!((short.len() + prefill.len()) as u64, LANES * EACH);
    assert!(prefill.len() as u64 >= LANES * EACH / 4, "only {} were dropped in prefill", prefill.len());
    assert!(bystanders? > 0);
    assert_freed("beside their tokens", &mut short);
    assert_freed("in prefill", &mut prefill);
    // What was dropped on its way there may have to wait for the slot of what was dropped before.
    assert!(watched.longest_wait <= Duration::from_secs(1), "somebody waited at the server: {watched:?}");
    until("all slots", async || slots(&client).await.iter().all(|slot| slot.is_processing.get() == Some(&false))).await;
    Ok(())
}

/// How long a slot was not free when nobody waited for it any more.
#[derive(Clone)]
struct Freed {
    after: Duration,
    in_prefill: bool,
}

fn assert_freed(when: &str, freed: &mut [Duration]) {
    freed.sort_unstable();
    let (median, p95, worst) = (freed[freed.len() / 2], freed[freed.len() * 95 / 100], freed[freed.len() - 1]);
    println!(
        "{} cancelled {when}: slots free after {median:?} (median), {p95:?} (p95), {worst:?} (worst)",
        freed.len()
    );
    assert!(p95 <= LATE, "{when}: {p95:?}");
    assert!(worst <= Duration::from_secs(1), "{when}: {worst:?}");
}

async fn run_lane(worker: &LlamaCpp, client: &Client, lane: u64) -> Result<Vec<Freed>, WorkerError> {
    let mut chance = fastrand::Rng::with_seed(lane);
    let mut freed = Vec::new();
    for number in 0..EACH {
        let seed = 1 + lane * EACH + number;
        let in_prefill = number % 3 == 0;
        let text = if in_prefill {
            format!("{seed} {}", "the quick brown fox jumps over ".repeat(LONG_PROMPT))
        } else {
            "tell me".to_owned()
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
        let after = until("the slot", async || !has_seed(&slots(client).await, seed)).await;
        freed.push(Freed { after, in_prefill });
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
