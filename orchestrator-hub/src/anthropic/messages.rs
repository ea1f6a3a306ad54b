use axum::extract::State;
use axum::response::Response;
use orchestrator_core::request::PromptRequest;

use super::body::Body;
use super::message::{Block, Input, Message, Usage, stop};
use super::stream::Stream;
use crate::answer::{Call, Whole};
use crate::fault::Fault;
use crate::gateway::{Asked, Site, Terms, TextRoute, object, text};
use crate::ids;
use crate::openapi::{Event, MessageRefusals};

/// `POST /v1/messages`.
#[utoipa::path(
    post,
    path = "/v1/messages",
    tag = "Anthropic",
    summary = "Answers a conversation.",
    request_body = Body,
    responses(
        (status = 200, description = "The answer.", content((Message = "application/json"), (Event = "text/event-stream"))),
        MessageRefusals,
    ),
)]
pub(crate) async fn messages(State(site): State<Site>, request: Asked) -> Result<Response, Fault> {
    text(Messages, &site, request).await
}

#[derive(Clone, Copy)]
struct Messages;

impl TextRoute for Messages {
    type Body = Body;
    type Wording = Stream;

    fn terms(self, body: &Body) -> Terms {
        Terms { model: body.model.clone(), user: body.user(), streams: body.streams() }
    }

    fn wording(self, body: &Body, model: String) -> Stream {
        Stream::new(ids::of_answer("msg_"), model, body.shows_thinking())
    }

    fn prompt(self, body: Body) -> Result<PromptRequest, Fault> {
        body.into_prompt()
    }
}

/// Puts a whole message.
pub(super) fn whole(id: &str, model: &str, answered: &Whole<()>) -> Response {
    let Whole { text, reasoning, calls, finish, .. } = answered;
    let model = finish.origin.as_ref().and_then(|origin| origin.model.as_deref()).unwrap_or(model);
    let mut message = Message::new(id, model);
    let thinking = Block::Thinking { thinking: reasoning, signature: "" };
    message.content.extend(Some(thinking).filter(|_| !reasoning.is_empty()));
    // An answer without a word has a block all the same: clients look at the first one.
    message.content.extend(Some(Block::Text { text }).filter(|_| !text.is_empty() || calls.is_empty()));
    message.content.extend(calls.iter().map(block));
    let (reason, sequence) = stop(finish);
    (message.stop_reason, message.stop_sequence) = (Some(reason), sequence);
    message.usage = Usage::of(finish.usage);
    object(message)
}

fn block(call: &Call) -> Block<'_> {
    Block::ToolUse { id: &call.id, name: &call.name, input: Input::from(call.arguments.as_str()) }
}
