use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::body::Body;
use super::chunks::{self, Chunks, Head, Route};

use crate::answer::{Events, Whole, begin, whole};
use crate::fault::Fault;
use crate::gateway::{Asked, Site, events, object};
use crate::json;

/// `POST /v1/completions`.
pub(crate) async fn completion(State(site): State<Site>, request: Asked) -> Result<Response, Fault> {
    let (caller, body) = request.read(&site).await?;
    let body: Body = json::read(&body)?;
    let asked = body.model.clone();
    let model = site.chat_model(&asked)?;
    let streams = body.streams();
    let include_usage = body.includes_usage();
    let user = body.user.clone();
    let mut answer = model.submit(body.into_completion()?, &caller, user.as_deref()).await?;
    let head = Head::new(Route::Completion, model.shown());
    if streams {
        let first = begin(&mut answer).await?;
        return Ok(events(Events::new(answer, first, Chunks::new(Route::Completion, head, include_usage))));
    }
    Ok(object(completed(head, whole(&mut answer, |_, &mut ()| {}).await?)))
}

fn completed(head: Head, answered: Whole<()>) -> Value {
    let finish = &answered.finish;
    let (of_choice, of_answer) = chunks::vendor(finish);
    let mut choice = Map::from_iter([
        ("index".to_owned(), Value::from(0)),
        ("text".to_owned(), answered.text.into()),
        ("logprobs".to_owned(), Value::Null),
    ]);
    choice.extend(of_choice);
    choice.insert("finish_reason".to_owned(), chunks::reason(finish).into());
    let model = finish.origin.as_ref().and_then(|origin| origin.model.clone()).unwrap_or(head.model);
    let mut completion = json!({
        "id": head.id,
        "object": "text_completion",
        "created": head.created,
        "model": model,
        "choices": [choice],
        "usage": chunks::usage(finish),
    });
    if let Some(completion) = completion.as_object_mut() {
        completion.extend(of_answer);
    }
    completion
}
