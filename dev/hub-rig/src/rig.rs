use std::net::SocketAddr;

use orchestrator_config::Service;
use orchestrator_config::file::Limits;
use orchestrator_core::prelude::*;
use orchestrator_hub::server::Server;
use orchestrator_hub::{Figures, Gateway, Keys};
use serde_json::Value;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::AbortOnDropHandle;

use crate::{PATIENCE, patient, service};

/// A running server, which ends with this. It writes an access log.
#[derive(Debug)]
pub struct Rig {
    /// Where it listens.
    pub address: SocketAddr,
    /// What it serves.
    pub service: Service,
    /// Has it end, once it is cancelled.
    pub stop: CancellationToken,
    running: AbortOnDropHandle<()>,
}

impl Rig {
    /// Serves a model, `mock`, whose answers are the worker's, with the usual limits.
    pub async fn new(worker: impl ModelWorker) -> Self {
        Self::serving(service(worker), Keys::default(), Limits::default(), None).await
    }

    /// Serves a model, `mock`, whose answers are the worker's, to whoever has the patience to wait for them.
    pub async fn of(worker: impl ModelWorker, limits: Limits) -> Self {
        Self::serving(patient(worker, &limits), Keys::default(), limits, None).await
    }

    /// Serves a service.
    pub async fn serving(service: Service, keys: Keys, limits: Limits, figures: Option<Figures>) -> Self {
        let address = "127.0.0.1:0".parse().expect("an address");
        let server = Server::bind(&[address], limits.clone()).expect("a listener");
        let address = server.addresses().expect("an address")[0];
        let stop = CancellationToken::new();
        let gateway = Gateway::new(service.clone(), keys, limits, figures).access_log();
        let running = AbortOnDropHandle::new(tokio::spawn(server.run(gateway, stop.clone())));
        Self { address, service, stop, running }
    }

    /// Returns the URL of a path.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Sends JSON.
    pub async fn post(&self, path: &str, body: Value) -> reqwest::Response {
        let request = reqwest::Client::new().post(self.url(path)).header("content-type", "application/json");
        request.body(body.to_string()).send().await.expect("a response")
    }

    /// Returns how many requests are inside the service.
    pub fn in_flight(&self) -> u64 {
        self.service.models.iter().filter_map(|model| model.chat.as_ref()).map(|chat| chat.stats().in_flight).sum()
    }

    /// Has it end, and waits for that.
    pub async fn end(self) {
        self.stop.cancel();
        timeout(PATIENCE, self.running).await.expect("it ends").expect("it does not panic");
    }
}
