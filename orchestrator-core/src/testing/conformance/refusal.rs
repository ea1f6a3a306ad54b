use std::time::{Duration, SystemTime};

use crate::error::{WorkerError, WorkerErrorKind};
use crate::testing::conformance::Verdict;
use crate::testing::conformance::bench::Bench;
use crate::testing::conformance::http_date::http_date;
use crate::testing::conformance::report::Judged;
use crate::testing::server::Reply;
use crate::worker::Timeouts;

/// A whole reply with which a server refuses a request, and the kind of error that it is.
#[derive(Debug, Clone)]
#[must_use]
pub struct Refusal {
    pub(super) name: &'static str,
    status: u16,
    body: String,
    kind: WorkerErrorKind,
    retry_after: Option<RetryAfter>,
}

/// How a server says when to come back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RetryAfter {
    /// In so many seconds.
    Seconds(u64),
    /// At the time, as HTTP writes it, that lies so many seconds ahead.
    DateIn(u64),
}

impl Refusal {
    /// Names a refusal: `kind` is what a worker must make of the status and the JSON body. The sizes of a
    /// [`ContextLength`](WorkerErrorKind::ContextLength) are expected where they are given.
    pub fn new(name: &'static str, status: u16, body: impl Into<String>, kind: WorkerErrorKind) -> Self {
        Self { name, status, body: body.into(), kind, retry_after: None }
    }

    /// Adds a `retry-after` header.
    pub const fn retry_after(mut self, pause: RetryAfter) -> Self {
        self.retry_after = Some(pause);
        self
    }

    fn reply(&self) -> Reply {
        let pause = self.retry_after.map(|pause| match pause {
            RetryAfter::Seconds(seconds) => seconds.to_string(),
            RetryAfter::DateIn(seconds) => http_date(SystemTime::now() + Duration::from_secs(seconds)),
        });
        let mut headers = vec![("content-type", "application/json")];
        headers.extend(pause.as_ref().map(|pause| ("retry-after", pause.as_str())));
        Reply::full(self.status, &headers, &self.body)
    }

    fn judge(&self, error: &WorkerError) -> Judged {
        if error.status() != Some(self.status) {
            return Err(Verdict::failed(format!("the status is {:?}, not {}", error.status(), self.status)));
        }
        if error.body() != Some(&self.body) {
            return Err(Verdict::failed(format!("the body is {:?}, not {:?}", error.body(), self.body)));
        }
        let pause = error.retry_after();
        let right = match self.retry_after {
            None => pause.is_none(),
            Some(RetryAfter::Seconds(seconds)) => pause == Some(Duration::from_secs(seconds)),
            // The date has whole seconds, and some time passes.
            Some(RetryAfter::DateIn(seconds)) => {
                let most = Duration::from_secs(seconds);
                pause.is_some_and(|pause| pause <= most && pause + Duration::from_secs(5) >= most)
            }
        };
        if right { Ok(()) } else { Err(Verdict::failed(format!("the pause is {pause:?}, not {:?}", self.retry_after))) }
    }
}

/// Each refusal of the dialect has its kind, status, body and pause.
pub(super) async fn run(bench: &Bench) {
    for refusal in bench.dialect.refusals.clone() {
        let name = format!("a refusal keeps kind, status and body: {}", refusal.name);
        let (answered, expected) = (refusal.clone(), refusal);
        let judged = bench.rig(
            Timeouts::default(),
            move || answered.reply(),
            async |rig| {
                let reading = rig.ask().await?;
                expected.judge(reading.is_failure(&[expected.kind])?)
            },
        );
        bench.judge(name, judged).await;
    }
}
