use axum::extract::State;
use axum::response::Response;

use super::body::Body;
use super::chunks::Chunks;
use super::head::{Head, Route};
use super::logprobs::Logprobs;
use super::object::{CallPiece, ChatChoice, Message, Object, Others, Said, reason};
use crate::answer::{Events, Whole, begin, whole};
use crate::fault::Fault;
use crate::gateway::{Asked, Site, events, object};
use crate::json;

/// `POST /v1/chat/completions`.
pub(crate) async fn chat(State(site): State<Site>, request: Asked) -> Result<Response, Fault> {
    let (mut caller, body) = request.read(&site).await?;
    let body: Body = json::read(&body)?;
    let asked = body.model.clone();
    let model = site.chat_model(&asked)?;
    let streams = body.streams();
    caller.takes_whole = !streams;
    let include_usage = body.includes_usage();
    let wants_logprobs = Logprobs::are_asked_for(&body.vendor);
    let user = body.user.clone();
    let mut answer = model.submit(body.into_chat()?, &caller, user.as_deref()).await?;
    let head = Head::new(Route::Chat, model.shown());
    if streams {
        let first = begin(&mut answer).await?;
        return Ok(events(Events::new(answer, first, Chunks::new(Route::Chat, head, include_usage))));
    }
    let look = |delta: &_, seen: &mut Logprobs| {
        if wants_logprobs {
            seen.look(delta);
        }
    };
    Ok(completion(&head, whole(&mut answer, look).await?))
}

fn completion(head: &Head, answered: Whole<Logprobs>) -> Response {
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
