//! Bodies that come as a whole.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use orchestrator_core::error::{WorkerError, WorkerErrorKind as Kind};
use reqwest::Response;

/// How much of a refusal is read. It is a sentence or two, or the page of a proxy.
const REFUSAL: usize = 64 * 1024;

/// How long the rest of a refusal is waited for; what has come by then will do.
const REFUSAL_TIME: Duration = Duration::from_secs(2);

/// How much of an answer is read that comes as a whole: more than the vectors of any sensible batch.
const ANSWER: usize = 64 * 1024 * 1024;

/// Reads an answer that comes as a whole.
pub(super) async fn answer(mut response: Response) -> Result<Result<Bytes, reqwest::Error>, WorkerError> {
    let mut body = BytesMut::new();
    loop {
        match response.chunk().await {
            Ok(Some(chunk)) if body.len() + chunk.len() > ANSWER => {
                return Err(WorkerError::new(Kind::Protocol, format!("the answer is longer than {ANSWER} bytes")));
            }
            Ok(Some(chunk)) => body.extend_from_slice(&chunk),
            Ok(None) => return Ok(Ok(body.freeze())),
            Err(error) => return Ok(Err(error)),
        }
    }
}

/// Reads a refusal, as far as it comes in time and within its limit; tells whether that is all of it.
pub(super) async fn refusal(mut response: Response) -> (BytesMut, bool) {
    let mut body = BytesMut::new();
    let read = async {
        loop {
            let Ok(chunk) = response.chunk().await else { return false };
            let Some(chunk) = chunk else { return true };
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
