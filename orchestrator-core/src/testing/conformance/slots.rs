use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context as TaskContext, Poll};

use async_trait::async_trait;
use futures_util::Stream;
use futures_util::future::join_all;

use crate::answer::{StreamStage, Tokens};
use crate::context::Context;
use crate::error::{BoxError, BuildError, WorkerError};
use crate::pipeline::Pipeline;
use crate::request::PromptRequest;
use crate::testing::conformance::Verdict;
use crate::testing::conformance::any::{Ask, until};
use crate::testing::conformance::reading::PATIENCE;
use crate::testing::conformance::report::Judged;
use crate::token::{TokenEvent, TokenStream};
use crate::worker::{InferenceRequest, InferenceStage, ModelWorker, Slots, WorkerInfo};

/// More callers than this are not sent; a server with as many slots is not held to them.
const CALLERS: usize = 64;

/// A pipeline with more callers than slots never has more streams alive than slots, and gives all slots back.
pub(super) async fn honoured(worker: &Arc<dyn ModelWorker>, ask: &Ask) -> Judged {
    let Some(slots) = worker.slots() else { return Err(Verdict::left_out("it has no slots")) };
    let total = slots.total();
    if total >= CALLERS {
        return Err(Verdict::left_out(format!("{total} slots are more than there are callers")));
    }
    let streams = Arc::new(Streams::default());
    let counted = Counted { worker: worker.clone(), streams: streams.clone() };
    let pipeline = pipeline(counted, ask.clone()).map_err(|error| Verdict::failed(error.to_string()))?;
    let callers = (0..total + 2).map(|_| async { pipeline.submit(PromptRequest::new("?")).await?.text().await });
    let answers = tokio::time::timeout(PATIENCE, join_all(callers)).await;
    let answers = answers.map_err(|_| Verdict::failed(format!("not all callers had an answer after {PATIENCE:?}")))?;
    if let Some(error) = answers.into_iter().find_map(Result::err) {
        return Err(Verdict::failed(format!("a caller had no answer: {error}")));
    }
    let most = streams.most.load(Ordering::SeqCst);
    if most > total {
        return Err(Verdict::failed(format!("{most} streams at once, and {total} slots")));
    }
    if until(PATIENCE, || slots.free() == slots.total()).await {
        Ok(())
    } else {
        Err(Verdict::failed("a slot did not come back"))
    }
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

fn pipeline(worker: Counted, ask: Ask) -> Result<Pipeline<PromptRequest, Tokens>, BuildError> {
    let ask = move |cx: Context, _: PromptRequest| {
        let mut request = ask();
        request.context = cx;
        std::future::ready(Ok::<_, BoxError>(request))
    };
    Pipeline::builder("conformance")
        .then("ask", ask)
        .stage(InferenceStage::new(worker))
        .stage(StreamStage::default())
        .build()
}

/// A worker whose calls are counted while they live.
struct Counted {
    worker: Arc<dyn ModelWorker>,
    streams: Arc<Streams>,
}

#[derive(Default)]
struct Streams {
    now: AtomicUsize,
    most: AtomicUsize,
}

#[async_trait]
impl ModelWorker for Counted {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let live = Live::new(&self.streams);
        let stream = self.worker.infer(request).await?;
        Ok(stream.within(|stream| CountedStream { stream, _live: live }))
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

struct Live(Arc<Streams>);

impl Live {
    fn new(streams: &Arc<Streams>) -> Self {
        let now = streams.now.fetch_add(1, Ordering::SeqCst) + 1;
        streams.most.fetch_max(now, Ordering::SeqCst);
        Self(streams.clone())
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}
