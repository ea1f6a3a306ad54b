//! What a server owes any body of a request: an answer, or a fault of the client's in the words of the API.

use std::sync::LazyLock;

use http_body_util::{BodyExt, Full};
use orchestrator_config::file::Limits;
use orchestrator_config::{Model, Service};
use orchestrator_core::prelude::*;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_hub::{Gateway, Keys};
use serde_json::Value;
use tokio::runtime::Runtime;

/// The routes whose bodies are read.
const ROUTES: [&str; 4] = ["/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/messages"];

/// A gateway in front of a model, `mock`, and what it runs on.
static SITE: LazyLock<(Runtime, Gateway)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let pipeline = runtime.block_on(async {
        let worker = InferenceStage::new(MockWorker::new(Script::answering("to be")));
        Pipeline::builder("mock").stage(worker).stage(StreamStage::default().direct()).build()
    });
    let mut model = Model::new("mock");
    model.chat = Some(pipeline.expect("the stages fit"));
    let service = Service::new(vec![model], Vec::new());
    (runtime, Gateway::new(service, Keys::default(), Limits::default(), None))
});

/// Asks with these bytes on each route.
///
/// # Panics
///
/// Where a response is neither an answer nor a fault of the client's.
pub(crate) fn check_input(input: &[u8]) {
    let (runtime, gateway) = &*SITE;
    for route in ROUTES {
        let request = http::Request::post(route).body(Full::new(input.to_vec().into())).expect("a request");
        let (status, body) = runtime.block_on(async {
            let response = gateway.call(request).await;
            let status = response.status().as_u16();
            (status, response.into_body().collect().await.expect("a whole body").to_bytes())
        });
        match status {
            200 => assert!(!body.is_empty(), "{route}: an empty answer"),
            400 | 404 | 413 => {
                let fault: Value = serde_json::from_slice(&body).expect("a fault is JSON");
                assert!(fault["error"]["message"].is_string(), "{route}: {fault}");
            }
            _ => panic!("{route}: {status} {}", String::from_utf8_lossy(&body)),
        }
    }
}
