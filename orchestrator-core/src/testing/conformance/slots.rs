//! Whether a server ever sees more calls at once than its worker has slots.
//!
//! The slots are taken by the inference stage. What a worker can do wrong is to give each stage slots of its own, to have more
//! than the server, or to call the server more than once for a slot. So two stages send more callers than there are slots,
//! nobody is answered until as many have come as may, and then no more may come.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::Stream;
use futures_util::future::{join, join_all};

use crate::answer::{StreamStage, Tokens};
use crate::context::Context;
use crate::error::{BoxError, BuildError, Error, WorkerError};
use crate::pipeline::Pipeline;
use crate::request::PromptRequest;
use crate::stage::{ShedPolicy, StageConfig};
use crate::testing::conformance::Verdict;
use crate::testing::conformance::any::{Ask, until};
use crate::testing::conformance::reading::PATIENCE;
use crate::testing::conformance::report::Judged;
use crate::testing::server::Signal;
use crate::token::{TokenEvent, TokenStream};
use crate::worker::{InferenceRequest, InferenceStage, ModelWorker, Slots, WorkerInfo};

/// More callers than this are not sent; a server with as many slots is not held to them.
const CALLERS: usize = 64;

/// How long one call too many is waited for.
const ONE_MORE: Duration = Duration::from_millis(100);

/// Where calls are held until they are let go, and counted.
pub(super) trait Held {
    /// The most calls that there were at once so far.
    fn most(&self) -> usize;

    /// Lets all calls go on, those that come later too.
    fn let_go(&self);

    /// Is shown what a caller got in place of an answer.
    fn failed(&self, _error: &Error) {}
}

/// Holds the calls of any worker before they reach it.
pub(super) async fn honoured(worker: &Arc<dyn ModelWorker>, ask: &Ask) -> Judged {
    let calls = Arc::new(Calls::default());
    let counted: Arc<dyn ModelWorker> = Arc::new(Counted { worker: worker.clone(), calls: calls.clone() });
    honoured_by([counted.clone(), counted], ask, &*calls).await
}

/// More callers than slots, half of them by each of two workers of one server, are never more at once than there are slots;
/// and all slots come back.
pub(super) async fn honoured_by(workers: [Arc<dyn ModelWorker>; 2], ask: &Ask, held: &impl Held) -> Judged {
    let [one, other] = workers;
    let Some(slots) = one.slots() else { return Err(Verdict::left_out("it has no slots")) };
    let total = slots.total();
    if total >= CALLERS {
        return Err(Verdict::left_out(format!("{total} slots are more than there are callers")));
    }
    let built = |worker| pipeline(worker, ask.clone()).map_err(|error| Verdict::failed(error.to_string()));
    let pipelines = [built(one)?, built(other)?];
    let callers = pipelines.iter().cycle().take(total + 2).map(async |pipeline| call(pipeline).await);
    let answered = async { tokio::time::timeout(3 * PATIENCE, join_all(callers)).await };
    let (filled, answers) = join(filled(total, held), answered).await;
    let answers = answers.map_err(|_| Verdict::failed("not all callers had an answer"))?;
    let failed = answers.into_iter().find_map(Result::err).inspect(|error| held.failed(error));
    filled?;
    if let Some(error) = failed {
        return Err(Verdict::failed(format!("a caller had no answer: {error}")));
    }
    at_most(total, held)?;
    let back = until(PATIENCE, || slots.free() == slots.total()).await;
    if back { Ok(()) } else { Err(Verdict::failed("a slot did not come back")) }
}

/// What is taken from one clone is gone from the other.
pub(super) fn are_one(worker: &dyn ModelWorker) -> Judged {
    let (Some(one), Some(other)) = (worker.slots(), worker.slots()) else {
        return Err(Verdict::left_out("it has no slots"));
    };
    let before = other.free();
    let slot = one.try_acquire().ok_or_else(|| Verdict::left_out("no slot is free"))?;
    let after = other.free();
    drop(slot);
    if after < before { Ok(()) } else { Err(Verdict::failed("each call of slots() makes slots of its own")) }
}

/// Waits until all slots are taken and one more might have come, and lets the calls go.
async fn filled(total: usize, held: &impl Held) -> Judged {
    let reached = until(PATIENCE, || held.most() >= total).await;
    until(ONE_MORE, || held.most() > total).await;
    let judged = at_most(total, held);
    held.let_go();
    if reached { judged } else { Err(Verdict::failed(format!("of {total} slots only {} were ever used", held.most()))) }
}

fn at_most(total: usize, held: &impl Held) -> Judged {
    let most = held.most();
    if most <= total { Ok(()) } else { Err(Verdict::failed(format!("{most} calls at once, and {total} slots"))) }
}

async fn call(pipeline: &Pipeline<PromptRequest, Tokens>) -> Result<(), Error> {
    pipeline.submit(PromptRequest::new("?")).await?.text().await.map(drop)
}

fn pipeline(worker: Arc<dyn ModelWorker>, ask: Ask) -> Result<Pipeline<PromptRequest, Tokens>, BuildError> {
    let ask = move |cx: Context, _: PromptRequest| {
        let mut request = ask();
        request.context = cx;
        std::future::ready(Ok::<_, BoxError>(request))
    };
    Pipeline::builder("conformance")
        .then_with("ask", StageConfig::new().shed(ShedPolicy::Backpressure), ask)
        .stage(InferenceStage::shared(worker))
        .stage(StreamStage::default())
        .build()
}

/// A worker whose calls are held, and counted while they live.
struct Counted {
    worker: Arc<dyn ModelWorker>,
    calls: Arc<Calls>,
}

#[derive(Default)]
struct Calls {
    now: AtomicUsize,
    most: AtomicUsize,
    go: Signal,
}

impl Held for Calls {
    fn most(&self) -> usize {
        self.most.load(Ordering::SeqCst)
    }

    fn let_go(&self) {
        self.go.raise();
    }
}

#[async_trait]
impl ModelWorker for Counted {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let live = Live::new(&self.calls);
        self.calls.go.raised().await;
        let stream = self.worker.infer(request).await?;
        Ok(stream.wrap(|stream| CountedStream { stream, _live: live }))
    }

    fn info(&self) -> WorkerInfo {
        self.worker.info()
    }

    fn slots(&self) -> Option<Slots> {
        self.worker.slots()
    }
}

struct CountedStream {
    stream: TokenStream,
    _live: Live,
}

impl Stream for CountedStream {
    type Item = Result<TokenEvent, WorkerError>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Self::Item>> {
        Pin::new(&mut self.stream).poll_next(cx)
    }
}

struct Live(Arc<Calls>);

impl Live {
    fn new(calls: &Arc<Calls>) -> Self {
        let now = calls.now.fetch_add(1, Ordering::SeqCst) + 1;
        calls.most.fetch_max(now, Ordering::SeqCst);
        Self(calls.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}
