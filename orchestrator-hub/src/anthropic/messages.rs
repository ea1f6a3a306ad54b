use axum::extract::State;
use axum::response::Response;

use super::body::Body;
use super::message::{Block, Input, Message, Usage, stop};
use super::stream::Stream;
use crate::answer::{Call, Events, Whole, begin, whole};
use crate::fault::Fault;
use crate::gateway::{Asked, Site, events, object};
use crate::json;

/// `POST /v1/messages`.
pub(crate) async fn messages(State(site): State<Site>, request: Asked) -> Result<Response, Fault> {
    let (mut caller, body) = request.read(&site).await?;
    let body: Body = json::read(&body)?;
    let asked = body.model.clone();
    let model = site.chat_model(&asked)?;
    let streams = body.streams();
    caller.takes_whole = !streams;
    let shows_thinking = body.shows_thinking();
    let user = body.user();
    let mut answer = model.submit(body.into_prompt()?, &caller, user.as_deref()).await?;
    let id = format!("msg_{:024x}", fastrand::u128(..) >> 32);
    if streams {
        let first = begin(&mut answer).await?;
        return Ok(events(Events::new(answer, first, Stream::new(id, model.shown(), shows_thinking))));
    }
    let mut answered = whole(&mut answer, |_, (): &mut ()| {}).await?;
    if !shows_thinking {
        answered.reasoning.clear();
    }
    Ok(message(&id, &model.shown(), &answered))
}

fn message(id: &str, model: &str, answered: &Whole<()>) -> Response {
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
