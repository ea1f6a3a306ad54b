use axum::extract::State;
use axum::response::Response;

use super::head::{Head, Route};
use super::logprobs::Logprobs;
use super::object::{CallPiece, ChatChoice, Message, Object, Others, Said, reason};
use super::schema::{Chat, ChatRequest};
use crate::answer::Whole;
use crate::fault::Fault;
use crate::gateway::{Asked, Site, object, text};
use crate::openapi::{Event, Refusals};

/// `POST /v1/chat/completions`.
#[utoipa::path(
    post,
    path = "/v1/chat/completions",
    tag = "OpenAI",
    summary = "Answers a chat.",
    request_body = ChatRequest,
    responses(
        (status = 200, description = "The answer.", content((Chat = "application/json"), (Event = "text/event-stream"))),
        Refusals,
    ),
)]
pub(crate) async fn chat(State(site): State<Site>, request: Asked) -> Result<Response, Fault> {
    text(Route::Chat, &site, request).await
}

/// Puts a whole chat.
pub(super) fn whole(head: &Head, answered: Whole<Logprobs>) -> Response {
    let Whole { text, reasoning, calls, finish, seen } = answered;
    let message = Message {
        role: "assistant",
        content: (!text.is_empty() || calls.is_empty()).then_some(&*text),
        refusal: None,
        reasoning_content: (!reasoning.is_empty()).then_some(&*reasoning),
        tool_calls: calls.iter().map(CallPiece::from).collect(),
    };
    let choice = ChatChoice {
        index: 0,
        said: Said::Message(message),
        // `null` where there are none.
        logprobs: Some(seen.whole(&finish)),
        others: Others::of_choice(&finish),
        finish_reason: Some(reason(&finish)),
    };
    object(Object::new("chat.completion", head, [choice]).whole(&finish))
}
