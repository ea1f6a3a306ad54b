use bytes::Bytes;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::{Finish, FinishReason, Usage};
use serde_json::{Map, Value};

use super::fields::Beyond;
use super::reason::{Meaning, meaning};
use crate::chunk;

/// What is known so far of how the answer ends.
#[derive(Debug, Default)]
pub(super) struct Ending {
    meaning: Option<Meaning>,
    /// The server's word for it, where that is not known.
    word: Option<String>,
    usage: Usage,
    /// The frame with the reason, and the last one with a usage: some servers send one in every frame.
    with_reason: Option<Bytes>,
    with_usage: Option<Bytes>,
}

impl Ending {
    /// Takes what one of the last chunks says. Where several count, the last one holds.
    pub(super) fn take(&mut self, reason: Option<&str>, usage: Option<chunk::Usage>, frame: &Bytes) {
        if let Some(meaning) = reason.and_then(meaning) {
            self.word = reason.filter(|_| meaning == Meaning::Unknown).map(str::to_owned);
            self.meaning = Some(meaning);
            self.with_reason = Some(frame.clone());
        }
        if let Some(came) = usage {
            self.usage = Usage::new(came.prompt().unwrap_or_default(), came.completion().unwrap_or_default());
            self.usage.cached_tokens = came.cached().unwrap_or_default();
            self.with_usage = Some(frame.clone());
        }
    }

    /// Returns whether the server has said how the answer ended.
    pub(super) const fn is_known(&self) -> bool {
        self.meaning.is_some()
    }

    /// Makes the terminal event; an answer whose end the server did not explain had one all the same.
    ///
    /// # Errors
    ///
    /// Where the server gave up.
    pub(super) fn into_finish(self) -> Result<Finish, WorkerError> {
        let reason = match self.meaning {
            Some(Meaning::Failed(kind)) => return Err(WorkerError::new(kind, "the server gave the answer up")),
            Some(Meaning::Ended(reason)) => reason,
            Some(Meaning::Unknown) | None => FinishReason::Stop,
        };
        let mut finish = Finish::new(reason, self.usage);
        let mut vendor = Map::new();
        let same = self.with_usage == self.with_reason;
        take_vendor(&mut vendor, self.with_reason.as_ref(), true);
        take_vendor(&mut vendor, self.with_usage.as_ref().filter(|_| !same), false);
        vendor.extend(self.word.map(|word| ("finish_reason".to_owned(), word.into())));
        finish.vendor = (!vendor.is_empty()).then(|| Box::new(vendor));
        Ok(finish)
    }
}

/// Takes what has no place of its own: of the chunk and its choice as they are called there, of the usage below `usage`. The
/// probabilities of text belong to its own event, but for the text that comes with the reason.
fn take_vendor(vendor: &mut Map<String, Value>, frame: Option<&Bytes>, has_reason: bool) {
    let text = frame.and_then(|frame| str::from_utf8(frame).ok());
    let Some(beyond) = text.and_then(Beyond::of) else { return };
    vendor.extend(beyond.chunk.read());
    vendor.extend(beyond.choice.read().filter(|(name, _)| has_reason || name != "logprobs"));
    let usage: Map<_, _> = beyond.usage.read().collect();
    vendor.extend((!usage.is_empty()).then(|| ("usage".to_owned(), usage.into())));
}
