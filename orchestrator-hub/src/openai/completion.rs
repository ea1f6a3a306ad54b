use axum::extract::State;
use axum::response::Response;

use super::body::Body;
use super::chunks::Chunks;
use super::head::{Head, Route};
use super::logprobs::Logprobs;
use super::object::{Object, Others, TextChoice, reason};
use crate::answer::{Events, Whole, begin, whole};
use crate::fault::Fault;
use crate::gateway::{Asked, Site, events, object};
use crate::json;

/// `POST /v1/completions`.
pub(crate) async fn completion(State(site): State<Site>, request: Asked) -> Result<Response, Fault> {
    let (mut caller, body) = request.read(&site).await?;
    let body: Body = json::read(&body)?;
    let asked = body.model.clone();
    let model = site.chat_model(&asked)?;
    let streams = body.streams();
    caller.takes_whole = !streams;
    let include_usage = body.includes_usage();
    let wants_logprobs = Logprobs::are_asked_for(&body.vendor);
    let user = body.user.clone();
    let mut answer = model.submit(body.into_completion()?, &caller, user.as_deref()).await?;
    let head = Head::new(Route::Completion, model.shown());
    if streams {
        let first = begin(&mut answer).await?;
        return Ok(events(Events::new(answer, first, Chunks::new(Route::Completion, head, include_usage))));
    }
    let look = |delta: &_, seen: &mut Logprobs| {
        if wants_logprobs {
            seen.look(delta);
        }
    };
    Ok(completed(&head, whole(&mut answer, look).await?))
}

fn completed(head: &Head, answered: Whole<Logprobs>) -> Response {
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
