//! What is asked, and what must be answered.

use std::error::Error;
use std::num::NonZeroU32;

use prompt_orchestrator::context::Context;
use prompt_orchestrator::prelude::*;
use serde_json::json;

const TURNS: usize = 3;

/// How many questions are tried for these.
const TRIES: usize = 100;

/// How many tokens an answer may have.
const TOKENS: NonZeroU32 = NonZeroU32::new(40).expect("not zero");

const QUESTIONS: [&str; 8] = [
    "Who has the keys?",
    "Which clock is right?",
    "Why is the sea salt?",
    "Where is the boat?",
    "When do storks come?",
    "How far is it?",
    "What is for dinner?",
    "Whose hat is this?",
];

/// Characters of which the tokenizers of most models make tokens for single bytes, each first and each later byte of a
/// character at least once. A server holds such tokens back until the character is whole, and does not tell their ids.
fn beyond_ascii() -> String {
    let later = (0x80..0xc0).filter_map(char::from_u32);
    let first = (3..0x20).map(|byte| byte << 6).chain((0..0x10).map(|byte| byte << 12 | 0x800));
    later.chain(first.chain((1..=0x10).map(|byte| byte << 16)).filter_map(char::from_u32)).collect()
}

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
    ///
    /// Another server goes on exactly where an answer broke off if it is told the ids of its tokens. So questions are left out
    /// whose answers have a token without.
    pub(crate) async fn rehearse(number: usize, worker: &impl ModelWorker) -> Result<Self, Box<dyn Error>> {
        let session = format!("session {}", number + 1);
        let mut text = format!("Conversation {}", number + 1);
        let (mut turns, mut questions) = (Vec::new(), QUESTIONS.iter().cycle().skip(number).take(TRIES));
        while turns.len() < TURNS {
            let question = questions.next().ok_or("the model hardly says anything but rare characters")?;
            let prompt = format!("{text}\nQ: {question}\nA:");
            if let Some(answer) = whole(worker, &prompt, &session).await? {
                text = prompt.clone() + &answer;
                turns.push(Turn { prompt, answer });
            }
        }
        Ok(Self { session, turns })
    }
}

/// A prompt whose answer is not left to chance.
pub(crate) fn prompt(text: &str, session: &str) -> PromptRequest {
    let prompt = PromptRequest::raw(text).temperature(0.0).max_tokens(TOKENS).session(session);
    prompt.vendor("logit_bias", json!([[beyond_ascii(), false]]))
}

/// Returns the answer, unless there is a piece of it without ids.
async fn whole(worker: &impl ModelWorker, text: &str, session: &str) -> Result<Option<String>, Box<dyn Error>> {
    let context = Context::standalone(RequestOptions::new().session(session));
    let mut stream = worker.infer(InferenceRequest::new(prompt(text, session), context)).await?;
    let (mut answer, mut known) = (String::new(), true);
    while let Some(event) = stream.next().await {
        if let TokenEvent::Text(delta) = event? {
            answer += delta.text();
            known &= !delta.token_ids().is_empty();
        }
    }
    Ok(known.then_some(answer))
}
