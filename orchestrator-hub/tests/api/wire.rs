//! What is on the wire: keys, bodies and events.

use orchestrator_core::prelude::*;
use orchestrator_hub::Key;
use serde_json::Value;
use sha2::Digest;

/// A key of this text.
pub(crate) fn key(text: &str) -> Key {
    Key { sha256: sha2::Sha256::digest(text).into(), tenant: Some("acme".into()), priority: Priority::Normal }
}

/// The data of the events of a response, `[DONE]` included.
pub(crate) async fn events(response: reqwest::Response) -> Vec<String> {
    let body = response.text().await.expect("a body");
    let data = |event: &str| event.strip_prefix("data: ").expect("an event of one line").to_owned();
    body.split_terminator("\n\n").map(data).collect()
}

/// The names and the data of the events of a response in Anthropic's form.
pub(crate) async fn named_events(response: reqwest::Response) -> Vec<(String, Value)> {
    let body = response.text().await.expect("a body");
    let event = |event: &str| {
        let (name, data) = event.split_once('\n').expect("a name and data");
        let name = name.strip_prefix("event: ").expect("a name").to_owned();
        (name, serde_json::from_str(data.strip_prefix("data: ").expect("data")).expect("JSON"))
    };
    body.split_terminator("\n\n").map(event).collect()
}

/// A body with some of its fields changed.
pub(crate) fn changed(mut body: Value, change: Value) -> Value {
    let Value::Object(change) = change else { panic!("{change} is no object") };
    body.as_object_mut().expect("an object").extend(change);
    body
}
