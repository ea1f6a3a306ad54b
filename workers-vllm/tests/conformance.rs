//! The contract of a worker, against a server that words everything as vLLM 0.32.0 was recorded to.

use std::num::NonZeroUsize;

use orchestrator_core::error::WorkerErrorKind as Kind;
use orchestrator_core::testing::conformance::{Dialect, Ending, Refusal, Suite, Target};
use orchestrator_core::testing::server::{Reply, Request};
use serde_json::{Value, json};
use workers_vllm::Vllm;

fn event(data: &Value) -> String {
    format!("data: {data}\n\n")
}

fn chunk(choices: &Value) -> Value {
    json!({"id": "chatcmpl-po-1", "object": "chat.completion.chunk", "created": 1, "model": "tiny", "choices": choices})
}

fn opening() -> String {
    let delta = json!({"role": "assistant", "content": ""});
    let mut chunk = chunk(&json!([{"index": 0, "delta": delta, "logprobs": null, "finish_reason": null}]));
    chunk["prompt_token_ids"] = json!([1, 2, 3]);
    chunk["prompt_text"] = Value::Null;
    event(&chunk)
}

fn piece(text: &str) -> String {
    let choice =
        json!({"index": 0, "delta": {"content": text}, "logprobs": null, "finish_reason": null, "token_ids": [7]});
    event(&chunk(&json!([choice])))
}

fn ending(ending: Ending) -> String {
    let last = json!({"index": 0, "delta": {"content": ""}, "logprobs": null, "finish_reason": ending.reason.as_str(),
        "stop_reason": null, "token_ids": [2]});
    let (prompt, completion) = (ending.usage.prompt_tokens, ending.usage.completion_tokens);
    let mut usage = chunk(&json!([]));
    usage["usage"] =
        json!({"prompt_tokens": prompt, "total_tokens": prompt + completion, "completion_tokens": completion});
    usage["system_fingerprint"] = "vllm-0.32.0-9a441be1".into();
    event(&chunk(&json!([last]))) + &event(&usage)
}

fn side(request: &Request) -> Option<Reply> {
    let models = json!({"object": "list", "data": [{"id": "tiny", "owned_by": "vllm", "max_model_len": 2048}]});
    let metrics = "vllm:num_requests_running{engine=\"0\",model_name=\"tiny\"} 0.0\n";
    Some(match request.path() {
        "/v1/models" => Reply::json(200, models.to_string()),
        "/version" => Reply::json(200, r#"{"version":"0.32.0"}"#),
        "/health" => Reply::full(200, &[], ""),
        "/metrics" => Reply::full(200, &[("content-type", "text/plain; version=1.0.0")], metrics),
        _ if request.method() == "GET" => Reply::json(404, r#"{"detail":"Not Found"}"#),
        _ => return None,
    })
}

fn refusals(dialect: Dialect) -> Dialect {
    let said = |status: u16, kind: &str, message: &str| {
        json!({"error": {"message": message, "type": kind, "param": null, "code": status}}).to_string()
    };
    let too_long = "This model's maximum context length is 2048 tokens. However, your prompt contains at least 2049 input \
                    tokens, which exceeds this limit even without any output tokens. (parameter=input_tokens, value=2049)";
    let sizes = Kind::ContextLength { prompt_tokens: Some(2049), limit: Some(2048) };
    let too_much = "max_tokens=100000 cannot be greater than max_model_len=2048. Please request fewer output tokens.";
    let no_model = said(404, "NotFoundError", "The model `nope` does not exist. Valid aliases: tiny.");
    let invalid = Kind::InvalidRequest;
    dialect
        .refusal(Refusal::new("vllm: context", 400, said(400, "BadRequestError", too_long), sizes))
        .refusal(Refusal::new("vllm: max_tokens", 400, said(400, "BadRequestError", too_much), invalid))
        .refusal(Refusal::new("vllm: field", 400, said(400, "Bad Request", "1 validation error:"), invalid))
        .refusal(Refusal::new("vllm: model", 404, no_model, Kind::NotFound))
        .refusal(Refusal::new("vllm: queue", 503, said(503, "ServiceUnavailableError", "full"), Kind::Overloaded))
        .refusal(Refusal::new("vllm: failure", 500, said(500, "InternalServerError", "it broke"), Kind::Transient))
        .refusal(Refusal::new("vllm: key", 401, r#"{"error":"Unauthorized"}"#, Kind::Auth))
        .refusal(Refusal::new("vllm: route", 404, r#"{"detail":"Not Found"}"#, Kind::NotFound))
        .refusal(Refusal::new("vllm: method", 405, r#"{"detail":"Method Not Allowed"}"#, invalid))
}

fn dialect() -> Dialect {
    let failure = json!({"error": {"message": "it broke", "type": "InternalServerError", "param": null, "code": 500}});
    refusals(Dialect::new("text/event-stream; charset=utf-8", piece, ending))
        .opening(opening())
        .noise(piece(""))
        .marker("data: [DONE]\n\n")
        .marker_optional(true)
        .slots(2)
        .oversize(r#"data: {"choices":[{"index":0,"delta":{"content":""#)
        .nonsense("data: {\"choices\": 7\n\n")
        .failure(event(&failure), Kind::Transient)
        .side(side)
}

#[tokio::test]
async fn it_conforms() {
    let make = |target: Target| async move {
        let builder = Vllm::builder(target.base_url).key(target.key).timeouts(target.timeouts);
        let builder = builder.slots(NonZeroUsize::new(2).expect("not zero"));
        builder.priorities().cache_salt("a secret of 16 bytes and more").connect().await.expect("a server")
    };
    Suite::new(dialect(), make).run().await.assert();
}
