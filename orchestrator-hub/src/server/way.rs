use axum::body::Body;
use axum::response::Response;
use http::Request;
use hyper::body::Incoming;
use orchestrator_core::request::{Input, RequestOptions};
use orchestrator_core::shards::Shards;

use crate::gateway::{Gateway, session};
use crate::ids;

/// A request on its way to the core where it runs.
pub(super) struct Exchange(pub(super) Request<Body>);

impl Input for Exchange {}

/// Which gateway a listener's requests go to.
#[derive(Debug, Clone)]
pub(super) enum Way {
    /// That of the server which has taken the connection.
    Here,
    /// That of the session's home, for requests that name a session; its response is read from here.
    Home(Shards<Exchange, Response>),
}

impl Way {
    /// Answers a request; dropping the future cancels it wherever it runs.
    pub(super) async fn call(&self, here: &Gateway, request: Request<Incoming>) -> Response {
        let Self::Home(shards) = self else { return here.call(request).await };
        let Some(session) = session(request.headers()) else { return here.call(request).await };
        let options = RequestOptions::new().session(session);
        let (path, id) = (request.uri().path().to_owned(), ids::of_request(request.headers()));
        let answered = match shards.submit_with(Exchange(request.map(Body::new)), options).await {
            Ok(mut answer) => answer.output().await,
            Err(error) => Err(error),
        };
        answered.unwrap_or_else(|error| here.refuse(&path, id, error.into()))
    }
}
