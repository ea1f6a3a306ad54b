use bytes::Bytes;
use orchestrator_core::token::{Finish, TextDelta};
use serde_json::{Map, Value};

use super::object::said;

/// How likely the tokens of an answer were, gathered from the server's frames.
///
/// In either form, that of chats (`content`) and the older one (`tokens`, `token_logprobs`, ..), it is an object of lists, and
/// each frame has the parts of its own tokens.
#[derive(Debug, Default)]
pub(super) struct Logprobs(Map<String, Value>);

impl Logprobs {
    /// Returns whether a request asks for them.
    pub(super) fn are_asked_for(vendor: &Map<String, Value>) -> bool {
        vendor.get("logprobs").is_some_and(|asked| !matches!(asked, Value::Null | Value::Bool(false)))
    }

    /// Takes what the frame of a piece says.
    pub(super) fn look(&mut self, delta: &TextDelta) {
        if let Some(raw) = delta.raw() {
            self.add(of_frame(raw));
        }
    }

    /// Takes what came with the end, and returns all of it; `None` where the server said nothing.
    pub(super) fn whole(mut self, finish: &Finish) -> Option<Map<String, Value>> {
        self.add(said(finish, "logprobs").cloned().unwrap_or_default());
        (!self.0.is_empty()).then_some(self.0)
    }

    fn add(&mut self, came: Value) {
        let Value::Object(came) = came else { return };
        for (name, value) in came {
            match (self.0.get_mut(&name), value) {
                (Some(Value::Array(list)), Value::Array(mut more)) => list.append(&mut more),
                (_, value) => _ = self.0.insert(name, value),
            }
        }
    }
}

fn of_frame(frame: &Bytes) -> Value {
    let mut frame: Value = serde_json::from_slice(frame).unwrap_or_default();
    frame.pointer_mut("/choices/0/logprobs").map(Value::take).unwrap_or_default()
}
