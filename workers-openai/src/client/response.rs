//! What comes back, whatever it came over.

use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::Bytes;
use http::Response;
use http_body::Body as _;
use orchestrator_core::error::WorkerError;

use super::line::LineBody;
use super::transport::{self, Begun};

/// The body of a response.
pub(super) enum Body {
    Line(LineBody),
    Client(reqwest::Body),
}

impl Body {
    /// Waits for the next piece; `None` at the end.
    pub(super) fn poll_data(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Bytes, WorkerError>>> {
        match self {
            Self::Line(body) => body.poll_data(cx).map_err(transport::cut),
            Self::Client(body) => loop {
                let frame = match ready!(Pin::new(&mut *body).poll_frame(cx)) {
                    Some(Ok(frame)) => frame,
                    Some(Err(error)) => return Poll::Ready(Some(Err(transport::failed(error, Begun::Yes, None)))),
                    None => return Poll::Ready(None),
                };
                // What is no data are trailers, which say nothing that we need.
                if let Ok(data) = frame.into_data() {
                    return Poll::Ready(Some(Ok(data)));
                }
            },
        }
    }

    /// As [`poll_data`](Self::poll_data).
    pub(super) async fn data(&mut self) -> Option<Result<Bytes, WorkerError>> {
        std::future::poll_fn(|cx| self.poll_data(cx)).await
    }
}

/// Of an HTTP client.
pub(super) fn of_client(response: reqwest::Response) -> Response<Body> {
    Response::from(response).map(Body::Client)
}
