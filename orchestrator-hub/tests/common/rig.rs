//! A server to be tested, and what is asked of it.
#![allow(dead_code, reason = "every test target uses its own part of this")]

use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use orchestrator_config::file::{Limits, Time};
use orchestrator_config::{Model, Service};
use orchestrator_core::prelude::*;
use orchestrator_core::worker::WorkerInfo;
use orchestrator_hub::server::Server;
use orchestrator_hub::{Figures, Gateway, Keys};
use serde_json::{Value, json};
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use tokio_util::sync::CancellationToken;

use crate::raw::PATIENCE;

/// Where chats are asked for.
pub(crate) const CHAT: &str = "/v1/chat/completions";

/// A running server.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    pub(crate) service: Service,
    pub(crate) stop: CancellationToken,
    running: JoinHandle<()>,
}

impl Rig {
    /// Serves a model, `mock`, whose answers are the worker's.
    pub(crate) async fn of(worker: impl ModelWorker, limits: Limits) -> Self {
        Self::serving(service(worker, &limits), Keys::default(), limits, None).await
    }

    pub(crate) async fn serving(service: Service, keys: Keys, limits: Limits, figures: Option<Figures>) -> Self {
        let address = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(&[address], limits.clone()).expect("a listener");
        let address = server.addresses().expect("an address")[0];
        let stop = CancellationToken::new();
        let gateway = Gateway::new(service.clone(), keys, limits, figures).access_log();
        let running = tokio::spawn(server.run(gateway, stop.clone()));
        Self { address, service, stop, running }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Requests inside the service.
    pub(crate) fn in_flight(&self) -> u64 {
        self.service.models.iter().filter_map(|model| model.chat.as_ref()).map(|chat| chat.stats().in_flight).sum()
    }

    /// Has it end, and waits for that.
    pub(crate) async fn end(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.running).await.expect("it ends").expect("it does not panic");
    }
}

/// A service of one model, `mock`. Who finds all slots taken waits; where there are none nobody does.
pub(crate) fn service(worker: impl ModelWorker, limits: &Limits) -> Service {
    let patient = StageConfig::new().shed(ShedPolicy::Backpressure).concurrency(4096);
    let pipeline = Pipeline::builder("mock")
        .stage_with(InferenceStage::new(worker), patient)
        .stage(StreamStage::default().direct().reader_stall(limits.reader_stall.into()))
        .build()
        .expect("the stages fit");
    let mut model = Model::new("mock");
    model.chat = Some(pipeline);
    Service::new(vec![model], Vec::new())
}

/// A worker that says "to ", and " be" when it is told to.
#[derive(Clone, Default)]
pub(crate) struct Gated {
    open: CancellationToken,
}

impl Gated {
    /// Lets all answers come to their end.
    pub(crate) fn open(&self) {
        self.open.cancel();
    }
}

#[async_trait]
impl ModelWorker for Gated {
    async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let open = self.open.clone();
        Ok(TokenStream::generate(async move |mut out| {
            out.emit(TokenEvent::text_delta("to ")).await;
            open.cancelled().await;
            out.emit(TokenEvent::text_delta("be")).await;
            out.emit(TokenEvent::finish(FinishReason::Stop, Usage::new(1, 2))).await;
            Ok(())
        }))
    }

    fn info(&self) -> WorkerInfo {
        WorkerInfo::new("gated")
    }
}

/// Lets this process have as many connections as it may.
pub(crate) fn many_connections() {
    use rustix::process::{Resource, getrlimit, setrlimit};
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    setrlimit(Resource::Nofile, limit).expect("up to the maximum anybody may go");
}

/// What a client asks.
pub(crate) fn chat(streams: bool) -> String {
    json!({"model": "mock", "stream": streams, "messages": [{"role": "user", "content": "hello"}]}).to_string()
}

pub(crate) const fn count(count: usize) -> NonZeroUsize {
    NonZeroUsize::new(count).expect("a count above zero")
}

pub(crate) const fn millis(millis: u64) -> Time {
    Time(Duration::from_millis(millis))
}

/// Waits until something holds.
pub(crate) async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let looking = async {
        while !holds() {
            sleep(Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, looking).await.unwrap_or_else(|_| panic!("it never came true: {what}"));
}

/// Asks for an answer.
pub(crate) async fn ask(client: &reqwest::Client, rig: &Rig, streams: bool) -> reqwest::Result<reqwest::Response> {
    client.post(rig.url(CHAT)).body(chat(streams)).send().await
}

/// The JSON of a body.
pub(crate) async fn json_of(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
}
