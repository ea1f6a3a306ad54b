use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::Body;
use bytes::Bytes;
use http_body::{Frame, SizeHint};
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::streams;
use super::traffic::InFlight;

/// The most that is given at once: a connection keeps the room in which it writes, which would else be as large as the largest
/// answer that it had.
const PIECE: usize = 16 * 1024;

/// The body of a response. As long as it is there its request counts: as one of its connection, and as work that an ending
/// server waits for, if it was there before that was told to end.
#[derive(Debug)]
pub(super) struct CountedBody {
    body: Body,
    /// What is left of data longer than a piece.
    rest: Bytes,
    _of_connection: InFlight,
    _of_server: Option<TaskTrackerToken>,
}

impl CountedBody {
    pub(super) const fn new(body: Body, of_connection: InFlight, of_server: Option<TaskTrackerToken>) -> Self {
        Self { body, rest: Bytes::new(), _of_connection: of_connection, _of_server: of_server }
    }
}

impl http_body::Body for CountedBody {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = &mut *self;
        streams::is_unread(false);
        let mut frame = match std::mem::take(&mut this.rest) {
            rest if rest.is_empty() => Pin::new(&mut this.body).poll_frame(cx),
            rest => Poll::Ready(Some(Ok(Frame::data(rest)))),
        };
        if let Poll::Ready(Some(Ok(frame))) = &mut frame
            && let Some(data) = frame.data_mut().filter(|data| data.len() > PIECE)
        {
            this.rest = data.split_off(PIECE);
        }
        streams::is_unread(matches!(frame, Poll::Ready(Some(_))));
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.rest.is_empty() && self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let (body, rest) = (self.body.size_hint(), self.rest.len() as u64);
        let mut hint = SizeHint::new();
        hint.set_lower(body.lower() + rest);
        if let Some(upper) = body.upper() {
            hint.set_upper(upper + rest);
        }
        hint
    }
}

#[cfg(test)]
mod tests {
    use http_body::Body as _;
    use http_body_util::BodyExt;

    use super::super::traffic::Traffic;
    use super::*;

    #[tokio::test]
    async fn a_large_answer_is_given_in_pieces_and_its_length_is_known_all_the_time() {
        let answer: Vec<u8> = (0..5 * PIECE / 2).map(|place| (place % 251) as u8).collect();
        let mut body = CountedBody::new(answer.clone().into(), Traffic::new().enter(), None);
        let mut came = Vec::new();
        for length in [PIECE, PIECE, PIECE / 2] {
            assert_eq!(body.size_hint().exact(), Some((answer.len() - came.len()) as u64));
            assert!(!body.is_end_stream());
            let piece = body.frame().await.expect("more").expect("no error").into_data().expect("data");
            assert_eq!(piece.len(), length);
            came.extend_from_slice(&piece);
        }
        assert!(body.is_end_stream() && body.frame().await.is_none());
        assert_eq!(came, answer);
    }
}
