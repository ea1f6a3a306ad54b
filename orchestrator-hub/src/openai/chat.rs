use axum::extract::State;
use axum::response::Response;
use bytes::Bytes;
use orchestrator_core::answer::{Answer, Tokens};
use orchestrator_core::token::TextDelta;
use serde_json::{Map, Value, json};

use super::body::Body;
use super::chunks::{self, Chunks, Head, Route};
use crate::answer::{Call, Events, Whole, begin, whole};
use crate::fault::Fault;
use crate::gateway::{Asked, Site, events, object};
use crate::json;

/// `POST /v1/chat/completions`.
pub(crate) async fn chat(State(site): State<Site>, request: Asked) -> Result<Response, Fault> {
    let (caller, body) = request.read(&site).await?;
    let body: Body = json::read(&body)?;
    let asked = body.model.clone();
    let model = site.chat_model(&asked)?;
    let streams = body.streams();
    let include_usage = body.includes_usage();
    let wants_logprobs = body.vendor.get("logprobs") == Some(&Value::Bool(true));
    let user = body.user.clone();
    let mut answer = model.submit(body.into_chat()?, &caller, user.as_deref()).await?;
    let head = Head::new(Route::Chat, model.shown());
    if streams {
        let first = begin(&mut answer).await?;
        return Ok(events(Events::new(answer, first, Chunks::new(Route::Chat, head, include_usage))));
    }
    let answered = collect(&mut answer, wants_logprobs).await?;
    Ok(object(completion(head, answered)))
}

async fn collect(answer: &mut Answer<Tokens>, wants_logprobs: bool) -> Result<Whole<Vec<Value>>, Fault> {
    let look = |delta: &TextDelta, seen: &mut Vec<Value>| {
        if wants_logprobs && let Some(raw) = delta.raw() {
            seen.append(&mut logprobs(raw));
        }
    };
    Ok(whole(answer, look).await?)
}

/// What a frame says of how likely its tokens were.
fn logprobs(frame: &Bytes) -> Vec<Value> {
    let mut frame: Value = serde_json::from_slice(frame).unwrap_or_default();
    match frame.pointer_mut("/choices/0/logprobs/content").map(Value::take) {
        Some(Value::Array(tokens)) => tokens,
        _ => Vec::new(),
    }
}

fn completion(head: Head, answered: Whole<Vec<Value>>) -> Value {
    let finish = &answered.finish;
    let (mut of_choice, of_answer) = chunks::vendor(finish);
    let mut tokens = answered.seen;
    if let Some(Value::Array(last)) = of_choice.get_mut("logprobs").and_then(|last| last.get_mut("content")) {
        tokens.append(last);
    }
    let logprobs = (!tokens.is_empty()).then(|| json!({"content": tokens}));
    of_choice.insert("logprobs".to_owned(), logprobs.unwrap_or_default());
    let mut choice = Map::from_iter([("index".to_owned(), Value::from(0))]);
    choice.extend(of_choice);
    choice.insert("finish_reason".to_owned(), chunks::reason(finish).into());
    choice.insert("message".to_owned(), message(answered.text, answered.reasoning, answered.calls));
    let model = finish.origin.as_ref().and_then(|origin| origin.model.clone()).unwrap_or(head.model);
    let mut completion = json!({
        "id": head.id,
        "object": "chat.completion",
        "created": head.created,
        "model": model,
        "choices": [choice],
        "usage": chunks::usage(finish),
    });
    if let Some(completion) = completion.as_object_mut() {
        completion.extend(of_answer);
    }
    completion
}

fn message(text: String, reasoning: String, calls: Vec<Call>) -> Value {
    let content = if text.is_empty() && !calls.is_empty() { Value::Null } else { text.into() };
    let mut message = json!({"role": "assistant", "content": content, "refusal": null});
    if !reasoning.is_empty() {
        message["reasoning_content"] = reasoning.into();
    }
    if !calls.is_empty() {
        let call = |call: Call| {
            let function = json!({"name": call.name, "arguments": call.arguments});
            json!({"id": call.id, "type": "function", "function": function})
        };
        message["tool_calls"] = calls.into_iter().map(call).collect();
    }
    message
}
