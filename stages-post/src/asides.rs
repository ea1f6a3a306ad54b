//! The kinds of text beside the answer's own: reasoning, and the arguments of tool calls.

use std::sync::Arc;

use orchestrator_core::token::{TextDelta, TokenEvent, ToolCallDelta};

use crate::chain::{Chain, Passed};
use crate::filter::TextFilter;
use crate::redact::{Redact, Rules};

/// The redactions, which cover every kind of text, once for each kind.
///
/// What one of them holds comes out with more of its kind, or at the end, and not in between: whoever puts the pieces of one
/// kind together would put together what was to be kept back.
pub(crate) struct Asides {
    /// What the redactions look for; empty where there is nothing to do.
    rules: Arc<[Arc<Rules>]>,
    reasoning: Option<Chain>,
    /// By the index of the call.
    calls: Vec<(u32, Chain)>,
}

impl Asides {
    pub(crate) fn new(rules: Arc<[Arc<Rules>]>) -> Self {
        Self { rules, reasoning: None, calls: Vec::new() }
    }

    fn chain(rules: &[Arc<Rules>], redact: fn(Arc<Rules>) -> Redact) -> Chain {
        Chain::new(rules.iter().map(|rules| Box::new(redact(rules.clone())) as Box<dyn TextFilter>).collect())
    }

    /// Returns what takes the place of a piece of reasoning, `None` where it goes on as it is.
    pub(crate) fn reasoning(&mut self, text: &str) -> Option<&str> {
        if self.rules.is_empty() {
            return None;
        }
        let chain = self.reasoning.get_or_insert_with(|| Self::chain(&self.rules, Redact::new));
        changed(chain.push(text))
    }

    /// Returns what takes the place of a piece of a tool call, `None` where it goes on as it is; no event where the filters
    /// hold all of it.
    pub(crate) fn call(&mut self, call: &ToolCallDelta) -> Option<Option<TokenEvent>> {
        if self.rules.is_empty() {
            return None;
        }
        let place = self.calls.iter().position(|(index, _)| *index == call.index).unwrap_or_else(|| {
            self.calls.push((call.index, Self::chain(&self.rules, Redact::json)));
            self.calls.len() - 1
        });
        let arguments = changed(self.calls[place].1.push(&call.arguments))?.to_owned();
        let nothing_left = arguments.is_empty() && call.id.is_none() && call.name.is_none();
        let mut call = call.clone();
        call.arguments = arguments;
        call.raw = None;
        Some((!nothing_left).then(|| TokenEvent::ToolCall(Box::new(call))))
    }

    /// Returns the reasoning that is still held.
    pub(crate) fn flush_reasoning(&mut self) -> Option<TokenEvent> {
        let (held, _) = self.reasoning.as_mut()?.flush();
        (!held.is_empty()).then(|| TokenEvent::Reasoning(TextDelta::new(held)))
    }

    /// Returns the arguments that are still held, call by call.
    pub(crate) fn flush_calls(&mut self) -> impl Iterator<Item = TokenEvent> {
        self.calls.iter_mut().filter_map(|(index, chain)| {
            let (held, _) = chain.flush();
            (!held.is_empty()).then(|| TokenEvent::ToolCall(Box::new(ToolCallDelta::new(*index, held))))
        })
    }

    pub(crate) fn reset(&mut self) {
        self.reasoning = None;
        self.calls.clear();
    }
}

/// The filters that cover these kinds end no answer.
fn changed(passed: Passed<'_>) -> Option<&str> {
    match passed {
        Passed::Unchanged => None,
        Passed::Changed(text) | Passed::Ended(text, _) => Some(text),
    }
}
