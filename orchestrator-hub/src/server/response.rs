use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::streams;
use super::traffic::InFlight;

/// The body of a response. As long as it is there its request counts: as one of its connection, and as work that an ending
/// server waits for, if it was there before that was told to end.
#[derive(Debug)]
pub(super) struct CountedBody {
    body: Body,
    _of_connection: InFlight,
    _of_server: Option<TaskTrackerToken>,
}

impl CountedBody {
    pub(super) const fn new(body: Body, of_connection: InFlight, of_server: Option<TaskTrackerToken>) -> Self {
        Self { body, _of_connection: of_connection, _of_server: of_server }
    }
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        streams::is_unread(false);
        let frame = Pin::new(&mut self.body).poll_frame(cx);
        streams::is_unread(matches!(frame, Poll::Ready(Some(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
