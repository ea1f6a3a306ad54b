use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;

use crate::context::Context;
use crate::request::{PromptRequest, RequestOptions};
use crate::testing::conformance::reading::{PATIENCE, Reading, read};
use crate::testing::conformance::report::Judged;
use crate::testing::conformance::{ConformanceReport, Finding, Verdict, slots};
use crate::worker::{InferenceRequest, ModelWorker, Prefix, WorkerInfo};

/// Makes the requests that a worker is asked.
pub(super) type Ask = Arc<dyn Fn() -> InferenceRequest + Send + Sync>;

/// Holds any worker to the contract; see the [module](crate::testing::conformance).
pub fn check(worker: impl ModelWorker) -> Check {
    Check { worker: Arc::new(worker), ask: Arc::new(request), in_flight: None }
}

/// The checks of any worker, to be [run](Self::run).
#[must_use]
pub struct Check {
    worker: Arc<dyn ModelWorker>,
    ask: Ask,
    in_flight: Option<Box<dyn Fn() -> usize + Send + Sync>>,
}

impl Check {
    /// Asks these requests, for workers that answer not every one, or better where they have passages.
    pub fn asking(mut self, ask: impl Fn() -> InferenceRequest + Send + Sync + 'static) -> Self {
        self.ask = Arc::new(ask);
        self
    }

    /// Looks here for how many calls the worker, or what stands behind it, works on. Without it nobody can see whether a
    /// call that is dropped stops, and these checks are left out. It must count a stream that is open behind its first event.
    pub fn in_flight(mut self, probe: impl Fn() -> usize + Send + Sync + 'static) -> Self {
        self.in_flight = Some(Box::new(probe));
        self
    }

    /// Makes all checks, one after the other.
    pub async fn run(self) -> ConformanceReport {
        let reading = read(self.worker.infer((self.ask)())).await;
        let reading = reading.as_ref();
        let judged = [
            ("info() has a name", has_name(&self.worker.info())),
            ("an answer ends with one terminal event", on(reading, Reading::is_whole)),
            ("nothing comes behind the terminal event", on(reading, ends_at_its_end)),
            ("the usage is there", on(reading, has_usage)),
            ("dropping the stream stops the work", self.stops(true).await),
            ("dropping the call stops the work", self.stops(false).await),
            ("slots are honoured", slots::honoured(&self.worker, &self.ask).await),
            ("slots are one object", slots::are_one(&*self.worker)),
            ("a begun answer is gone on with", self.goes_on(reading).await),
        ];
        let finding = |(check, judged): (&str, Judged)| Finding { check: check.to_owned(), verdict: judged.into() };
        ConformanceReport::new(self.worker.info().name, judged.into_iter().map(finding).collect())
    }

    /// Drops a stream behind its first event, or a call behind its first poll; the probe must have seen the work before.
    async fn stops(&self, stream: bool) -> Judged {
        let Some(in_flight) = &self.in_flight else { return Err(Verdict::left_out("no probe says what is in flight")) };
        let before = in_flight();
        let working = if stream { self.streaming(in_flight).await? } else { self.calling(in_flight) };
        if working <= before {
            return Err(if stream {
                Verdict::failed("the probe saw no work while a stream was open")
            } else {
                Verdict::left_out("the probe saw no work before the stream")
            });
        }
        let idle = until(PATIENCE, || in_flight() <= before).await;
        if idle { Ok(()) } else { Err(Verdict::failed(format!("{} still in flight after {PATIENCE:?}", in_flight()))) }
    }

    /// How much is in flight with a stream behind its first event.
    async fn streaming(&self, in_flight: impl Fn() -> usize) -> Result<usize, Verdict> {
        let started = tokio::time::timeout(PATIENCE, self.worker.infer((self.ask)())).await;
        let mut stream = started.map_err(|_| too_long())?.map_err(|e| Verdict::failed(format!("it failed: {e}")))?;
        tokio::time::timeout(PATIENCE, stream.next()).await.map_err(|_| too_long())?;
        Ok(in_flight())
    }

    /// How much is in flight with a call behind its first poll, or the stream that it has come to already.
    fn calling(&self, in_flight: impl Fn() -> usize) -> usize {
        let mut call = self.worker.infer((self.ask)());
        let _stream = (&mut call).now_or_never();
        in_flight()
    }

    /// `whole` is what the worker answers where nothing has begun. One that answers otherwise each time may start anew unseen.
    async fn goes_on(&self, whole: Result<&Reading, &Verdict>) -> Judged {
        const BEGUN: &str = "The answer begins with";
        if !self.worker.info().continues {
            return Err(Verdict::left_out("it says that it cannot, and so is never asked to"));
        }
        let whole = whole.map_err(Clone::clone)?;
        let mut request = (self.ask)();
        request.prefix = Some(Prefix::new(BEGUN));
        let reading = read(self.worker.infer(request)).await?;
        reading.is_whole()?;
        match reading.text {
            text if text.starts_with(BEGUN) => Err(Verdict::failed("it says the beginning again")),
            text if text == whole.text => Err(Verdict::failed("it answers as if nothing had begun")),
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Check").field("worker", &self.worker.info()).finish_non_exhaustive()
    }
}

/// A question that any model answers.
pub(super) fn request() -> InferenceRequest {
    InferenceRequest::new(PromptRequest::new("Count to three."), Context::standalone(RequestOptions::new()))
}

/// Lets others run until `condition` holds, for `limit` at most.
pub(super) async fn until(limit: Duration, condition: impl Fn() -> bool) -> bool {
    let start = tokio::time::Instant::now();
    while !condition() {
        if start.elapsed() > limit {
            return false;
        }
        // A probe cannot wake anybody.
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    true
}

fn too_long() -> Verdict {
    Verdict::failed(format!("nothing came within {PATIENCE:?}"))
}

fn on(reading: Result<&Reading, &Verdict>, check: impl FnOnce(&Reading) -> Judged) -> Judged {
    check(reading.map_err(Clone::clone)?)
}

/// A worker that leaves `info()` as it is says nothing of itself, which is allowed.
pub(super) fn has_name(info: &WorkerInfo) -> Judged {
    match info.name.is_empty() {
        true if *info == WorkerInfo::default() => Err(Verdict::left_out("it says nothing of itself")),
        true => Err(Verdict::failed("the name is empty")),
        false => Ok(()),
    }
}

pub(super) fn ends_at_its_end(reading: &Reading) -> Judged {
    match reading.late.as_slice() {
        [] => reading.is_whole(),
        late => Err(Verdict::failed(format!("{late:?} comes behind it"))),
    }
}

pub(super) fn has_usage(reading: &Reading) -> Judged {
    reading.is_whole()?;
    let counted = reading.finish.as_ref().map_or(0, |finish| finish.usage.completion_tokens);
    match (reading.text.is_empty(), counted) {
        (true, _) => Err(Verdict::left_out("the answer has no text")),
        (false, 0) => Err(Verdict::failed("text came, and no token was counted")),
        (false, _) => Ok(()),
    }
}
