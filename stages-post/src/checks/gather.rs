//! Gathers an answer's text while it streams on, to validate it at the end.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll, ready};

use futures_util::Stream;
use orchestrator_core::context::Context;
use orchestrator_core::error::WorkerError;
use orchestrator_core::token::{Check, Finish, TokenEvent, TokenStream};

use crate::checks::schema::{CALLS, Schema, validate};

/// A token stream whose terminal event tells what the schemas say of its text.
pub(super) struct Gathered {
    /// `None` once it has ended.
    source: Option<TokenStream>,
    cx: Context,
    schemas: Arc<[Schema]>,
    limit: usize,
    text: String,
    /// Why the answer will not be validated.
    skip: Option<String>,
    /// The terminal event, while the answer is validated.
    ending: Option<(Finish, Validating)>,
}

type Validating = Pin<Box<dyn Future<Output = Vec<Check>> + Send>>;

impl Gathered {
    pub(super) fn new(source: TokenStream, cx: Context, schemas: Arc<[Schema]>, limit: usize) -> Self {
        Self { source: Some(source), cx, schemas, limit, text: String::new(), skip: None, ending: None }
    }

    /// Takes in what goes by.
    fn gather(&mut self, event: &TokenEvent) {
        match event {
            TokenEvent::Text(delta) if self.skip.is_none() => {
                if self.text.len() + delta.text().len() > self.limit {
                    self.skip = Some(format!("the answer is longer than the {} bytes that are gathered", self.limit));
                    self.text = String::new();
                } else {
                    self.text.push_str(delta.text());
                }
            }
            TokenEvent::ToolCall(_) => self.skip = Some(CALLS.to_owned()),
            TokenEvent::Reset => {
                self.text.clear();
                self.skip = None;
            }
            TokenEvent::Text(_) | TokenEvent::Reasoning(_) | TokenEvent::Finish(_) => {}
        }
    }

    fn validate(&mut self) -> Validating {
        let (cx, schemas) = (self.cx.clone(), self.schemas.clone());
        let (text, skip) = (std::mem::take(&mut self.text), self.skip.take());
        Box::pin(async move { validate(&cx, schemas, text, skip.as_deref()).await })
    }
}

impl Stream for Gathered {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        if let Some(source) = &mut this.source {
            match ready!(Pin::new(source).poll_next(cx)) {
                Some(Ok(TokenEvent::Finish(finish))) => {
                    // The model server's slot need not wait for us.
                    this.source = None;
                    this.ending = Some((finish, this.validate()));
                }
                Some(Ok(event)) => {
                    this.gather(&event);
                    return Poll::Ready(Some(Ok(event)));
                }
                last => {
                    this.source = None;
                    return Poll::Ready(last);
                }
            }
        }
        let Some((finish, validating)) = &mut this.ending else { return Poll::Ready(None) };
        let found = ready!(validating.as_mut().poll(cx));
        finish.checks.extend(found);
        let finish = finish.clone();
        this.ending = None;
        Poll::Ready(Some(Ok(TokenEvent::Finish(finish))))
    }
}
