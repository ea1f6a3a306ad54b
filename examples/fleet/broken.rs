//! A server that says it is well, and answers nobody.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use prompt_orchestrator::testing::server::{Reply, Request, ScriptedServer};

/// Starts it: it lists its model, refuses two of three requests, and hangs up on the third before the first word.
pub(crate) async fn start() -> io::Result<ScriptedServer> {
    let requests = AtomicUsize::new(0);
    ScriptedServer::start(move |request| reply(request, &requests)).await
}

fn reply(request: &Request, requests: &AtomicUsize) -> Reply {
    if request.method() == "GET" {
        return Reply::json(200, r#"{"object":"list","data":[{"id":"fleet","object":"model"}]}"#);
    }
    if requests.fetch_add(1, Ordering::Relaxed) % 3 < 2 {
        return Reply::json(503, r#"{"error":{"message":"no GPU is left","type":"server_error","code":503}}"#);
    }
    Reply::chunked(200, "text/event-stream").chunk(": one moment\n\n").reset()
}
