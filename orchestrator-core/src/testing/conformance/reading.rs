use std::future::Future;
use std::time::Duration;

use crate::error::{WorkerError, WorkerErrorKind};
use crate::testing::conformance::Verdict;
use crate::testing::conformance::report::Judged;
use crate::token::{Finish, TokenEvent, TokenStream};

/// How long anything may take that should take milliseconds.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);

/// How long more events are waited for behind the end.
const BEHIND_THE_END: Duration = Duration::from_millis(50);

/// All that came of one call.
#[derive(Debug, Default)]
pub(super) struct Reading {
    pub(super) text: String,
    /// The first terminal event.
    pub(super) finish: Option<Finish>,
    /// What came behind it.
    pub(super) late: Vec<TokenEvent>,
    /// What the call or its stream failed with.
    pub(super) error: Option<WorkerError>,
}

/// Makes a call and reads its stream to the end, and a little further.
pub(super) async fn read(call: impl Future<Output = Result<TokenStream, WorkerError>>) -> Result<Reading, Verdict> {
    let read = async {
        match call.await {
            Ok(stream) => read_stream(stream).await,
            Err(error) => Reading { error: Some(error), ..Reading::default() },
        }
    };
    tokio::time::timeout(PATIENCE, read)
        .await
        .map_err(|_| Verdict::failed(format!("it had not ended after {PATIENCE:?}")))
}

async fn read_stream(mut stream: TokenStream) -> Reading {
    let mut reading = Reading::default();
    while let Some(event) = stream.next().await {
        match event {
            Ok(TokenEvent::Finish(finish)) => reading.finish = Some(finish),
            Ok(event) => reading.text.push_str(event.text()),
            Err(error) => reading.error = Some(error),
        }
    }
    if reading.finish.is_some() {
        stream.look_behind_its_end();
        if let Ok(Some(Ok(event))) = tokio::time::timeout(BEHIND_THE_END, stream.next()).await {
            reading.late.push(event);
        }
    }
    reading
}

impl Reading {
    /// The answer is `text`, and whole.
    pub(super) fn is_answer(&self, text: &str) -> Judged {
        self.is_whole()?;
        if self.text == text { Ok(()) } else { Err(Verdict::failed(format!("read {:?}, not {text:?}", self.text))) }
    }

    /// There is one terminal event, with nothing behind it.
    pub(super) fn is_whole(&self) -> Judged {
        match (&self.error, &self.finish) {
            (Some(error), _) => Err(Verdict::failed(format!("it failed: {error}"))),
            (None, None) => Err(Verdict::failed("the stream ended without a terminal event or an error")),
            (None, Some(_)) => Ok(()),
        }
    }

    /// It failed with one of `kinds`, and does not look whole.
    pub(super) fn is_failure(&self, kinds: &[WorkerErrorKind]) -> Result<&WorkerError, Verdict> {
        let Some(error) = &self.error else {
            let end = if self.finish.is_some() { "a whole answer" } else { "an end without an error" };
            return Err(Verdict::failed(format!("it gave {end}, not {kinds:?}")));
        };
        let expected = kinds.iter().any(|kind| is_like(error.kind(), *kind));
        if expected { Ok(error) } else { Err(Verdict::failed(format!("{:?} ({error}), not {kinds:?}", error.kind()))) }
    }
}

/// Whether a kind is as expected; sizes count only where they are expected.
fn is_like(kind: WorkerErrorKind, expected: WorkerErrorKind) -> bool {
    use WorkerErrorKind::ContextLength;
    match (kind, expected) {
        (ContextLength { prompt_tokens, limit }, ContextLength { prompt_tokens: tokens, limit: most }) => {
            (tokens.is_none() || tokens == prompt_tokens) && (most.is_none() || most == limit)
        }
        _ => kind == expected,
    }
}
