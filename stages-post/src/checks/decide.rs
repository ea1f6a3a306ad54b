//! Checks that decide whether an answer is delivered at all.

use std::borrow::Cow;
use std::pin::Pin;
use std::sync::Arc;

use futures_util::stream;
use orchestrator_core::context::Context;
use orchestrator_core::error::BoxError;
use orchestrator_core::token::{Check, Finish, FinishReason, TokenEvent, TokenStream, ToolCallDelta, Usage, Verdict};

use crate::checks::Checks;

/// What a [`decide`](crate::PostStage::decide) decides about an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// The answer is delivered.
    Pass,
    /// Nothing of it is delivered; the reason is for the caller's eyes.
    Refuse(String),
    /// This text is delivered in its place.
    Replace(String),
}

pub(super) type Decide =
    dyn Fn(Context, String) -> Pin<Box<dyn Future<Output = Result<Decision, BoxError>> + Send>> + Send + Sync;

/// A caller's check.
#[derive(Clone)]
pub(super) struct Deciding {
    pub(super) name: Cow<'static, str>,
    pub(super) decide: Arc<Decide>,
}

/// The events of an answer that is not decided yet.
#[derive(Default)]
struct Held {
    events: Vec<TokenEvent>,
    bytes: usize,
}

impl Held {
    /// Keeps an event; returns whether that is within `limit`.
    fn keep(&mut self, event: TokenEvent, limit: usize) -> bool {
        self.bytes += weight(&event);
        self.events.push(event);
        self.bytes <= limit
    }

    fn text(&self) -> String {
        self.events.iter().map(TokenEvent::text).collect()
    }

    fn has_calls(&self) -> bool {
        self.events.iter().any(|event| matches!(event, TokenEvent::ToolCall(_)))
    }
}

/// What an event takes in memory.
fn weight(event: &TokenEvent) -> usize {
    let bytes = match event {
        TokenEvent::Text(delta) | TokenEvent::Reasoning(delta) => {
            delta.text().len() + size_of_val(delta.token_ids()) + delta.raw().map_or(0, |raw| raw.len())
        }
        TokenEvent::ToolCall(call) => {
            let named = |part: &Option<String>| part.as_ref().map_or(0, String::len);
            size_of::<ToolCallDelta>() + call.arguments.len() + named(&call.id) + named(&call.name)
        }
        TokenEvent::Reset | TokenEvent::Finish(_) => 0,
    };
    bytes + size_of::<TokenEvent>()
}

/// What is left of an answer behind the deciding checks.
struct Decided {
    events: Vec<TokenEvent>,
    text: String,
    /// The answer consists of tool calls, or of some beside its text.
    calls: bool,
    refused: bool,
    found: Vec<Check>,
}

impl Checks {
    /// Holds the answer, asks the checks, and hands on what they leave of it.
    ///
    /// It does so inside of the stage's run rather than in its stream: an error is then the stage's own, and a stream could not
    /// hand on anything before the end anyway.
    pub(super) async fn decide(&self, cx: &Context, mut stream: TokenStream) -> Result<TokenStream, BoxError> {
        let mut held = Held::default();
        let finish = loop {
            tokio::task::coop::consume_budget().await;
            match stream.next().await {
                Some(Ok(TokenEvent::Finish(finish))) => break finish,
                Some(Ok(TokenEvent::Reset)) => held = Held::default(),
                Some(Ok(event)) => {
                    if !held.keep(event, self.limit) {
                        return Ok(self.outgrown());
                    }
                }
                // Whoever reads the stream says whose error it is.
                Some(Err(error)) => return Ok(TokenStream::from_stream(stream::iter([Err(error)]))),
                None => return Ok(stream),
            }
        };
        // With it the model server's slot is free while the checks take their time.
        drop(stream);
        let decided = self.decided(cx, held).await?;
        Ok(handed_on(self.checked(cx, decided, finish).await))
    }

    async fn decided(&self, cx: &Context, held: Held) -> Result<Decided, BoxError> {
        let mut decided = Decided {
            text: held.text(),
            calls: held.has_calls(),
            events: held.events,
            refused: false,
            found: Vec::new(),
        };
        for Deciding { name, decide } in &self.deciding {
            let verdict = if decided.refused {
                Verdict::Skipped(REFUSED.to_owned())
            } else {
                match decide(cx.clone(), decided.text.clone()).await? {
                    Decision::Pass => Verdict::Passed,
                    Decision::Refuse(reason) => {
                        decided.refused = true;
                        decided.events.clear();
                        Verdict::Refused(reason)
                    }
                    Decision::Replace(text) => {
                        decided.events.clear();
                        decided.events.extend((!text.is_empty()).then(|| TokenEvent::text_delta(text.as_str())));
                        decided.calls = false;
                        decided.text = text;
                        Verdict::Replaced
                    }
                }
            };
            decided.found.push(Check::new(name.clone(), verdict));
        }
        Ok(decided)
    }

    /// Adds what the schemas say of what is left, and the terminal event.
    async fn checked(&self, cx: &Context, mut decided: Decided, mut finish: Finish) -> Vec<TokenEvent> {
        if decided.refused {
            finish.reason = FinishReason::ContentFilter;
        } else if finish.reason == FinishReason::ToolCalls && !decided.calls {
            // The calls were replaced by a text.
            finish.reason = FinishReason::Stop;
        }
        finish.checks.append(&mut decided.found);
        #[cfg(feature = "json-schema")]
        if !self.schemas.is_empty() {
            let skip = if decided.refused { Some(REFUSED) } else { decided.calls.then_some(super::schema::CALLS) };
            let found = super::schema::validate(cx, self.schemas.clone(), decided.text, skip).await;
            finish.checks.extend(found);
        }
        #[cfg(not(feature = "json-schema"))]
        let _ = (cx, decided.text);
        decided.events.push(TokenEvent::Finish(finish));
        decided.events
    }

    /// The end of an answer that is longer than what may be held.
    fn outgrown(&self) -> TokenStream {
        let mut finish = Finish::new(FinishReason::ContentFilter, Usage::default());
        let reason = format!("the answer is longer than the {} bytes that are held", self.limit);
        let verdicts = std::iter::once(Verdict::Refused(reason))
            .chain(std::iter::repeat_with(|| Verdict::Skipped(REFUSED.to_owned())));
        finish.checks.extend(self.deciding.iter().zip(verdicts).map(|(d, v)| Check::new(d.name.clone(), v)));
        #[cfg(feature = "json-schema")]
        finish.checks.extend(super::schema::skipped(&self.schemas, REFUSED));
        handed_on(vec![TokenEvent::Finish(finish)])
    }
}

const REFUSED: &str = "the answer was refused";

fn handed_on(events: Vec<TokenEvent>) -> TokenStream {
    TokenStream::from_stream(stream::iter(events.into_iter().map(Ok)))
}
