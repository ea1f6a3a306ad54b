//! A server on each core: where requests run, and how all of it ends.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::thread;
use std::time::Duration;

use async_trait::async_trait;
use orchestrator_config::file::{Limits, Listener, Placement};
use orchestrator_config::{Model, Service};
use orchestrator_core::prelude::*;
use orchestrator_core::shards::Shards;
use orchestrator_hub::server::ShardedServer;
use orchestrator_hub::{Gateway, Keys};
use serde_json::{Value, json};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

const CORES: NonZeroUsize = NonZeroUsize::new(3).expect("above zero");

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(30);

/// Says on which thread it was asked, and goes on when it is told to.
#[derive(Clone, Default)]
struct Whereabouts {
    open: CancellationToken,
    /// Its answers that have neither ended nor been dropped.
    answers: TaskTracker,
}

#[async_trait]
impl ModelWorker for Whereabouts {
    async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let thread = thread::current().name().unwrap_or_default().to_owned();
        let (open, answer) = (self.open.clone(), self.answers.token());
        Ok(TokenStream::generate(async move |mut out| {
            out.emit(TokenEvent::text_delta(thread)).await;
            open.cancelled().await;
            drop(answer);
            out.emit(TokenEvent::finish(FinishReason::Stop, Usage::new(1, 1))).await;
            Ok(())
        }))
    }

    fn info(&self) -> WorkerInfo {
        WorkerInfo::new("whereabouts")
    }
}

fn gateway(worker: &Whereabouts) -> Gateway {
    let pipeline = Pipeline::builder("mock")
        .stage(InferenceStage::new(worker.clone()))
        .stage(StreamStage::default().direct())
        .build()
        .expect("the stages fit");
    let mut model = Model::new("mock");
    model.chat = Some(pipeline);
    Gateway::new(Service::new(vec![model], Vec::new()), Keys::default(), Limits::default(), None)
}

struct Rig {
    address: SocketAddr,
    stop: CancellationToken,
    running: JoinHandle<std::io::Result<()>>,
}

impl Rig {
    fn of(worker: &Whereabouts, placement: Placement) -> Self {
        let listener = Listener { placement, ..Listener::new("127.0.0.1:0".parse().expect("an address")) };
        let server = ShardedServer::bind(&[listener], Limits::default(), CORES).expect("listeners");
        let address = server.addresses()[0];
        let stop = CancellationToken::new();
        let gateways = (0..CORES.get()).map(|_| gateway(worker)).collect();
        Self { address, running: tokio::spawn(server.run(gateways, stop.clone())), stop }
    }

    /// Asks in a session, on a connection of its own unless the client has one.
    async fn ask(&self, client: &reqwest::Client, session: &str, stream: bool) -> reqwest::Response {
        let body = json!({"model": "mock", "stream": stream, "messages": [{"role": "user", "content": "where?"}]});
        let request = client.post(format!("http://{}/v1/chat/completions", self.address));
        let request = request.header("content-type", "application/json").header("x-session-id", session);
        request.body(body.to_string()).send().await.expect("a response")
    }

    /// The thread on which a request of a session ran.
    async fn thread_of(&self, client: &reqwest::Client, session: &str) -> String {
        let body = self.ask(client, session, false).await.bytes().await.expect("a body");
        let answer: Value = serde_json::from_slice(&body).expect("JSON");
        answer["choices"][0]["message"]["content"].as_str().expect("a text").to_owned()
    }

    async fn end(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.running).await.expect("it ends").expect("no panic").expect("no error");
    }
}

fn open() -> Whereabouts {
    let worker = Whereabouts::default();
    worker.open.cancel();
    worker
}

#[tokio::test]
async fn requests_of_a_session_run_at_its_home_whatever_connection_brings_them() {
    let rig = Rig::of(&open(), Placement::Session);
    let homes = Shards::of(CORES.get()).build(|_| {
        let echo = |_cx: Context, text: String| async move { Ok::<_, BoxError>(text) };
        Pipeline::builder("none").then("none", echo).build()
    });
    let homes = homes.expect("shards");
    let mut threads = HashSet::new();
    for number in 0..24 {
        let session = format!("session {number}");
        let home = format!("shard-{}", homes.shard_of(&session));
        for _ in 0..3 {
            assert_eq!(rig.thread_of(&reqwest::Client::new(), &session).await, home, "{session}");
        }
        threads.insert(home);
    }
    assert_eq!(threads.len(), CORES.get(), "sessions live on all cores");
    rig.end().await;
}

#[tokio::test]
async fn requests_of_a_connection_run_where_it_was_accepted() {
    let rig = Rig::of(&open(), Placement::Connection);
    let mut connections: HashMap<String, usize> = HashMap::new();
    for _ in 0..64 {
        let client = reqwest::Client::new();
        let thread = rig.thread_of(&client, "one").await;
        assert_eq!(rig.thread_of(&client, "another").await, thread);
        *connections.entry(thread).or_default() += 1;
    }
    assert!(connections.len() > 1, "the system gives connections to several cores: {connections:?}");
    rig.end().await;
}

#[tokio::test]
async fn what_runs_anywhere_is_finished_before_it_ends() {
    let worker = Whereabouts::default();
    let rig = Rig::of(&worker, Placement::Session);
    let mut running = JoinSet::new();
    for number in 0..24 {
        let mut response = rig.ask(&reqwest::Client::new(), &format!("session {number}"), true).await;
        let begun = response.chunk().await.expect("a body").expect("the answer has begun");
        running.spawn(async move {
            let rest = response.text().await.expect("a whole body");
            String::from_utf8_lossy(&begun).into_owned() + &rest
        });
    }
    rig.stop.cancel();
    worker.open.cancel();
    while let Some(body) = running.join_next().await {
        let body = body.expect("no panic");
        assert!(body.contains("shard-") && body.ends_with("data: [DONE]\n\n"), "{body}");
    }
    rig.end().await;
}

#[tokio::test]
async fn a_client_that_leaves_stops_what_runs_on_another_core() {
    let worker = Whereabouts::default();
    let rig = Rig::of(&worker, Placement::Session);
    for number in 0..12 {
        let (client, session) = (reqwest::Client::new(), format!("session {number}"));
        let asked = rig.ask(&client, &session, number % 2 == 0);
        // One that streams has begun, one that does not is still waiting for its answer.
        tokio::select! {
            response = asked => drop(response),
            () = until(|| !worker.answers.is_empty()) => {}
        }
        timeout(PATIENCE, until(|| worker.answers.is_empty())).await.expect("its answer is dropped");
    }
    rig.end().await;
}

/// Looks until it is so.
async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        sleep(Duration::from_millis(2)).await;
    }
}
