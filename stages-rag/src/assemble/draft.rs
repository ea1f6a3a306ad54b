//! What there is to assemble, before it is decided how much of it is kept.

use std::borrow::Cow;
use std::fmt::Write as _;
use std::sync::Arc;

use minijinja::Value;
use orchestrator_core::context::{Context, OffloadError};
use orchestrator_core::request::{Content, Message, Role};
use orchestrator_core::retrieval::Passage;

use crate::assemble::templates::Templates;
use crate::memory::Turn;

/// Bytes of text from which on templates are rendered on the CPU pool: twenty passages and twenty turns of 27 KB together
/// take 40 us.
const INLINE: usize = 32 << 10;

/// The variables that every template sees.
pub(super) type Shared = Arc<Vec<(&'static str, Value)>>;

/// The stage's own text.
#[derive(Debug, Clone)]
pub(super) struct StageText {
    pub(super) text: Cow<'static, str>,
    /// What stands there instead where passages were found and none fits.
    pub(super) without_room: Cow<'static, str>,
}

/// A request's parts, in the order in which they will stand.
#[derive(Debug, Clone)]
pub(super) struct Draft {
    pub(super) templates: Arc<Templates>,
    /// The caller's system messages in front of the conversation, joined.
    pub(super) callers_system: String,
    /// What in those is no text.
    pub(super) attachments: Vec<Content>,
    pub(super) stage_text: StageText,
    pub(super) passages: Arc<[Passage]>,
    /// The earlier turns, the oldest first, one behind the other.
    pub(super) history: Vec<Message>,
    /// Where in `history` each turn begins.
    starts: Vec<usize>,
    /// The turn that is to be answered.
    pub(super) last: Vec<Message>,
    /// Where in `last` the question stands.
    pub(super) question: Option<usize>,
    pub(super) shared: Shared,
}

/// How much is kept: so many of the newest turns, and so many of the best passages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Selection {
    pub(super) turns: usize,
    pub(super) passages: usize,
}

impl Draft {
    pub(super) fn new(
        templates: &Arc<Templates>,
        stage_text: StageText,
        mut messages: Vec<Message>,
        passages: Arc<[Passage]>,
        shared: Shared,
    ) -> Self {
        let (callers_system, attachments) = take_system(&mut messages);
        let mut starts = turn_starts(&messages);
        let last = messages.split_off(starts.pop().unwrap_or_default());
        let question = last.iter().rposition(|m| m.role() == Role::User);
        Self {
            templates: templates.clone(),
            callers_system,
            attachments,
            stage_text,
            passages,
            history: messages,
            starts,
            last,
            question,
            shared,
        }
    }

    /// Puts turns in front of the others.
    pub(super) fn remember(&mut self, turns: &[Turn]) {
        let mut history = Vec::new();
        let mut starts = Vec::with_capacity(turns.len() + self.starts.len());
        for turn in turns {
            starts.push(history.len());
            history.extend_from_slice(turn.messages());
        }
        starts.extend(self.starts.iter().map(|start| start + history.len()));
        history.append(&mut self.history);
        self.history = history;
        self.starts = starts;
    }

    /// Everything.
    pub(super) fn all(&self) -> Selection {
        Selection { turns: self.starts.len(), passages: self.passages.len() }
    }

    /// Where in `history` each turn lies, the oldest first.
    pub(super) fn turns(&self) -> impl DoubleEndedIterator<Item = std::ops::Range<usize>> + ExactSizeIterator {
        let ends = self.starts.iter().skip(1).copied().chain([self.history.len()]);
        self.starts.iter().zip(ends.collect::<Vec<_>>()).map(|(start, end)| *start..end)
    }

    /// Where in `history` the newest turns begin.
    pub(super) fn kept_from(&self, turns: usize) -> usize {
        self.starts.get(self.starts.len() - turns).copied().unwrap_or(self.history.len())
    }

    /// Does a job on the draft: here, or where CPU work belongs if templates go over much text.
    pub(super) async fn run<T, F>(self: &Arc<Self>, cx: &Context, job: F) -> Result<T, OffloadError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> T + Send + 'static,
    {
        if self.templates.is_empty() || self.bytes() < INLINE {
            return Ok(job(self));
        }
        let draft = self.clone();
        cx.offload(move || job(&draft)).await
    }

    /// The bytes of text that a rendering goes over, roughly.
    fn bytes(&self) -> usize {
        let text = |m: &Message| m.parts().iter().filter_map(Content::as_text).map(str::len).sum::<usize>();
        let messages = self.history.iter().chain(&self.last).map(text).sum::<usize>();
        messages + self.callers_system.len() + self.passages.iter().map(|p| p.text.len()).sum::<usize>()
    }
}

/// The variables that do not depend on what is kept.
pub(super) fn shared(cx: &Context, metadata: &std::collections::BTreeMap<String, String>) -> Shared {
    Arc::new(vec![
        ("session", Value::from(cx.session())),
        ("tenant", Value::from(cx.tenant())),
        ("metadata", Value::from_pairs(metadata.iter())),
    ])
}

/// Takes the leading system messages out: their text joined, and what in them is no text.
fn take_system(messages: &mut Vec<Message>) -> (String, Vec<Content>) {
    let leading = messages.iter().take_while(|m| m.role() == Role::System).count();
    let (mut system, mut attachments) = (String::new(), Vec::new());
    for message in messages.drain(..leading) {
        add_paragraph(&mut system, &message.text());
        attachments.extend(message.parts().iter().filter(|part| part.as_text().is_none()).cloned());
    }
    (system, attachments)
}

/// Where turns begin: at each user message, with the system messages right in front of it, and at the first message.
fn turn_starts(messages: &[Message]) -> Vec<usize> {
    let mut starts = Vec::new();
    let users = messages.iter().enumerate().filter(|(_, m)| m.role() == Role::User);
    for (user, _) in users {
        let notes = messages[..user].iter().rev().take_while(|m| m.role() == Role::System).count();
        starts.push(user - notes);
    }
    if starts.first() != Some(&0) {
        starts.insert(0, 0);
    }
    starts
}

/// Sets a paragraph behind a text, with a blank line between.
pub(super) fn add_paragraph(text: &mut String, paragraph: &str) {
    if !text.is_empty() && !paragraph.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str(paragraph);
}

/// Writes one passage under its number and source, with a blank line in front.
pub(super) fn write_passage(out: &mut String, number: usize, passage: &Passage) {
    write!(out, "\n\n[{number}] {}\n{}", passage.source, passage.text).expect("a string takes any text");
}
