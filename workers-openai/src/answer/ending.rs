use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::token::{Finish, FinishReason, Usage};
use serde_json::{Map, Value};

use super::reason::meaning;
use crate::chunk;

/// Fields of a chunk, its choice and its usage that have a place of their own, or say nothing.
const OF_CHUNK: &[&str] = &["choices", "created", "id", "model", "object", "system_fingerprint", "usage"];
const OF_CHOICE: &[&str] = &["delta", "finish_reason", "index", "logprobs", "prompt_token_ids", "text", "token_ids"];
const OF_USAGE: &[&str] = &["completion_tokens", "prompt_tokens", "prompt_tokens_details", "total_tokens"];

/// What is known so far of how the answer ends.
#[derive(Debug, Default)]
pub(super) struct Ending {
    reason: Option<FinishReason>,
    failure: Option<WorkerErrorKind>,
    usage: Usage,
    vendor: Map<String, Value>,
}

impl Ending {
    /// Takes what one of the last chunks says. Where several count, the last one holds.
    pub(super) fn take(&mut self, reason: Option<&str>, usage: Option<chunk::Usage>, frame: &[u8]) {
        match reason.and_then(meaning) {
            Some(Ok(reason)) => self.reason = Some(reason),
            Some(Err(failure)) => self.failure = Some(failure),
            None => {}
        }
        if let Some(came) = usage {
            self.usage = Usage::new(came.prompt().unwrap_or_default(), came.completion().unwrap_or_default());
            self.usage.cached_tokens = came.cached().unwrap_or_default();
        }
        // It has been read once already.
        if let Ok(chunk) = serde_json::from_slice(frame) {
            self.take_vendor(chunk);
        }
    }

    /// Takes what has no place of its own: of the chunk and its choice as they are called there, of the usage below `usage`.
    fn take_vendor(&mut self, mut chunk: Map<String, Value>) {
        let choice = chunk.get_mut("choices").and_then(|choices| choices.get_mut(0)).map(Value::take);
        let usage = chunk.get_mut("usage").map(Value::take);
        self.vendor.extend(unknown(chunk, OF_CHUNK));
        if let Some(Value::Object(choice)) = choice {
            self.vendor.extend(unknown(choice, OF_CHOICE));
        }
        if let Some(Value::Object(usage)) = usage {
            let beyond: Map<_, _> = unknown(usage, OF_USAGE).collect();
            self.vendor.extend((!beyond.is_empty()).then(|| ("usage".to_owned(), beyond.into())));
        }
    }

    /// Returns whether the server has said how the answer ended.
    pub(super) const fn is_known(&self) -> bool {
        self.reason.is_some() || self.failure.is_some()
    }

    /// Makes the terminal event; an answer whose end the server did not explain had one all the same.
    ///
    /// # Errors
    ///
    /// Where the server gave up.
    pub(super) fn into_finish(self) -> Result<Finish, WorkerError> {
        if let Some(failure) = self.failure {
            return Err(WorkerError::new(failure, "the server gave the answer up"));
        }
        let mut finish = Finish::new(self.reason.unwrap_or_default(), self.usage);
        finish.vendor = (!self.vendor.is_empty()).then(|| Box::new(self.vendor));
        Ok(finish)
    }
}

fn unknown(fields: Map<String, Value>, known: &'static [&'static str]) -> impl Iterator<Item = (String, Value)> {
    fields.into_iter().filter(|(name, value)| !known.contains(&name.as_str()) && !value.is_null())
}
