//! Writing a selection of a draft.

use std::borrow::Cow;
use std::sync::Arc;

use minijinja::Value;
use orchestrator_core::request::{Content, Message};

use crate::assemble::draft::{Draft, Selection, add_paragraph, write_passage};
use crate::assemble::templates::{Part, TemplateError};
use crate::assemble::view::{self, PassagesView, Scope};

/// What stands in front of the numbered passages.
pub(super) const HEADER: &str = "Passages:";

/// The texts that depend on the selection.
#[derive(Debug)]
pub(super) struct Written {
    /// Empty where there is no system message.
    pub(super) system: String,
    /// `None` where the question stays as it is.
    pub(super) question: Option<String>,
}

/// The texts of the earlier turns' messages, `None` where all stay as they are.
pub(super) type History = Option<Vec<String>>;

impl Draft {
    /// Writes the system message and the question.
    pub(super) fn write(&self, keep: Selection) -> Result<Written, TemplateError> {
        let templates = &*self.templates;
        let in_question = templates.uses(Part::Question, "context") || templates.uses(Part::Question, "passages");
        let by_default = !templates.has(Part::System) && !in_question;
        let context = match (templates.any_uses("context"), templates.has(Part::Context)) {
            (false, false) => String::new(),
            (false, true) if !by_default => String::new(),
            _ => self.context(keep)?,
        };
        let question = match self.question {
            Some(question) if templates.has(Part::Question) => {
                let mut own = self.common(Part::Question, keep);
                own.push(("context", Value::from(context.as_str())));
                own.push(("question", Value::from(self.last[question].text())));
                Some(templates.render(Part::Question, self.scope(own))?)
            }
            _ => None,
        };
        let mut system = self.system(keep);
        if templates.has(Part::System) {
            let mut own = self.common(Part::System, keep);
            own.extend([("system", Value::from(system)), ("context", Value::from(context))]);
            own.push(("question", Value::from(self.question_text())));
            system = templates.render(Part::System, self.scope(own))?;
        } else if by_default && templates.has(Part::Context) {
            add_paragraph(&mut system, &context);
        } else if by_default {
            self.write_passages(&mut system, keep.passages);
        }
        Ok(Written { system, question })
    }

    /// Writes the messages of the earlier turns.
    pub(super) fn write_history(&self) -> Result<History, TemplateError> {
        if !self.templates.has(Part::History) {
            return Ok(None);
        }
        let write = |message| {
            let scope = self.scope(view::message(message).into());
            self.templates.render(Part::History, scope)
        };
        self.history.iter().map(write).collect::<Result<_, _>>().map(Some)
    }

    /// Whether what is written depends on which turns are kept.
    pub(super) fn shows_turns(&self) -> bool {
        self.templates.any_uses("turns")
    }

    /// The messages of a selection, in order.
    pub(super) fn into_messages(mut self, keep: Selection, written: Written, history: History) -> Vec<Message> {
        let mut messages = Vec::with_capacity(1 + self.history.len() + self.last.len());
        let attachments = std::mem::take(&mut self.attachments);
        if !written.system.is_empty() || !attachments.is_empty() {
            messages.push(attachments.into_iter().fold(Message::system(written.system), Message::part));
        }
        let from = self.kept_from(keep.turns);
        match history {
            None => messages.extend(self.history.drain(from..)),
            Some(texts) => {
                let kept = self.history.iter().zip(texts).skip(from);
                let stand = kept.filter(|(message, text)| !is_left_out(message, text));
                messages.extend(stand.map(|(message, text)| with_text(message, text)));
            }
        }
        if let (Some(question), Some(text)) = (self.question, written.question) {
            self.last[question] = with_text(&self.last[question], text);
        }
        messages.append(&mut self.last);
        messages
    }

    /// The text of the question, empty where there is none.
    pub(super) fn question_text(&self) -> Cow<'_, str> {
        self.question.map(|question| self.last[question].text()).unwrap_or_default()
    }

    /// The caller's and the stage's system text.
    fn system(&self, keep: Selection) -> String {
        let no_room = keep.passages == 0 && !self.passages.is_empty();
        let text = if no_room { &self.stage_text.without_room } else { &self.stage_text.text };
        let passages = self.passages[..keep.passages].iter().map(|p| p.text.len() + 128).sum::<usize>();
        let mut system = String::with_capacity(self.callers_system.len() + text.len() + passages + 16);
        system.push_str(&self.callers_system);
        add_paragraph(&mut system, text);
        system
    }

    /// The passages that are kept, numbered; empty where there is none.
    fn context(&self, keep: Selection) -> Result<String, TemplateError> {
        if keep.passages == 0 {
            return Ok(String::new());
        }
        if self.templates.has(Part::Context) {
            let mut own = self.common(Part::Context, keep);
            own.push(("question", Value::from(self.question_text())));
            return self.templates.render(Part::Context, self.scope(own));
        }
        let mut context = String::new();
        self.write_passages(&mut context, keep.passages);
        Ok(context)
    }

    fn write_passages(&self, out: &mut String, count: usize) {
        if count > 0 {
            add_paragraph(out, HEADER);
        }
        for (number, passage) in (1..).zip(&self.passages[..count]) {
            write_passage(out, number, passage);
        }
    }

    /// The variables that depend on the selection, as far as a part's template uses them.
    fn common(&self, part: Part, keep: Selection) -> Vec<(&'static str, Value)> {
        let mut own = Vec::with_capacity(5);
        if self.templates.uses(part, "passages") {
            let view = PassagesView { passages: self.passages.clone(), count: keep.passages };
            own.push(("passages", Value::from_object(view)));
        }
        if self.templates.uses(part, "turns") {
            let kept = self.turns().skip(self.all().turns - keep.turns);
            own.push(("turns", view::turns(kept.map(|turn| &self.history[turn]))));
        }
        own
    }

    fn scope(&self, own: Vec<(&'static str, Value)>) -> Value {
        Value::from_dyn_object(Arc::new(Scope { own, shared: self.shared.clone() }))
    }
}

/// A message with another text in the place of its text parts; what is no text stays.
fn with_text(message: &Message, text: String) -> Message {
    let mut parts: Vec<Content> = message.parts().iter().filter(|part| part.as_text().is_none()).cloned().collect();
    if !text.is_empty() || parts.is_empty() {
        // Where the first text stood, or in front.
        let place = message.parts().iter().position(|part| part.as_text().is_some()).unwrap_or(0);
        parts.insert(place, Content::from(text));
    }
    message.clone().with_parts(parts)
}

/// Whether an earlier message is left out because the template wrote nothing for it.
///
/// Never what is part of a tool call: servers refuse a call without its result, and a result without its call.
pub(super) fn is_left_out(message: &Message, text: &str) -> bool {
    let of_a_tool = !message.tool_calls().is_empty() || message.answers().is_some();
    let only_text = message.parts().iter().all(|part| part.as_text().is_some());
    text.is_empty() && only_text && !of_a_tool && !message.text().is_empty()
}
