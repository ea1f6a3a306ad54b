use orchestrator_core::testing::{MockWorker, Script};
use orchestrator_core::token::{Finish, FinishReason, TextDelta, TokenEvent, ToolCallDelta, Usage};
use serde_json::{Value, json};

use crate::rig::{Rig, events, named_events};

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

async fn streamed(script: Script) -> Vec<String> {
    let rig = Rig::new(MockWorker::new(script)).await;
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
        .event(text("x-1", "fox"))
        .event(TokenEvent::ToolCall(Box::new(call)))
        .event(finish());
    let events = streamed(script).await;
    assert_eq!(events[1..4], [reasoning, frame("x-1", &json!({"content": "fox"})), piece]);
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

#[tokio::test]
async fn a_message_begins_with_the_name_of_who_answers() {
    let rig = Rig::new(MockWorker::new(Script::new().event(text("x-1", "fox")).event(finish()))).await;
    let messages = json!([{"role": "user", "content": "hello"}]);
    let asked = json!({"model": "mock", "max_tokens": 9, "messages": messages, "stream": true});
    let events = named_events(rig.post("/v1/messages", asked).await).await;
    assert_eq!((&*events[0].0, &events[0].1["message"]["model"]), ("message_start", &json!("real")));
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
