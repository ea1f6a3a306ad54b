//! What the tests have in common.

use std::cell::Cell;
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use orchestrator_core::error::WorkerError;
use orchestrator_core::prelude::*;
use orchestrator_core::token::Finish;
use serde_json::Value;
use test_peers::LlamaServer;
use workers_llamacpp::wire::Slot;
use workers_openai::client::{Client, Metrics};

/// What the tiny model says to "the quick brown fox" without chance.
pub(crate) const GREEDY: [u32; 24] =
    [395, 195, 70, 70, 70, 70, 105, 130, 336, 227, 130, 57, 343, 30, 343, 30, 343, 30, 343, 30, 315, 346, 130, 258];

pub(crate) const FOX: &str = "the quick brown fox";

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Whole {
    pub(crate) text: String,
    /// Each id that was told, and which token of the answer it is.
    pub(crate) ids: Vec<(u64, u32)>,
    pub(crate) finish: Finish,
}

/// Makes the call of a prompt, with its session.
pub(crate) fn call(prompt: PromptRequest, session: Option<&str>) -> InferenceRequest {
    let options = RequestOptions::new();
    let options = session.into_iter().fold(options, |options, session| options.session(session));
    InferenceRequest::new(prompt, Context::standalone(options))
}

pub(crate) fn greedy(prompt: PromptRequest, tokens: u32) -> PromptRequest {
    prompt.temperature(0.0).seed(1).max_tokens(NonZeroU32::new(tokens).expect("not zero"))
}

/// An answer that does not end for a while.
pub(crate) fn long(prompt: PromptRequest) -> PromptRequest {
    prompt.max_tokens(NonZeroU32::new(1500).expect("not zero")).vendor("ignore_eos", true)
}

pub(crate) async fn ask(worker: &impl ModelWorker, call: InferenceRequest) -> Result<Whole, WorkerError> {
    let mut stream = worker.infer(call).await?;
    let (mut text, mut ids) = (String::new(), Vec::new());
    while let Some(event) = stream.next().await {
        match event? {
            TokenEvent::Finish(finish) => return Ok(Whole { text, ids, finish }),
            TokenEvent::Text(delta) => {
                text.push_str(delta.text());
                let frame: Value = serde_json::from_slice(delta.raw().expect("a frame")).expect("JSON");
                let last = frame["tokens_predicted"].as_u64().unwrap_or_default();
                let first = last - delta.token_ids().len() as u64;
                ids.extend((first..last).zip(delta.token_ids().iter().copied()));
            }
            other => panic!("{other:?} was not asked for"),
        }
    }
    Err(WorkerError::stream_cut())
}

pub(crate) fn client(server: &LlamaServer) -> Client {
    Client::builder(server.base_url()).build().expect("a URL")
}

pub(crate) async fn slots(client: &Client) -> Vec<Slot> {
    client.get_json("/slots").await.expect("the server shows its slots")
}

/// Returns whether a request with this seed is in one of the slots.
pub(crate) fn has_seed(slots: &[Slot], seed: u64) -> bool {
    slots.iter().any(|slot| {
        slot.is_processing.get() == Some(&true) && slot.extra.get("params").is_some_and(|params| params["seed"] == seed)
    })
}

/// Asks again and again until it is so, and returns how long that took.
///
/// The server answers between two tokens, so that asking takes the place of a pause.
pub(crate) async fn until(what: &str, holds: impl AsyncFnMut() -> bool) -> Duration {
    until_within(Duration::from_secs(10), what, holds).await
}

/// As [`until`], with a limit of its own.
pub(crate) async fn until_within(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) -> Duration {
    let started = Instant::now();
    while !holds().await {
        assert!(started.elapsed() < limit, "waited for {what}");
    }
    started.elapsed()
}

/// What a server was seen to do at once.
#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) looks: usize,
    pub(crate) most_running: usize,
    pub(crate) most_waiting: u64,
    /// How long somebody waited at the server without a break.
    pub(crate) longest_wait: Duration,
}

/// Looks at slots and metrics again and again until it is done.
pub(crate) async fn watch(client: &Client, done: &Cell<bool>) -> Watched {
    let mut watched = Watched::default();
    let mut nobody_waited = Instant::now();
    while !done.get() {
        let running = slots(client).await.iter().filter(|slot| slot.is_processing.get() == Some(&true)).count();
        let metrics = client.get_text("/metrics").await.expect("metrics");
        let waiting = Metrics::read(&metrics).count("llamacpp:requests_deferred").expect("a count");
        if waiting == 0 {
            nobody_waited = Instant::now();
        }
        watched.looks += 1;
        watched.most_running = watched.most_running.max(running);
        watched.most_waiting = watched.most_waiting.max(waiting);
        watched.longest_wait = watched.longest_wait.max(nobody_waited.elapsed());
    }
    watched
}
