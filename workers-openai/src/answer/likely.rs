use serde::Deserialize;
use serde_json::{Map, Value};

/// Returns whether a frame, which is of one choice, says how likely a token was: its object of lists has one that is not empty.
pub(super) fn tells_logprobs(frame: &[u8]) -> bool {
    let Ok(Frame { choices: [Choice { logprobs: Some(lists) }] }) = serde_json::from_slice(frame) else { return false };
    lists.values().any(|list| list.as_array().is_some_and(|tokens| !tokens.is_empty()))
}

/// As much of a frame as is looked at.
#[derive(Deserialize)]
struct Frame {
    choices: [Choice; 1],
}

#[derive(Deserialize)]
struct Choice {
    logprobs: Option<Map<String, Value>>,
}
