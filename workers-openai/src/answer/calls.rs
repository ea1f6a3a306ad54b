use bytes::Bytes;
use orchestrator_core::token::ToolCallDelta;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::chunk;

/// The tool calls of an answer, as far as they have come.
#[derive(Debug, Default)]
pub(super) struct Calls {
    /// How many have been opened.
    opened: u32,
}

impl Calls {
    /// Makes a piece of a call of what came; `None` where it says nothing.
    ///
    /// Id and name are handed on in a call's first piece only, however often a server repeats them. A piece without an index
    /// opens another call if it has an id or a name, and else belongs to the last one: some servers send whole calls so. Its
    /// frame stays with a piece that says what the frame does, no more and no less.
    pub(super) fn piece(&mut self, came: &chunk::ToolCallDelta<'_>, frame: Option<&Bytes>) -> Option<ToolCallDelta> {
        let id = came.id().filter(|id| !id.is_empty());
        let name = came.name().filter(|name| !name.is_empty());
        let opens = id.is_some() || name.is_some();
        let next = if opens { self.opened } else { self.opened.saturating_sub(1) };
        let index = came.index().map_or(next, |index| u32::try_from(index).unwrap_or(u32::MAX));
        let is_new = index >= self.opened;
        self.opened = self.opened.max(index.saturating_add(1));
        let mut piece = ToolCallDelta::new(index, came.arguments());
        if is_new {
            piece.id = id.map(str::to_owned);
            piece.name = name.map(str::to_owned);
        }
        let is_same =
            came.index() == Some(index.into()) && came.id() == piece.id.as_deref() && name == piece.name.as_deref();
        piece.raw = frame.filter(|frame| is_same && is_plain(frame)).cloned();
        let says_something = piece.id.is_some() || piece.name.is_some() || !piece.arguments.is_empty();
        says_something.then_some(piece)
    }
}

/// Whether a frame's only call is put as the API has it: some servers send arguments as an object, or a number for an id.
fn is_plain(frame: &[u8]) -> bool {
    let Ok(Frame { choices: [Choice { delta }] }) = serde_json::from_slice(frame) else { return false };
    let is_text = |value: Option<&RawValue>| value.is_none_or(|value| value.get().starts_with('"'));
    delta.tool_calls.iter().all(|Call { id, function }| {
        is_text(*id) && function.as_ref().is_none_or(|function| is_text(function.name) && is_text(function.arguments))
    })
}

/// As much of a frame as is looked at, as it was written.
#[derive(Deserialize)]
struct Frame<'a> {
    #[serde(borrow)]
    choices: [Choice<'a>; 1],
}

#[derive(Deserialize)]
struct Choice<'a> {
    #[serde(borrow)]
    delta: Delta<'a>,
}

#[derive(Deserialize)]
struct Delta<'a> {
    #[serde(borrow)]
    tool_calls: Vec<Call<'a>>,
}

#[derive(Deserialize)]
struct Call<'a> {
    #[serde(borrow)]
    id: Option<&'a RawValue>,
    #[serde(borrow)]
    function: Option<Function<'a>>,
}

#[derive(Deserialize)]
struct Function<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    arguments: Option<&'a RawValue>,
}
