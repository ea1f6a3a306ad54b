//! Condensing the older turns of a session behind its requests.

use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use orchestrator_core::answer::{Answer, StreamStage, Tokens};
use orchestrator_core::pipeline::Pipeline;
use orchestrator_core::request::{Message, Priority, PromptRequest, Role};
use orchestrator_core::stage::{ShedPolicy, StageConfig};
use orchestrator_core::token::{FinishReason, TokenEvent};
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
        let prompt = prompt(&key, &oldest.turns, most_bytes);
        let mut condensing = Condensing { memory: Arc::downgrade(memory), key, last: oldest.last, summary: None };
        let mut tasks = self.tasks.lock().unwrap_or_else(PoisonError::into_inner);
        while tasks.try_join_next().is_some() {}
        tasks.spawn(async move {
            if let Ok(answer) = pipeline.try_submit(prompt) {
                condensing.summary = read(answer, most_bytes).await.map(turn);
            }
            drop(condensing);
        });
    }
}

/// A summary on its way; whatever ends it, its session hears of it.
struct Condensing {
    memory: Weak<Inner>,
    key: SessionKey,
    last: u64,
    summary: Option<Turn>,
}

impl Drop for Condensing {
    fn drop(&mut self) {
        if let Some(memory) = self.memory.upgrade() {
            memory.state().condensed(&self.key, self.last, self.summary.take());
        }
    }
}

/// Reads an answer up to a length; `None` where it fails, is not whole or says nothing.
async fn read(mut answer: Answer<Tokens>, most_bytes: usize) -> Option<String> {
    let mut text = String::new();
    while let Some(event) = answer.next().await {
        match event.ok()? {
            TokenEvent::Text(delta) => text.push_str(delta.text()),
            TokenEvent::Reset => text.clear(),
            TokenEvent::Finish(finish) => match finish.reason {
                FinishReason::Stop | FinishReason::Length => break,
                // Withheld by the server, or a call of a tool that nobody makes.
                _ => return None,
            },
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

fn prompt(key: &SessionKey, turns: &[Turn], most_bytes: usize) -> PromptRequest {
    let mut conversation = String::from(INSTRUCTIONS);
    for message in turns.iter().flat_map(Turn::messages) {
        let speaker = match message.role() {
            Role::Assistant => "Assistant",
            _ => "User",
        };
        conversation.push_str(&format!("\n\n{speaker}: {}", message.text()));
    }
    let tokens = u32::try_from(most_bytes / 4).unwrap_or(u32::MAX).max(16);
    let prompt = PromptRequest::new(conversation).session(key.session());
    let prompt = match key.tenant() {
        Some(tenant) => prompt.tenant(tenant),
        None => prompt,
    };
    prompt.max_tokens(NonZeroU32::new(tokens).expect("at least 16")).priority(Priority::Low).within(TIME_LIMIT)
}
