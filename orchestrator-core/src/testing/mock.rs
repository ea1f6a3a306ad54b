use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};

use async_trait::async_trait;

use crate::error::WorkerError;
use crate::testing::Script;
use crate::testing::script::Step;
use crate::token::{Emitter, TokenStream};
use crate::worker::{InferenceRequest, ModelWorker, Slots, WorkerInfo};

/// A worker that follows a [`Script`] and counts what is asked of it.
///
/// Clones share their counters.
///
/// ```
/// use orchestrator_core::prelude::*;
/// use orchestrator_core::testing::{MockWorker, Script};
///
/// # tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime").block_on(async {
/// let worker = MockWorker::new(Script::answering("to be"));
/// let pipeline = Pipeline::builder("test")
///     .stage(InferenceStage::new(worker.clone()))
///     .stage(StreamStage::default())
///     .build()?;
/// let mut answer = pipeline.submit(PromptRequest::new("?")).await?;
/// assert_eq!(answer.text().await?, "to be");
/// assert_eq!((worker.stats().calls, worker.stats().live), (1, 0));
/// # Ok::<_, Box<dyn std::error::Error>>(()) }).expect("runs");
/// ```
#[derive(Clone)]
pub struct MockWorker {
    script: Arc<dyn Fn(&InferenceRequest) -> Script + Send + Sync>,
    slots: Option<Slots>,
    counters: Arc<Counters>,
}

#[derive(Default)]
struct Counters {
    calls: AtomicU64,
    finished: AtomicU64,
    cancelled: AtomicU64,
    live: AtomicUsize,
    most_live: AtomicUsize,
}

/// What a [`MockWorker`] has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct MockStats {
    /// Calls of `infer`.
    pub calls: u64,
    /// Calls whose script was followed to its end, whatever that is.
    pub finished: u64,
    /// Calls whose future or stream was dropped before its end.
    pub cancelled: u64,
    /// Calls and streams alive now.
    pub live: usize,
    /// The most that were alive at once.
    pub most_live: usize,
}

impl MockWorker {
    /// Follows the same script for every request.
    pub fn new(script: Script) -> Self {
        Self::with(move |_| script.clone())
    }

    /// Asks `script` what to do for each request.
    pub fn with(script: impl Fn(&InferenceRequest) -> Script + Send + Sync + 'static) -> Self {
        Self { script: Arc::new(script), slots: None, counters: Arc::default() }
    }

    /// Sets the slots that the worker says it has.
    #[must_use]
    pub fn slots(mut self, slots: Slots) -> Self {
        self.slots = Some(slots);
        self
    }

    /// Returns what the worker has seen so far.
    #[must_use]
    pub fn stats(&self) -> MockStats {
        let counters = &self.counters;
        MockStats {
            calls: counters.calls.load(Ordering::SeqCst),
            finished: counters.finished.load(Ordering::SeqCst),
            cancelled: counters.cancelled.load(Ordering::SeqCst),
            live: counters.live.load(Ordering::SeqCst),
            most_live: counters.most_live.load(Ordering::SeqCst),
        }
    }
}

#[async_trait]
impl ModelWorker for MockWorker {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        let live = Live::start(&self.counters);
        let Script { call, stream, .. } = (self.script)(&request);
        drop(request);
        for step in call {
            if let Err(error) = follow(step, None).await {
                live.finish();
                return Err(error);
            }
        }
        Ok(TokenStream::generate(async move |mut out| {
            for step in stream {
                // The end counts when it is handed over, not when the stream is polled once more.
                let last = matches!(&step, Step::Emit(event) if event.is_terminal());
                if last {
                    live.mark_finished();
                }
                if let Err(error) = follow(step, Some(&mut out)).await {
                    live.finish();
                    return Err(error);
                }
            }
            live.finish();
            Ok(())
        }))
    }

    fn info(&self) -> WorkerInfo {
        WorkerInfo::new("mock")
    }

    fn slots(&self) -> Option<Slots> {
        self.slots.clone()
    }
}

async fn follow(step: Step, out: Option<&mut Emitter>) -> Result<(), WorkerError> {
    match (step, out) {
        (Step::Delay(time), _) => tokio::time::sleep(time).await,
        (Step::Yield, _) => tokio::task::yield_now().await,
        (Step::Emit(event), Some(out)) => out.emit(event).await,
        // A script puts events into the stream only.
        (Step::Emit(_), None) => {}
        (Step::Fail(error), _) => return Err(error),
        (Step::Panic(message), _) => panic!("{message}"),
        (Step::Hang, _) => std::future::pending().await,
    }
    Ok(())
}

/// Counts a call as alive until it is dropped.
struct Live {
    counters: Arc<Counters>,
    finished: std::sync::atomic::AtomicBool,
}

impl Live {
    fn start(counters: &Arc<Counters>) -> Self {
        counters.calls.fetch_add(1, Ordering::SeqCst);
        let live = counters.live.fetch_add(1, Ordering::SeqCst) + 1;
        counters.most_live.fetch_max(live, Ordering::SeqCst);
        Self { counters: counters.clone(), finished: false.into() }
    }

    fn mark_finished(&self) {
        self.finished.store(true, Ordering::SeqCst);
    }

    fn finish(self) {
        self.mark_finished();
    }
}

impl Drop for Live {
    fn drop(&mut self) {
        self.counters.live.fetch_sub(1, Ordering::SeqCst);
        let ended = if *self.finished.get_mut() || std::thread::panicking() {
            &self.counters.finished
        } else {
            &self.counters.cancelled
        };
        ended.fetch_add(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for MockWorker {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MockWorker").field("stats", &self.stats()).finish_non_exhaustive()
    }
}
