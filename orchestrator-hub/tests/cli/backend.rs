//! A model server that follows a script.

use orchestrator_core::testing::server::{Reply, Request, ScriptedServer, Signal};
use serde_json::json;

/// A server of one model; its answers end once `go` is raised.
pub(crate) async fn start(model: &'static str, go: &Signal) -> ScriptedServer {
    let go = go.clone();
    ScriptedServer::start(move |request| reply(request, model, &go)).await.expect("a server")
}

fn reply(request: &Request, model: &str, go: &Signal) -> Reply {
    match request.path() {
        "/v1/models" => {
            let list = json!({"object": "list", "data": [{"id": model, "object": "model", "owned_by": "someone"}]});
            Reply::json(200, list.to_string())
        }
        "/v1/chat/completions" => {
            let begun = Reply::chunked(200, "text/event-stream").chunk(event(model, "the backup", None)).until(go);
            begun.chunk(event(model, " battery", Some("stop"))).chunk("data: [DONE]\n\n").last_chunk()
        }
        _ => Reply::json(404, "{}"),
    }
}

fn event(model: &str, text: &str, finish: Option<&str>) -> String {
    let choice = json!({"index": 0, "delta": {"content": text}, "finish_reason": finish});
    let chunk = json!({
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": model, "choices": [choice],
    });
    format!("data: {chunk}\n\n")
}
