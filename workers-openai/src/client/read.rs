//! Bodies that come as a whole.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};

use super::response::Body;

/// How much of a refusal is read. It is a sentence or two, or the page of a proxy.
const REFUSAL: usize = 64 * 1024;

/// How long the rest of a refusal is waited for; what has come by then will do.
const REFUSAL_TIME: Duration = Duration::from_secs(2);

/// How much of an answer is read that comes as a whole: more than the vectors of any sensible batch.
const ANSWER: usize = 64 * 1024 * 1024;

/// Reads an answer that comes as a whole.
pub(super) async fn answer(mut response: Body) -> Result<Bytes, WorkerError> {
    let mut body = BytesMut::new();
    while let Some(chunk) = response.data().await.transpose()? {
        if body.len() + chunk.len() > ANSWER {
            return Err(WorkerError::new(Kind::Protocol, format!("the answer is longer than {ANSWER} bytes")));
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// Reads a refusal, as far as it comes in time and within its limit; tells whether that is all of it.
pub(super) async fn refusal(mut response: Body) -> (BytesMut, bool) {
    let mut body = BytesMut::new();
    let read = async {
        loop {
            let Some(chunk) = response.data().await else { return true };
            let Ok(chunk) = chunk else { return false };
            let room = REFUSAL - body.len();
            body.extend_from_slice(&chunk[..room.min(chunk.len())]);
            if body.len() == REFUSAL {
                return false;
            }
        }
    };
    // Whether the time is over does not matter: there is a status.
    let is_whole = tokio::time::timeout(REFUSAL_TIME, read).await.unwrap_or(false);
    (body, is_whole)
}
