use serde_json::{Value, json};

use crate::error::WorkerErrorKind as Kind;
use crate::testing::conformance::{Dialect, Ending, Refusal, RetryAfter};
use crate::testing::server::{Reply, Request};

impl Dialect {
    /// Streamed chat completions as OpenAI's API, llama.cpp and vLLM send them.
    ///
    /// Usage comes in a chunk of its own behind the finish reason. `[DONE]` is the marker; a stream that has its finish reason
    /// is whole without it, as not all servers send it. All `GET`s are calls on the side: `/v1/models` lists one model, others
    /// are not found.
    pub fn openai_chat() -> Self {
        let text = |text: &str| event(&chunk(&json!({"content": text}), &Value::Null));
        refusals(Self::new("text/event-stream", text, ending))
            .opening(event(&chunk(&json!({"role": "assistant", "content": ""}), &Value::Null)))
            .noise(format!(": ping\n\n{}", event(&chunk(&json!({"content": ""}), &Value::Null))))
            .marker("data: [DONE]\n\n")
            .marker_optional(true)
            .oversize("data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"")
            .nonsense("data: {\"choices\": 7\n\n")
            .failure(event(&error(500, "the model has crashed", "server_error", &Value::Null)), Kind::Transient)
            .side(side)
    }
}

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn chunk(delta: &Value, finish: &Value) -> Value {
    let choice = json!({"index": 0, "delta": delta, "finish_reason": finish});
    json!({"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "scripted", "choices": [choice]})
}

fn ending(ending: Ending) -> String {
    let (prompt, completion) = (ending.usage.prompt_tokens, ending.usage.completion_tokens);
    let mut usage = chunk(&Value::Null, &Value::Null);
    usage["choices"] = json!([]);
    usage["usage"] =
        json!({"prompt_tokens": prompt, "completion_tokens": completion, "total_tokens": prompt + completion});
    event(&chunk(&json!({}), &ending.reason.as_str().into())) + &event(&usage)
}

fn error(status: u16, message: &str, kind: &str, code: &Value) -> Value {
    let code = if code.is_null() { json!(status) } else { code.clone() };
    json!({"error": {"message": message, "type": kind, "param": null, "code": code}})
}

fn side(request: &Request) -> Option<Reply> {
    let models =
        json!({"object": "list", "data": [{"id": "scripted", "object": "model", "created": 1, "owned_by": "us"}]});
    match (request.method(), request.path()) {
        ("GET", "/v1/models") => Some(Reply::json(200, models.to_string())),
        ("GET", _) => Some(Reply::json(404, error(404, "no such route", "not_found_error", &Value::Null).to_string())),
        _ => None,
    }
}

fn refusals(dialect: Dialect) -> Dialect {
    let said = |status, message, kind, code: &str| {
        let code = if code.is_empty() { Value::Null } else { code.into() };
        error(status, message, kind, &code).to_string()
    };
    let slow_down = || said(429, "slow down", "requests", "rate_limit_exceeded");
    let too_long =
        "This model's maximum context length is 2048 tokens. However, your messages resulted in 3009 tokens.";
    let context = Kind::ContextLength { prompt_tokens: None, limit: None };
    let bad_key = said(401, "Incorrect API key provided.", "invalid_request_error", "invalid_api_key");
    let filtered = said(400, "The response was filtered.", "invalid_request_error", "content_filter");
    let no_model = said(404, "The model `x` does not exist.", "invalid_request_error", "model_not_found");
    let invalid = said(400, "'messages' is required", "invalid_request_error", "");
    let overflow = said(400, too_long, "invalid_request_error", "context_length_exceeded");
    dialect
        .refusal(Refusal::new("429", 429, slow_down(), Kind::RateLimited))
        .refusal(Refusal::new("429, seconds", 429, slow_down(), Kind::RateLimited).retry_after(RetryAfter::Seconds(7)))
        .refusal(Refusal::new("429, date", 429, slow_down(), Kind::RateLimited).retry_after(RetryAfter::DateIn(60)))
        .refusal(Refusal::new("503", 503, said(503, "no room", "unavailable_error", ""), Kind::Overloaded))
        .refusal(Refusal::new("500", 500, said(500, "it broke", "server_error", ""), Kind::Transient))
        .refusal(Refusal::new("401", 401, bad_key, Kind::Auth))
        .refusal(Refusal::new("403", 403, said(403, "not for you", "permission_error", ""), Kind::Auth))
        .refusal(Refusal::new("404", 404, no_model, Kind::NotFound))
        .refusal(Refusal::new("400", 400, invalid, Kind::InvalidRequest))
        .refusal(Refusal::new("context length", 400, overflow, context))
        .refusal(Refusal::new("content filter", 400, filtered, Kind::ContentFilter))
}
