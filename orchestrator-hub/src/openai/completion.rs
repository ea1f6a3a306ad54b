use axum::extract::State;
use axum::response::Response;

use super::head::{Head, Route};
use super::logprobs::Logprobs;
use super::object::{Object, Others, TextChoice, reason};
use super::schema::{Text, TextRequest};
use crate::answer::Whole;
use crate::fault::Fault;
use crate::gateway::{Asked, Site, object, text};
use crate::openapi::{Event, Refusals};

/// `POST /v1/completions`.
#[utoipa::path(
    post,
    path = "/v1/completions",
    tag = "OpenAI",
    summary = "Goes on with a text.",
    request_body = TextRequest,
    responses(
        (status = 200, description = "The answer.", content((Text = "application/json"), (Event = "text/event-stream"))),
        Refusals,
    ),
)]
pub(crate) async fn completion(State(site): State<Site>, request: Asked) -> Result<Response, Fault> {
    text(Route::Completion, &site, request).await
}

/// Puts a whole completion.
pub(super) fn whole(head: &Head, answered: Whole<Logprobs>) -> Response {
    let Whole { text, finish, seen, .. } = answered;
    let choice = TextChoice {
        index: 0,
        text: &text,
        logprobs: seen.whole(&finish),
        others: Others::of_choice(&finish),
        finish_reason: Some(reason(&finish)),
    };
    object(Object::new(Route::Completion.chunk(), head, [choice]).whole(&finish))
}
