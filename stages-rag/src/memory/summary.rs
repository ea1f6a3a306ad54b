//! Condensing the older turns of a session behind its requests.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use orchestrator_core::answer::{Answer, StreamStage, Tokens};
use orchestrator_core::pipeline::Pipeline;
use orchestrator_core::request::{Message, Priority, PromptRequest, Role};
use orchestrator_core::stage::{ShedPolicy, StageConfig};
use orchestrator_core::token::TokenEvent;
use orchestrator_core::worker::{InferenceStage, ModelWorker};
use tokio::task::JoinSet;

use crate::memory::in_memory::Inner;
use crate::memory::state::Oldest;
use crate::memory::{SessionKey, Turn};

/// Summaries that are written at once, and that wait for it.
const AT_ONCE: usize = 2;
const WAITING: usize = 64;

/// How long one may take, waiting included.
const TIME_LIMIT: Duration = Duration::from_secs(120);

/// What the summary stands behind, as if somebody had asked for it.
const REQUEST: &str = "Summarise our conversation so far.";

const INSTRUCTIONS: &str = "Condense the conversation below for somebody who goes on with it. \
    Keep names, figures, decisions and open questions. Write in its language, in a few sentences, and nothing else.";

/// A small pipeline of its own, so that the worker's slots are taken as by any other request.
pub(super) struct Summaries {
    pipeline: Pipeline<PromptRequest, Tokens>,
    tasks: Mutex<JoinSet<()>>,
    most_bytes: usize,
}

impl Summaries {
    pub(super) fn new(worker: impl ModelWorker, most_bytes: usize) -> Self {
        let placed = StageConfig::new().depth(WAITING).concurrency(AT_ONCE).shed(ShedPolicy::RejectNew);
        let pipeline = Pipeline::builder("session-summaries")
            .stage_with(InferenceStage::new(worker), placed)
            .stage(StreamStage::default())
            .build()
            .expect("every setting is in its range");
        Self { pipeline, tasks: Mutex::default(), most_bytes }
    }

    /// Condenses turns in a task that ends with the memory.
    pub(super) fn start(&self, memory: &Arc<Inner>, key: SessionKey, oldest: &Oldest) {
        let pipeline = self.pipeline.clone();
        let most_bytes = self.most_bytes;
        let prompt = prompt(&oldest.turns, most_bytes);
        let memory = Arc::downgrade(memory);
        let last = oldest.last;
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            let summary = match pipeline.try_submit(prompt) {
                Ok(answer) => read(answer, most_bytes).await,
                Err(_) => None,
            };
            if let Some(memory) = memory.upgrade() {
                memory.state().condensed(&key, last, summary.map(turn));
            }
        });
    }
}

/// Reads an answer up to a length; `None` where it fails or says nothing.
async fn read(mut answer: Answer<Tokens>, most_bytes: usize) -> Option<String> {
    let mut text = String::new();
    while let Some(event) = answer.next().await {
        match event.ok()? {
            TokenEvent::Text(delta) => text.push_str(delta.text()),
            TokenEvent::Reset => text.clear(),
            TokenEvent::Finish(_) => break,
            TokenEvent::Reasoning(_) | TokenEvent::ToolCall(_) => {}
        }
        if text.len() > most_bytes {
            let end = (0..=most_bytes).rfind(|end| text.is_char_boundary(*end)).unwrap_or_default();
            text.truncate(end);
            // A worker that does not keep to the token limit is stopped.
            break;
        }
    }
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

fn turn(summary: String) -> Turn {
    Turn::new([Message::user(REQUEST), Message::assistant(summary)])
}

fn prompt(turns: &[Turn], most_bytes: usize) -> PromptRequest {
    let mut conversation = String::from(INSTRUCTIONS);
    for message in turns.iter().flat_map(Turn::messages) {
        let speaker = match message.role() {
            Role::Assistant => "Assistant",
            _ => "User",
        };
        conversation.push_str(&format!("\n\n{speaker}: {}", message.text()));
    }
    let tokens = u32::try_from(most_bytes / 4).unwrap_or(u32::MAX).max(16);
    PromptRequest::new(conversation)
        .max_tokens(NonZeroU32::new(tokens).expect("at least 16"))
        .priority(Priority::Low)
        .within(TIME_LIMIT)
}
