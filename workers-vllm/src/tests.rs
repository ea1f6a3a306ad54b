//! What this crate adds to the wire types, against what was recorded.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::tokenize::{TokenizeRequest, Tokenized};

#[path = "../../workers-openai/tests/common/traces.rs"]
mod traces;

fn written_again<T: Serialize + DeserializeOwned>(body: &[u8]) -> (Value, Value) {
    let read: T = serde_json::from_slice(body).expect("readable");
    (serde_json::to_value(read).expect("writable"), serde_json::from_slice(body).expect("JSON"))
}

#[test]
fn what_is_recorded_of_tokenizing_loses_nothing() {
    let recorded: Vec<_> = traces::all()
        .into_iter()
        .filter(|trace| trace.name.starts_with("vllm/") && trace.path == "/tokenize")
        .collect();
    assert!(!recorded.is_empty());
    for trace in recorded {
        let (written, sent) = written_again::<TokenizeRequest>(&trace.request);
        assert_eq!(written, sent, "{}", trace.name);
        let (written, came) = written_again::<Tokenized>(&trace.response());
        assert_eq!(written, came, "{}", trace.name);
    }
}
