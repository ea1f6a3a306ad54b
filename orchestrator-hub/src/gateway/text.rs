use axum::response::Response;
use orchestrator_core::request::PromptRequest;
use serde::de::DeserializeOwned;

use super::reply::events;
use crate::answer::{Events, Wording, begin, whole};
use crate::fault::Fault;
use crate::gateway::{Asked, Site};
use crate::json;

/// A route that generates text: how its requests are read, and how their answers are put.
pub(crate) trait TextRoute: Copy + Send {
    /// What a client sends.
    type Body: DeserializeOwned + Send;
    type Wording: Wording;

    /// Returns what every API has a word for.
    fn terms(self, body: &Self::Body) -> Terms;

    /// Returns how the answer is put; `model` is the name of what will give it.
    fn wording(self, body: &Self::Body, model: String) -> Self::Wording;

    /// Makes of it what a pipeline is submitted with; the options are not set.
    ///
    /// # Errors
    ///
    /// Names the field that is wrong.
    fn prompt(self, body: Self::Body) -> Result<PromptRequest, Fault>;
}

/// What a request for text says, whatever its API.
pub(crate) struct Terms {
    pub(crate) model: String,
    /// Its session, where no header names one.
    pub(crate) user: Option<String>,
    /// Whether the answer is sent piece by piece.
    pub(crate) streams: bool,
}

/// Answers a request for text.
///
/// # Errors
///
/// Where its body is not read, is wrong, or is not let in; where the answer breaks off before a byte of it was sent.
pub(crate) async fn text<R: TextRoute>(route: R, site: &Site, request: Asked) -> Result<Response, Fault> {
    let (mut caller, bytes) = request.read(site).await?;
    let body: R::Body = json::read(&bytes)?;
    let terms = route.terms(&body);
    let model = site.chat_model(&terms.model)?;
    caller.takes_whole = !terms.streams;
    let wording = route.wording(&body, model.shown());
    let mut answer = model.submit(route.prompt(body)?, &caller, terms.user.as_deref()).await?;
    if terms.streams {
        let first = begin(&mut answer).await?;
        return Ok(events(Events::new(answer, first, wording)));
    }
    let answered = whole(&mut answer, |delta, seen| wording.look(delta, seen)).await?;
    Ok(wording.whole(answered))
}
