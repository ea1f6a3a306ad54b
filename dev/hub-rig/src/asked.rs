use serde_json::{Value, json};

use crate::Rig;

/// Where chats are asked for.
pub const CHAT: &str = "/v1/chat/completions";

/// Returns what a client asks the model `mock`.
pub fn chat(streams: bool) -> String {
    json!({"model": "mock", "stream": streams, "messages": [{"role": "user", "content": "hello"}]}).to_string()
}

/// Asks for an answer.
///
/// # Errors
///
/// Where there is no response.
pub async fn ask(client: &reqwest::Client, rig: &Rig, streams: bool) -> reqwest::Result<reqwest::Response> {
    client.post(rig.url(CHAT)).body(chat(streams)).send().await
}

/// Reads the JSON of a response.
pub async fn json(response: reqwest::Response) -> Value {
    serde_json::from_slice(&response.bytes().await.expect("a body")).expect("JSON")
}
