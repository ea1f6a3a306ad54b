//! What is asked, and what must be answered.

use std::error::Error;
use std::num::NonZeroU32;

use prompt_orchestrator::context::Context;
use prompt_orchestrator::prelude::*;

const TURNS: usize = 4;

/// How many tokens an answer may have.
const TOKENS: NonZeroU32 = NonZeroU32::new(48).expect("not zero");

const QUESTIONS: [&str; 8] = [
    "What does the quick brown fox do all day?",
    "How far does a slow train come in an hour?",
    "Who keeps the keys of the old lighthouse?",
    "Why is the sea salt and the rain sweet?",
    "Which of the two clocks in the hall is right?",
    "When do the storks come back to the valley?",
    "Where did the baker leave his second boat?",
    "What would you take along to the island?",
];

/// The turns of a session, each with what went before, and the answer of a server that nobody disturbs.
#[derive(Debug, Clone)]
pub(crate) struct Conversation {
    pub(crate) session: String,
    pub(crate) turns: Vec<Turn>,
}

#[derive(Debug, Clone)]
pub(crate) struct Turn {
    pub(crate) prompt: String,
    pub(crate) answer: String,
}

impl Conversation {
    /// Has the conversation of a number with a worker that does nothing else meanwhile.
    pub(crate) async fn rehearse(number: usize, worker: &impl ModelWorker) -> Result<Self, Box<dyn Error>> {
        let session = format!("session {}", number + 1);
        let mut turns = Vec::new();
        let mut text = format!("This is conversation {}.", number + 1);
        for turn in 0..TURNS {
            text += &format!("\n\nQuestion: {}\nAnswer:", QUESTIONS[(number + 3 * turn) % QUESTIONS.len()]);
            let answer = whole(worker, &text, &session).await?;
            turns.push(Turn { prompt: text.clone(), answer: answer.clone() });
            text += &answer;
        }
        Ok(Self { session, turns })
    }
}

/// A prompt whose answer is not left to chance.
pub(crate) fn prompt(text: &str, session: &str) -> PromptRequest {
    PromptRequest::raw(text).temperature(0.0).max_tokens(TOKENS).session(session)
}

async fn whole(worker: &impl ModelWorker, text: &str, session: &str) -> Result<String, Box<dyn Error>> {
    let context = Context::standalone(RequestOptions::new().session(session));
    let mut stream = worker.infer(InferenceRequest::new(prompt(text, session), context)).await?;
    let mut answer = String::new();
    while let Some(event) = stream.next().await {
        answer += event?.text();
    }
    Ok(answer)
}
