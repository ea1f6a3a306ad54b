use std::time::Duration;

use orchestrator_core::testing::server::Reply;
use orchestrator_core::worker::Timeouts;
use workers_llamacpp::LlamaCpp;

use super::{call, finish, raw, server};

const STEP: Duration = Duration::from_millis(100);

#[tokio::test]
async fn events_without_text_are_a_sign_of_life() {
    let held = "data: {\"content\":\"\",\"tokens\":[1],\"stop\":false,\"tokens_predicted\":2}\n\n";
    let server = server(move |_| {
        let begun = Reply::chunked(200, "text/event-stream").chunk("data: {\"content\":\"a\",\"stop\":false}\n\n");
        let silent = (0..12).fold(begun, |reply, _| reply.delay(STEP).chunk(held));
        silent.chunk("data: {\"content\":\"\",\"stop\":true}\n\n").last_chunk()
    })
    .await;
    let limits = Timeouts::default().between_tokens(STEP * 6);
    let worker = LlamaCpp::builder(server.base_url()).timeouts(limits).connect().await.expect("a worker");
    finish(&worker, call(raw(), None)).await.expect("it was never silent for long");
}
