//! Who shall come back, and when.

use std::num::NonZeroUsize;
use std::time::Duration;

use async_trait::async_trait;
use axum::body::Body;
use futures_util::future::join_all;
use http::Request;
use http_body_util::BodyExt;
use hub_rig::{Rig, service};
use orchestrator_config::file::Limits;
use orchestrator_core::prelude::*;
use orchestrator_core::testing::server::{Reply, ScriptedServer};
use orchestrator_core::worker::WorkerInfo;
use orchestrator_hub::{Gateway, Keys};
use serde_json::{Value, json};
use workers_openai::OpenAi;

const CHAT: &str = "/v1/chat/completions";

fn hello() -> Value {
    json!({"model": "mock", "messages": [{"role": "user", "content": "hello"}]})
}

#[tokio::test]
async fn the_pause_that_a_server_asks_for_reaches_the_client() {
    for status in [429, 503] {
        let busy = move |_: &_| Reply::full(status, &[("retry-after", "60")], r#"{"error":{"message":"busy"}}"#);
        let server = ScriptedServer::start(busy).await.expect("a port");
        let worker = OpenAi::builder().base_url(format!("{}/v1", server.base_url())).key("none");
        let rig = Rig::new(worker.build().expect("settings that fit")).await;
        let response = rig.post(CHAT, hello()).await;
        assert_eq!(
            (response.status().as_u16(), &response.headers()["retry-after"]),
            (status, &"60".parse().expect("a value"))
        );
    }
}

/// A server of one slot, which takes ten seconds for an answer.
struct Slow(Slots);

#[async_trait]
impl ModelWorker for Slow {
    async fn infer(&self, _request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        Ok(TokenStream::generate(async move |mut out| {
            tokio::time::sleep(Duration::from_secs(10)).await;
            out.emit(TokenEvent::text_delta("at last")).await;
            out.emit(TokenEvent::finish(FinishReason::Stop, Usage::new(1, 2))).await;
            Ok(())
        }))
    }

    fn info(&self) -> WorkerInfo {
        WorkerInfo::new("slow")
    }

    fn slots(&self) -> Option<Slots> {
        Some(self.0.clone())
    }
}

#[tokio::test(start_paused = true)]
async fn who_would_wait_too_long_is_told_how_long_in_the_words_of_the_api() {
    let worker = Slow(Slots::new(NonZeroUsize::MIN));
    let gateway = Gateway::new(service(worker), Keys::default(), Limits::default(), None);
    let ask = || gateway.call(Request::post(CHAT).body(Body::from(hello().to_string())).expect("a request"));
    for _ in 0..4 {
        assert_eq!(ask().await.status().as_u16(), 200, "by these it is known how long an answer takes");
    }
    let responses = join_all((0..12).map(|_| ask())).await;
    let response = responses.into_iter().next_back().expect("there are twelve");
    assert_eq!(response.status().as_u16(), 503, "who came last would wait for two minutes");
    let pause = response.headers()["retry-after"].to_str().ok().and_then(|pause| pause.parse::<u64>().ok());
    assert!(pause.is_some_and(|pause| pause > 1), "{pause:?}");
    let body = response.into_body().collect().await.expect("a whole body").to_bytes();
    let fault: Value = serde_json::from_slice(&body).expect("JSON");
    let error = &fault["error"];
    assert_eq!((&error["type"], &error["code"]), (&json!("server_error"), &json!("overloaded")), "{fault}");
    assert!(error["message"].is_string() && error["param"].is_null(), "{fault}");
}
