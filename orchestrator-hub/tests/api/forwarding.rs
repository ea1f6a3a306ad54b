use async_trait::async_trait;
use hub_rig::Rig;
use orchestrator_core::error::WorkerError;
use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::token::{Finish, FinishReason, TextDelta, TokenEvent, TokenStream, ToolCallDelta, Usage};
use orchestrator_core::worker::{InferenceRequest, ModelWorker, WorkerInfo};
use serde_json::{Value, json};

use crate::wire::{events, named_events};

fn frame(id: &str, delta: &Value) -> String {
    let choices = json!([{"index": 0, "delta": delta, "finish_reason": null}]);
    // Spaces that nobody else would write show that a frame was not put anew.
    format!(r#"{{ "id":"{id}","object":"chat.completion.chunk","created":7,"model":"real","choices":{choices} }}"#)
}

fn text(id: &str, text: &str) -> TokenEvent {
    TokenEvent::Text(TextDelta::new(text).with_raw(frame(id, &json!({"content": text})).into()))
}

fn finish() -> TokenEvent {
    TokenEvent::Finish(Finish::new(FinishReason::Stop, Usage::new(1, 1)))
}

/// A worker whose model has a name of its own.
struct Real(MockWorker);

#[async_trait]
impl ModelWorker for Real {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.0.infer(request).await
    }

    fn info(&self) -> WorkerInfo {
        self.0.info().model("real")
    }
}

async fn streamed(script: Script) -> Vec<String> {
    streamed_by(MockWorker::new(script)).await
}

async fn streamed_by(worker: impl ModelWorker) -> Vec<String> {
    let rig = Rig::new(worker).await;
    let messages = json!([{"role": "user", "content": "hello"}]);
    let asked =
        json!({"model": "mock", "messages": messages, "stream": true, "stream_options": {"include_usage": true}});
    events(rig.post("/v1/chat/completions", asked).await).await
}

fn read(events: &[String]) -> Vec<Value> {
    let data = events.iter().filter(|event| *event != "[DONE]");
    data.map(|event| serde_json::from_str(event).expect("JSON")).collect()
}

#[tokio::test]
async fn frames_of_the_same_dialect_are_handed_on_and_all_objects_have_their_id() {
    let reasoning = frame("x-1", &json!({"reasoning_content": "hm"}));
    let piece =
        frame("x-1", &json!({"tool_calls": [{"index": 0, "id": "c", "function": {"name": "f", "arguments": ""}}]}));
    let mut call = ToolCallDelta::new(0, "").opening("c", "f");
    call.raw = Some(piece.clone().into());
    let script = Script::new()
        .event(TokenEvent::Reasoning(TextDelta::new("hm").with_raw(reasoning.clone().into())))
        .event(text("x-1", ""))
        .event(text("x-1", "fox"))
        .event(TokenEvent::ToolCall(Box::new(call)))
        .event(finish());
    let events = streamed(script).await;
    let content = |text: &str| frame("x-1", &json!({"content": text}));
    assert_eq!(events[1..5], [reasoning, content(""), content("fox"), piece]);
    for chunk in read(&events) {
        let named = (&chunk["id"], &chunk["model"], &chunk["created"]);
        assert_eq!(named, (&json!("x-1"), &json!("real"), &json!(7)), "{chunk}");
    }
}

#[tokio::test]
async fn a_frame_of_another_server_is_put_under_the_first_ones_id() {
    // The id of the one may be the beginning of that of the other.
    for second in ["x-2", "x-123"] {
        let script = Script::new().event(text("x-1", "a")).event(text(second, "b")).event(finish());
        let chunks = read(&streamed(script).await);
        let said: String = chunks.iter().filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str()).collect();
        assert_eq!(said, "ab");
        assert!(chunks.iter().all(|chunk| chunk["id"] == "x-1"), "{chunks:?}");
    }
}

async fn message_start(worker: impl ModelWorker) -> Value {
    let rig = Rig::new(worker).await;
    let messages = json!([{"role": "user", "content": "hello"}]);
    let asked = json!({"model": "mock", "max_tokens": 9, "messages": messages, "stream": true});
    let events = named_events(rig.post("/v1/messages", asked).await).await;
    assert_eq!(events[0].0, "message_start");
    events[0].1["message"]["model"].clone()
}

#[tokio::test]
async fn a_message_begins_with_the_name_of_who_answers() {
    let frames = Script::new().event(text("x-1", "fox")).event(finish());
    assert_eq!(message_start(MockWorker::new(frames)).await, "real");
    assert_eq!(message_start(Real(MockWorker::new(Script::answering("fox")))).await, "real");
}

#[tokio::test]
async fn all_chunks_name_who_answers_where_no_frame_does() {
    let native = TextDelta::new("fox").with_raw(r#"{"content":"fox","stop":false}"#.into());
    for script in [
        Script::answering("fox"),
        Script::new().event(TokenEvent::Text(native)).event(finish()),
        Script::new().event(finish()),
    ] {
        let chunks = read(&streamed_by(Real(MockWorker::new(script))).await);
        assert!(chunks.len() > 2 && chunks.iter().all(|chunk| chunk["model"] == "real"), "{chunks:?}");
    }
    let unnamed = read(&streamed(Script::answering("fox")).await);
    assert!(unnamed.iter().all(|chunk| chunk["model"] == "mock"), "{unnamed:?}");
}

#[tokio::test]
async fn frames_of_another_dialect_are_put_anew() {
    let native = TextDelta::new("fox").with_raw(r#"{"content":"fox","stop":false}"#.into());
    let events = streamed(Script::new().event(TokenEvent::Text(native)).event(finish())).await;
    let chunks = read(&events);
    assert_eq!(chunks[1]["choices"][0]["delta"], json!({"content": "fox"}));
    let id = &chunks[0]["id"];
    assert!(id.as_str().is_some_and(|id| id.starts_with("chatcmpl-")) && chunks.iter().all(|chunk| chunk["id"] == *id));
}
