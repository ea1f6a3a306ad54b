use orchestrator_core::token::ToolCallDelta;

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
    /// opens another call if it has an id or a name, and else belongs to the last one: some servers send whole calls so.
    pub(super) fn piece(&mut self, came: &chunk::ToolCallDelta<'_>) -> Option<ToolCallDelta> {
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
        let says_something = piece.id.is_some() || piece.name.is_some() || !piece.arguments.is_empty();
        says_something.then_some(piece)
    }
}
