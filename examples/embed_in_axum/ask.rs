//! The pipeline in the service: its routes, and what its callers are told. Copy this file into yours.
//!
//! - **A client that leaves stops the work.** Hyper drops the handler, or the body that is being sent, and the
//!   [`Answer`] in it goes with that. Nothing here is spawned: a task that held the answer would go on for nobody.
//! - **Nobody waits for ever.** The door refuses when it is full, and whatever waits or runs behind it has a deadline.
//!   That also ends the work for a client whose line is dead and who therefore never leaves.
//! - **The status is that of the first event.** The response starts with the first token, so that whatever goes wrong
//!   before it has a status of its own. What goes wrong later is the stream's last event.

use std::convert::Infallible;
use std::time::Duration;

use axum::Router;
use axum::extract::{FromRef, Json, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::sse::{Event, KeepAlive, Sse};
use axum::response::{IntoResponse, Response};
use axum::routing::post;
use futures_util::stream::{self, StreamExt};
use prompt_orchestrator::answer::Tokens;
use prompt_orchestrator::error::RefuseReason;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::token::Finish;
use serde::Deserialize;
use serde_json::{Value, json};

/// What answers the questions.
pub(crate) type Assistant = Pipeline<PromptRequest, Tokens>;

/// How long a client may wait for the end of an answer.
const PATIENCE: Duration = Duration::from_secs(60);

/// Builds the pipeline.
///
/// Almost everybody who waits does so at the door, in a queue of `waiting`, which refuses when it is full. Behind it there
/// is room for a few only: requests that lie in inner queues could not be refused any more.
pub(crate) fn assistant(docs: Bm25Index, worker: impl ModelWorker, waiting: usize) -> Result<Assistant, BuildError> {
    let door = StageConfig::new().depth(waiting).shed(ShedPolicy::RejectNew).concurrency(8);
    Pipeline::builder("assistant")
        .stage_with(RagStage::new(docs).top_k(4), door)
        .stage_with(AssembleStage::default(), StageConfig::new().inline())
        // As many at once as the worker has slots.
        .stage_with(InferenceStage::new(worker), StageConfig::new().depth(8))
        .stage(PostStage::new().trim())
        .stage(StreamStage::default())
        .build()
}

/// The routes, for any service whose state holds an [`Assistant`].
pub(crate) fn routes<S>() -> Router<S>
where
    Assistant: FromRef<S>,
    S: Clone + Send + Sync + 'static,
{
    Router::new().route("/ask", post(ask)).route("/ask.json", post(ask_json))
}

/// The body of a request.
#[derive(Deserialize)]
struct Question {
    question: String,
    temperature: Option<f32>,
}

impl From<Question> for PromptRequest {
    fn from(asked: Question) -> Self {
        // A service with users sets tenant and session here, from what it knows of its caller and never from the body.
        let mut prompt = Self::new(asked.question).within(PATIENCE);
        if let Some(temperature) = asked.temperature {
            prompt = prompt.temperature(temperature);
        }
        prompt
    }
}

/// Streams the answer: `token` events, and then one `done` or one `error`.
async fn ask(State(assistant): State<Assistant>, Json(asked): Json<Question>) -> Result<Response, Failure> {
    // Does not wait: the door's policy is to refuse.
    let mut answer = assistant.submit(asked.into()).await?;
    let first = answer.next().await.transpose()?;
    let context = answer.context();
    let events = stream::iter(first.map(Ok)).chain(answer);
    let events = events.filter_map(move |event| std::future::ready(sse(event, &context)));
    // The comments that keep proxies from closing a silent stream also find out clients that are gone without a word.
    Ok(Sse::new(events.map(Ok::<_, Infallible>)).keep_alive(KeepAlive::default()).into_response())
}

/// Answers in one piece.
async fn ask_json(State(assistant): State<Assistant>, Json(asked): Json<Question>) -> Result<Json<Value>, Failure> {
    let mut answer = assistant.submit(asked.into()).await?;
    let text = answer.text().await?;
    let mut reply = answer.report().finish.map_or_else(|| json!({}), |finish| done(&finish, &answer.context()));
    reply["text"] = text.into();
    Ok(Json(reply))
}

/// One event of the answer as the client sees it; `None` for what this service does not show.
fn sse(event: Result<TokenEvent, Error>, context: &Context) -> Option<Event> {
    let (name, data) = match event {
        Ok(TokenEvent::Text(delta)) => ("token", json!({ "text": delta.text() })),
        Ok(TokenEvent::Reset) => ("reset", json!({})),
        Ok(TokenEvent::Finish(finish)) => ("done", done(&finish, context)),
        Ok(TokenEvent::Reasoning(_) | TokenEvent::ToolCall(_)) => return None,
        Err(error) => ("error", Failure(error).logged().body()),
    };
    Some(Event::default().event(name).data(data.to_string()))
}

/// How the answer ended, and what it was made from.
fn done(finish: &Finish, context: &Context) -> Value {
    let passages = context.get::<Passages>().map(|found| found.0.clone()).unwrap_or_default();
    json!({
        "finish_reason": finish.reason.as_str(),
        "usage": {
            "prompt_tokens": finish.usage.prompt_tokens,
            "cached_tokens": finish.usage.cached_tokens,
            "completion_tokens": finish.usage.completion_tokens,
        },
        "sources": passages.iter().map(|passage| passage.source.to_string()).collect::<Vec<_>>(),
    })
}

/// A request that was not answered, as a response.
struct Failure(Error);

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self(error)
    }
}

impl Failure {
    /// The status, and the word that programs branch on.
    fn classify(&self) -> (StatusCode, &'static str) {
        use ErrorKind as K;
        use StatusCode as S;
        use WorkerErrorKind as W;
        match self.0.kind() {
            // The client's part: something to change, or too much at once.
            K::Refused(RefuseReason::Invalid) => (S::BAD_REQUEST, "invalid"),
            K::Stage if self.0.field().is_some() => (S::BAD_REQUEST, "invalid"),
            K::Worker(W::InvalidRequest) => (S::BAD_REQUEST, "invalid"),
            K::Worker(W::ContextLength { .. }) => (S::BAD_REQUEST, "too_long"),
            K::Worker(W::ContentFilter) => (S::UNPROCESSABLE_ENTITY, "content_filter"),
            K::Refused(RefuseReason::QueueFull) => (S::TOO_MANY_REQUESTS, "queue_full"),
            K::Refused(RefuseReason::RateLimited) | K::Worker(W::RateLimited) => (S::TOO_MANY_REQUESTS, "rate_limited"),
            // Out of time, wherever it was.
            _ if self.0.is_timeout() => (S::GATEWAY_TIMEOUT, "timeout"),
            // Ours, and over soon.
            K::Refused(RefuseReason::Draining) => (S::SERVICE_UNAVAILABLE, "draining"),
            K::Refused(RefuseReason::Unavailable) => (S::SERVICE_UNAVAILABLE, "unavailable"),
            K::Shed(_) => (S::SERVICE_UNAVAILABLE, "shed"),
            K::Cancelled => (S::SERVICE_UNAVAILABLE, "cancelled"),
            K::Refused(RefuseReason::Overloaded) | K::Worker(W::Overloaded) => (S::SERVICE_UNAVAILABLE, "overloaded"),
            // Ours, and to be looked into.
            K::Worker(_) => (S::BAD_GATEWAY, "worker"),
            _ => (S::INTERNAL_SERVER_ERROR, "internal"),
        }
    }

    /// Tells whoever runs the service what clients are not told.
    fn logged(self) -> Self {
        if self.classify().0.is_server_error() {
            tracing::warn!(error = ?self.0, "not answered");
        }
        self
    }

    /// What the client reads: no more than that of what went wrong inside.
    fn body(&self) -> Value {
        let (_, kind) = self.classify();
        let mut body = json!({ "kind": kind });
        // The question is what the prompt's messages are made of.
        if let Some(field) = self.0.field() {
            body["field"] = if field == "messages" { "question" } else { field }.into();
        }
        body
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let failure = self.logged();
        let (status, _) = failure.classify();
        let mut response = (status, Json(failure.body())).into_response();
        if let Some(pause) = failure.0.retry_after() {
            // Whole seconds, and never too few.
            let seconds = pause.as_secs().saturating_add(u64::from(pause.subsec_nanos() > 0));
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
