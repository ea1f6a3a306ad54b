//! What is new in a frame.

use std::collections::VecDeque;

use bytes::Bytes;
use orchestrator_core::token::{TextDelta, TokenEvent};

use super::calls::Calls;
use super::ending::Ending;
use super::likely::tells_logprobs;
use super::template::Template;
use crate::chunk::{Choice, Chunk, mended};

/// A frame that is no piece of an answer.
#[derive(Debug)]
pub(super) enum Unread {
    /// It is an error.
    Failure,
    /// It is nothing that is known.
    Unknown(serde_json::Error),
}

/// Reads frames one after the other.
#[derive(Debug, Default)]
pub(super) struct Pieces {
    template: Template,
    calls: Calls,
    /// Events of the last frame that were not handed on yet; most frames have one.
    more: VecDeque<TokenEvent>,
    /// Ids of tokens whose text the server still holds back, since a character is not complete.
    held: Vec<u32>,
}

impl Pieces {
    pub(super) fn next(&mut self) -> Option<TokenEvent> {
        self.more.pop_front()
    }

    /// Reads a frame: returns its first event, keeps the others, and tells `ending` what it says of the end.
    pub(super) fn read(&mut self, frame: &Bytes, ending: &mut Ending) -> Result<Option<TokenEvent>, Unread> {
        if self.held.is_empty()
            && let Some(text) = self.template.text(frame)
        {
            return Ok((!text.is_empty()).then(|| TokenEvent::Text(TextDelta::new(text).with_raw(frame.clone()))));
        }
        let chunk = match Chunk::parse(frame) {
            Ok(chunk) => chunk,
            Err(why) => match mended(frame) {
                Some(mended) => return self.read(&mended.into(), ending),
                None => return Err(Unread::Unknown(why)),
            },
        };
        if chunk.is_error() {
            return Err(Unread::Failure);
        }
        // More than one answer is never asked for.
        let choice = chunk.choices().iter().find(|choice| choice.index() == 0);
        let reason = choice.and_then(Choice::finish_reason);
        if reason.is_some() || chunk.usage().is_some() {
            ending.take(reason, chunk.usage(), frame);
        }
        let Some(choice) = choice else { return Ok(None) };
        if choice.reasoning().is_empty() && choice.tool_calls().is_empty() {
            let raw = reason.is_none().then_some(frame);
            let says_more = !choice.token_ids().is_empty() || choice.has_logprobs() || chunk.usage().is_some();
            if raw.is_some() && !says_more && chunk.choices().len() == 1 {
                self.template.learn(frame, choice);
            }
            let text = self.text(choice.content(), choice.token_ids(), raw);
            let of_part = || raw.filter(|frame| choice.has_logprobs() && tells_logprobs(frame));
            let text = text.or_else(|| of_part().map(|frame| TextDelta::default().with_raw(frame.clone())));
            return Ok(text.map(TokenEvent::Text));
        }
        let parts = [choice.reasoning(), choice.content()].iter().filter(|text| !text.is_empty()).count();
        let says_one_thing = parts + choice.tool_calls().len() == 1 && chunk.choices().len() == 1;
        Ok(self.several(choice, Some(frame).filter(|_| says_one_thing && reason.is_none())))
    }

    /// Reasoning comes before what it led to. Which of the frame's tokens are whose is not told: all are of what comes first.
    /// `raw` is there where there is only one of all this.
    fn several(&mut self, choice: &Choice<'_>, raw: Option<&Bytes>) -> Option<TokenEvent> {
        let ids = choice.token_ids();
        let (of_reasoning, of_text) = if choice.reasoning().is_empty() { (&[][..], ids) } else { (ids, &[][..]) };
        let reasoning = self.text(choice.reasoning(), of_reasoning, raw);
        self.more.extend(reasoning.map(TokenEvent::Reasoning));
        let text = self.text(choice.content(), of_text, None);
        self.more.extend(text.map(TokenEvent::Text));
        let calls = choice.tool_calls().iter().filter_map(|call| self.calls.piece(call, raw));
        self.more.extend(calls.map(|call| TokenEvent::ToolCall(Box::new(call))));
        self.next()
    }

    /// The text goes with its frame where the frame says nothing else: then it can be handed on as it is.
    fn text(&mut self, text: &str, ids: &[u32], raw: Option<&Bytes>) -> Option<TextDelta> {
        if text.is_empty() {
            self.held.extend_from_slice(ids);
            return None;
        }
        let mut delta = TextDelta::new(text);
        if !self.held.is_empty() {
            self.held.extend_from_slice(ids);
            delta = delta.with_token_ids(&std::mem::take(&mut self.held));
        } else if !ids.is_empty() {
            delta = delta.with_token_ids(ids);
        }
        Some(match raw {
            Some(frame) => delta.with_raw(frame.clone()),
            None => delta,
        })
    }
}
