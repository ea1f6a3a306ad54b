//! Callers, each with a conversation of its own.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::token::Finish;
use tokio::task::JoinSet;

use super::conversation::{Conversation, Turn, prompt};
use super::tally::Tally;

pub(crate) type Front = Pipeline<PromptRequest, Tokens>;

/// Has each conversation again and again, all at the same time, until it is told to stop; the last answers come to their end.
pub(crate) fn start(
    pipeline: &Front,
    conversations: Vec<Conversation>,
    tally: &Arc<Tally>,
    stop: &Arc<AtomicBool>,
) -> JoinSet<()> {
    let mut callers = JoinSet::new();
    for conversation in conversations {
        let (pipeline, tally, stop) = (pipeline.clone(), tally.clone(), stop.clone());
        callers.spawn(async move {
            for turn in conversation.turns.iter().cycle() {
                if stop.load(Ordering::Relaxed) {
                    return;
                }
                ask(&pipeline, &conversation.session, turn, &tally).await;
            }
        });
    }
    callers
}

/// Asks once, and compares.
async fn ask(pipeline: &Front, session: &str, turn: &Turn, tally: &Tally) {
    tally.lock().requests += 1;
    match answer(pipeline, prompt(&turn.prompt, session)).await {
        Ok((text, Finish { usage, origin: Some(origin), .. })) if text == turn.answer => {
            tally.answered(session, &origin, usage.completion_tokens);
        }
        Ok((text, finish)) => {
            let failed = finish.origin.map_or(0, |origin| origin.failed.len());
            tally.event(format!("{session}: {text:?} instead of {:?}, behind {failed} failed attempts", turn.answer));
            tally.lock().differed += 1;
        }
        Err(error) => {
            tally.event(format!("{session}: {error}"));
            tally.lock().failed += 1;
        }
    }
}

async fn answer(pipeline: &Front, prompt: PromptRequest) -> Result<(String, Finish), BoxError> {
    let mut answer = pipeline.submit(prompt).await?;
    let mut text = String::new();
    while let Some(event) = answer.next().await {
        match event? {
            TokenEvent::Finish(finish) => return Ok((text, finish)),
            event => text += event.text(),
        }
    }
    Err("the stream ended without its terminal event".into())
}
