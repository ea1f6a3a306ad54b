use std::fmt;

use async_trait::async_trait;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::token::TokenCounter;
use workers_openai::client::Client;
use workers_openai::wire::ChatMessage;

use crate::wire::{
    Field, Prompt, PromptPart, TemplateRequest, TemplateResponse, Token, TokenizeRequest, TokenizeResponse,
};

/// Stands between two texts in one request. The server takes ids among texts and gives them back as they are, and this one no
/// token has.
const BETWEEN: i64 = -1;

/// Bytes of text that go to the server at once.
const BATCH: usize = 1 << 20;

/// Texts with which it is measured what the template adds, chosen to meet its marks in different ways.
const SAMPLES: [&str; 3] = ["a question", "1", "\n- x\n"];

/// Counts tokens by the tokenizer of a llama.cpp server. Cheap to clone; see
/// [`LlamaCpp::token_counter`](crate::LlamaCpp::token_counter).
///
/// Texts are counted as they stand in a prompt: names of special tokens in them are those tokens, and no mark of the beginning
/// is added. All texts of a call go in one request, or one for each MiB; no slot is taken.
///
/// What the chat template adds was measured on conversations of up to five messages, and
/// [`per_message`](TokenCounter::per_message) is the most that it came to, for any of the roles: a prompt is counted a few
/// tokens too long rather than one too short. What a template writes for tools is not in it.
#[derive(Clone)]
pub struct LlamaTokens {
    client: Client,
    per_message: usize,
}

impl LlamaTokens {
    /// Measures what the template adds.
    pub(crate) async fn measure(client: Client) -> Result<Self, WorkerError> {
        let mut counter = Self { client, per_message: 0 };
        for sample in SAMPLES {
            let text = counter.count(&[sample]).await?.first().copied().unwrap_or_default();
            for messages in conversations(sample) {
                let all = messages.len();
                // A template may refuse what it has no place for, such as a system message.
                let Some(prompt) = counter.templated(messages).await? else { continue };
                let added = counter.tokens(Prompt::Text(prompt), true).await?.len().saturating_sub(text * all);
                counter.per_message = counter.per_message.max(added.div_ceil(all + 1));
            }
        }
        Ok(counter)
    }

    async fn templated(&self, messages: Vec<ChatMessage>) -> Result<Option<String>, WorkerError> {
        let request = TemplateRequest { messages: messages.into(), ..TemplateRequest::default() };
        match self.client.post_json::<TemplateResponse>("/apply-template", &request).await {
            Ok(answer) => Ok(answer.prompt.into_option()),
            // It says so with a 400 or a 500, by version.
            Err(error) if error.status().is_some_and(|status| matches!(status, 400 | 500)) => Ok(None),
            Err(error) => Err(error),
        }
    }

    async fn tokens(&self, content: Prompt, add_special: bool) -> Result<Vec<i64>, WorkerError> {
        let request = TokenizeRequest {
            content: content.into(),
            add_special: Field::Value(add_special),
            parse_special: Field::Value(true),
            ..TokenizeRequest::default()
        };
        let answer: TokenizeResponse = self.client.post_json("/tokenize", &request).await?;
        let tokens = answer.tokens.into_option().unwrap_or_default();
        Ok(tokens
            .into_iter()
            .map(|token| match token {
                Token::Id(id) | Token::Piece { id, .. } => id,
            })
            .collect())
    }

    async fn count_batch(&self, texts: &[&str]) -> Result<Vec<usize>, WorkerError> {
        let mut parts = Vec::with_capacity(2 * texts.len());
        for text in texts {
            parts.extend([PromptPart::Text((*text).to_owned()), PromptPart::Token(BETWEEN)]);
        }
        let tokens = self.tokens(Prompt::Parts(parts), false).await?;
        let counts: Vec<usize> = tokens.split(|id| *id == BETWEEN).map(<[i64]>::len).collect();
        // Behind the last mark there is nothing.
        match counts.split_last() {
            Some((0, counts)) if counts.len() == texts.len() => Ok(counts.to_vec()),
            _ => Err(WorkerError::new(WorkerErrorKind::Protocol, "the server did not count each text by itself")),
        }
    }
}

#[async_trait]
impl TokenCounter for LlamaTokens {
    async fn count(&self, texts: &[&str]) -> Result<Vec<usize>, WorkerError> {
        let mut counts = Vec::with_capacity(texts.len());
        for batch in batches(texts) {
            counts.extend(self.count_batch(batch).await?);
        }
        Ok(counts)
    }

    fn per_message(&self) -> usize {
        self.per_message
    }

    fn is_exact(&self) -> bool {
        true
    }
}

/// Cuts texts into rows of about as many bytes as may be sent at once; a text that is longer goes alone.
fn batches<'a, 'b>(mut texts: &'a [&'b str]) -> impl Iterator<Item = &'a [&'b str]> {
    std::iter::from_fn(move || {
        let mut bytes = 0;
        let fits = texts.iter().take_while(|text| {
            bytes += text.len();
            bytes <= BATCH
        });
        let fits = fits.count().max(1);
        let (batch, rest) = texts.split_at_checked(fits)?;
        texts = rest;
        Some(batch)
    })
}

/// One to five messages of the same text, with a system message and without.
fn conversations(text: &str) -> Vec<Vec<ChatMessage>> {
    let turns = |count| {
        (0..count).map(|turn| if turn % 2 == 0 { ChatMessage::user(text) } else { ChatMessage::assistant(text) })
    };
    let bare = [1, 3].map(|count| turns(count).collect());
    let with_system = [1, 3].map(|count| std::iter::once(ChatMessage::system(text)).chain(turns(count)).collect());
    bare.into_iter().chain(with_system).collect()
}

impl fmt::Debug for LlamaTokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LlamaTokens").field("per_message", &self.per_message).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_sent_together_up_to_a_limit() {
        let long = "x".repeat(BATCH + 1);
        let half = "y".repeat(BATCH / 2);
        let texts = ["a", &long, &half, &half, "b", ""];
        let lengths: Vec<usize> = batches(&texts).map(<[&str]>::len).collect();
        assert_eq!(lengths, [1, 1, 2, 2]);
        assert_eq!(batches(&[]).count(), 0);
    }
}
