use orchestrator_core::answer::{Answer, Tokens};
use orchestrator_core::error::Error;
use orchestrator_core::token::{Finish, TextDelta, TokenEvent, ToolCallDelta};

/// An answer that has come to its end.
#[derive(Debug)]
pub(crate) struct Whole<T> {
    pub(crate) text: String,
    pub(crate) reasoning: String,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: Finish,
    /// What `look` has kept of the text's pieces.
    pub(crate) seen: T,
}

/// A call of a tool that the model asks for.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    /// JSON text.
    pub(crate) arguments: String,
}

/// Reads an answer to its end; `look` sees each piece of its text.
///
/// # Errors
///
/// Tells how the request ended, where it was not answered in full.
pub(crate) async fn whole<T: Default>(
    answer: &mut Answer<Tokens>,
    mut look: impl FnMut(&TextDelta, &mut T),
) -> Result<Whole<T>, Error> {
    let mut parts = Parts::default();
    let mut seen = T::default();
    loop {
        // It ends with a terminal event or an error, which both end this loop.
        match answer.next().await.expect("an answer ends with an event")? {
            TokenEvent::Text(delta) => {
                look(&delta, &mut seen);
                parts.text.push_str(delta.text());
            }
            TokenEvent::Reasoning(delta) => parts.reasoning.push_str(delta.text()),
            TokenEvent::ToolCall(delta) => parts.call(*delta),
            TokenEvent::Reset => (parts, seen) = (Parts::default(), T::default()),
            TokenEvent::Finish(finish) => {
                let Parts { text, reasoning, calls } = parts;
                let calls = calls.into_iter().map(|(_, call)| call).collect();
                return Ok(Whole { text, reasoning, calls, finish, seen });
            }
        }
    }
}

#[derive(Default)]
struct Parts {
    text: String,
    reasoning: String,
    /// With the number by which the pieces of a call are told.
    calls: Vec<(u32, Call)>,
}

impl Parts {
    fn call(&mut self, delta: ToolCallDelta) {
        let place = self.calls.iter().position(|(index, _)| *index == delta.index).unwrap_or_else(|| {
            self.calls.push((delta.index, Call::default()));
            self.calls.len() - 1
        });
        let call = &mut self.calls[place].1;
        call.id.extend(delta.id);
        call.name.extend(delta.name);
        call.arguments.push_str(&delta.arguments);
    }
}
