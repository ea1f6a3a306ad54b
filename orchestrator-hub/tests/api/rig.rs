//! A server in front of a worker, and a client for it.

use std::net::SocketAddr;

use orchestrator_config::file::Limits;
use orchestrator_config::{Model, Service};
use orchestrator_core::prelude::*;
use orchestrator_hub::server::Server;
use orchestrator_hub::{Gateway, Key, Keys};
use serde_json::Value;
use sha2::Digest;
use tokio_util::sync::{CancellationToken, DropGuard};

/// A server that ends with this.
pub(crate) struct Rig {
    pub(crate) address: SocketAddr,
    _ends: DropGuard,
}

/// A service of one model, `mock`, whose answers are the worker's.
pub(crate) fn service(worker: impl ModelWorker) -> Service {
    let pipeline = Pipeline::builder("mock")
        .stage(InferenceStage::new(worker))
        .stage(StreamStage::default().direct())
        .build()
        .expect("a pipeline");
    let mut model = Model::new("mock");
    model.chat = Some(pipeline);
    Service::new(vec![model], Vec::new())
}

/// A key of this text.
pub(crate) fn key(text: &str) -> Key {
    Key { sha256: sha2::Sha256::digest(text).into(), tenant: Some("acme".into()), priority: Priority::Normal }
}

impl Rig {
    pub(crate) async fn new(worker: impl ModelWorker) -> Self {
        Self::with(service(worker), Keys::default(), Limits::default()).await
    }

    pub(crate) async fn with(service: Service, keys: Keys, limits: Limits) -> Self {
        let server = Server::bind(&["127.0.0.1:0".parse().expect("an address")], limits.clone()).expect("a listener");
        let address = server.addresses().expect("an address")[0];
        let stop = CancellationToken::new();
        let gateway = Gateway::new(service, keys, limits, None);
        tokio::spawn(server.run(gateway, stop.clone()));
        Self { address, _ends: stop.drop_guard() }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends JSON.
    pub(crate) async fn post(&self, path: &str, body: Value) -> reqwest::Response {
        let request = reqwest::Client::new().post(self.url(path)).header("content-type", "application/json");
        request.body(body.to_string()).send().await.expect("a response")
    }
}

/// The JSON of a response.
pub(crate) async fn json(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
}

/// The data of the events of a response, `[DONE]` included.
pub(crate) async fn events(response: reqwest::Response) -> Vec<String> {
    let body = response.text().await.expect("a body");
    let data = |event: &str| event.strip_prefix("data: ").expect("an event of one line").to_owned();
    body.split_terminator("\n\n").map(data).collect()
}

/// The names and the data of the events of a response in Anthropic's form.
pub(crate) async fn named_events(response: reqwest::Response) -> Vec<(String, Value)> {
    let body = response.text().await.expect("a body");
    let event = |event: &str| {
        let (name, data) = event.split_once('\n').expect("a name and data");
        let name = name.strip_prefix("event: ").expect("a name").to_owned();
        (name, serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON"))
    };
    body.split_terminator("\n\n").map(event).collect()
}

/// A body with some of its fields changed.
pub(crate) fn changed(mut body: Value, change: Value) -> Value {
    let Value::Object(change) = change else { panic!("{change} is no object") };
    body.as_object_mut().expect("an object").extend(change);
    body
}
