use std::fmt;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use orchestrator_core::error::{WorkerError, WorkerErrorKind};
use orchestrator_core::retrieval::{Embedded, Embedder};
use orchestrator_core::token::TokenStream;
use orchestrator_core::worker::{Health, InferenceRequest, ModelWorker, Slots, WorkerInfo};
use tokio_util::task::AbortOnDropHandle;
use workers_pool::Member;

use super::workers::Connected;

/// The pause before the second attempt to connect, and the longest before a further one.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Asks a server what it is, and makes the worker of it.
pub(super) type Connect = Box<dyn Fn() -> BoxFuture<'static, Result<Connected, WorkerError>> + Send + Sync>;

/// What is known of a server that is not there.
pub(super) struct Absent {
    /// What the worker is as far as the file says.
    pub(super) info: WorkerInfo,
    /// The server's slots: the same object that its worker will have, suspended until then.
    pub(super) slots: Slots,
    /// Whether other workers of that server had told of them, who know better how many there are.
    pub(super) are_known: bool,
    /// What its vectors are called, where it embeds.
    pub(super) embeddings: Option<String>,
}

/// Connects, or goes on trying in a task that ends with what is returned; until then requests are refused.
///
/// # Errors
///
/// Fails where trying again is no use: the settings cannot be used.
pub(super) async fn connect(
    absent: impl FnOnce() -> Result<Absent, WorkerError>,
    connect: Connect,
) -> Result<Connected, WorkerError> {
    let why = match connect().await {
        Ok(connected) => return Ok(connected),
        Err(error) if error.kind() == WorkerErrorKind::InvalidRequest => return Err(error),
        Err(error) => error,
    };
    // Not before: slots that somebody holds are those of every worker of that server.
    let absent = absent()?;
    tracing::warn!(worker = absent.info.name, error = %why, "is not there yet; the service starts without it");
    absent.slots.suspend(LONGEST_PAUSE);
    let embeddings = absent.embeddings.clone();
    let later = Arc::new(Later { absent, there: OnceLock::new(), why: Mutex::new(why) });
    let task = Arc::new(AbortOnDropHandle::new(tokio::spawn(follow(later.clone(), connect))));
    let embedder = embeddings.map(|name| -> Arc<dyn Embedder> {
        Arc::new(LazyEmbedder { name, later: later.clone(), _task: task.clone() })
    });
    Ok(Connected { worker: Arc::new(Lazy { later, _task: task }), embedder, tells_slots: true })
}

/// Tries until it is there. The task is aborted by whoever holds the worker, so what it shares with that one may stay.
async fn follow(later: Arc<Later>, connect: Connect) {
    let mut pause = FIRST_PAUSE;
    loop {
        tokio::time::sleep(pause).await;
        match connect().await {
            Ok(connected) => return later.arrived(connected),
            Err(error) => later.still_absent(error),
        }
        pause = (pause * 2).min(LONGEST_PAUSE);
    }
}

/// A server that is there later.
struct Later {
    absent: Absent,
    there: OnceLock<Connected>,
    /// Why it was not there when it was last asked.
    why: Mutex<WorkerError>,
}

impl Later {
    fn arrived(&self, connected: Connected) {
        let Absent { info, slots, are_known, .. } = &self.absent;
        tracing::info!(worker = info.name, "is there now");
        if !connected.tells_slots && !are_known {
            // As many as a pool gives calls to a worker without slots.
            slots.resize(NonZeroUsize::new(Member::IN_FLIGHT).expect("above zero"));
        }
        // Nobody else sets it.
        let _ = self.there.set(connected);
        slots.resume();
    }

    fn still_absent(&self, error: WorkerError) {
        self.absent.slots.suspend(LONGEST_PAUSE);
        let mut why = self.why.lock().unwrap_or_else(PoisonError::into_inner);
        let worker = &self.absent.info.name;
        if error.kind() == WorkerErrorKind::InvalidRequest && why.kind() != WorkerErrorKind::InvalidRequest {
            tracing::warn!(worker, %error, "is there, and is not what the file says; it is asked again");
        } else {
            tracing::debug!(worker, %error, "is not there yet");
        }
        *why = error;
    }

    fn there(&self) -> Result<&Connected, WorkerError> {
        self.there.get().ok_or_else(|| {
            let why = self.why.lock().unwrap_or_else(PoisonError::into_inner).clone();
            let message = format!("worker `{}` is not there yet: {}", self.absent.info.name, why.message());
            WorkerError::new(WorkerErrorKind::Transient, message).with_source(why)
        })
    }
}

/// The worker of a server that was not there at first.
struct Lazy {
    later: Arc<Later>,
    _task: Arc<AbortOnDropHandle<()>>,
}

#[async_trait]
impl ModelWorker for Lazy {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.later.there()?.worker.infer(request).await
    }

    fn info(&self) -> WorkerInfo {
        self.later.there.get().map_or_else(|| self.later.absent.info.clone(), |there| there.worker.info())
    }

    fn slots(&self) -> Option<Slots> {
        Some(self.later.absent.slots.clone())
    }

    async fn health(&self) -> Health {
        match self.later.there() {
            Ok(there) => there.worker.health().await,
            Err(error) => Health::unavailable(error.message()),
        }
    }
}

impl fmt::Debug for Lazy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lazy").field("info", &self.info()).finish_non_exhaustive()
    }
}

/// Its embedder.
struct LazyEmbedder {
    name: String,
    later: Arc<Later>,
    _task: Arc<AbortOnDropHandle<()>>,
}

impl LazyEmbedder {
    fn there(&self) -> Result<&Arc<dyn Embedder>, WorkerError> {
        let nothing = || WorkerError::new(WorkerErrorKind::NotFound, "the server does not embed");
        self.later.there()?.embedder.as_ref().ok_or_else(nothing)
    }
}

#[async_trait]
impl Embedder for LazyEmbedder {
    fn name(&self) -> &str {
        &self.name
    }

    async fn embed(&self, texts: &[&str]) -> Result<Vec<Vec<f32>>, WorkerError> {
        self.there()?.embed(texts).await
    }

    async fn embed_counted(&self, texts: &[&str]) -> Result<Embedded, WorkerError> {
        self.there()?.embed_counted(texts).await
    }

    async fn embed_query(&self, question: &str) -> Result<Vec<f32>, WorkerError> {
        self.there()?.embed_query(question).await
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use futures_util::FutureExt;
    use orchestrator_core::context::Context;
    use orchestrator_core::request::RequestOptions;
    use orchestrator_core::worker::HealthStatus;
    use tokio::time::Instant;
    use workers_embedded::Extractive;

    use super::*;

    fn absent() -> Absent {
        let slots = Slots::new(NonZeroUsize::MIN);
        Absent { info: WorkerInfo::new("w"), slots, are_known: false, embeddings: None }
    }

    /// Fails so many times, and counts its calls.
    fn failing(times: usize, kind: WorkerErrorKind) -> (Connect, Arc<AtomicUsize>) {
        let calls = Arc::new(AtomicUsize::new(0));
        let counted = calls.clone();
        let connect: Connect = Box::new(move || {
            let call = counted.fetch_add(1, Ordering::SeqCst);
            let answer = match call < times {
                true => Err(WorkerError::new(kind, "it is down")),
                false => Ok(Connected::alone(Extractive::default())),
            };
            async move { answer }.boxed()
        });
        (connect, calls)
    }

    async fn lazy(times: usize) -> (Connected, Arc<AtomicUsize>) {
        let (attempt, calls) = failing(times, WorkerErrorKind::Transient);
        (connect(|| Ok(absent()), attempt).await.expect("it is tried again"), calls)
    }

    fn request() -> InferenceRequest {
        InferenceRequest::new("?".into(), Context::standalone(RequestOptions::new()))
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_is_down_is_asked_again_and_refuses_until_then() {
        let (connected, calls) = lazy(3).await;
        let worker = connected.worker;
        let error = worker.infer(request()).await.expect_err("it is down");
        assert_eq!(error.kind(), WorkerErrorKind::Transient);
        assert_eq!(error.message(), "worker `w` is not there yet: it is down");
        assert_eq!(worker.health().await.status, HealthStatus::Unavailable);
        assert_eq!(worker.slots().map(|slots| slots.total()), Some(1));

        let started = Instant::now();
        while !worker.health().await.is_ready() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(calls.load(Ordering::SeqCst), 4);
        assert!((3_500..=3_700).contains(&started.elapsed().as_millis()), "{:?}", started.elapsed());
        assert!(worker.infer(request()).await.is_ok());
        assert_eq!((worker.info().name.as_str(), worker.slots().map(|slots| slots.total())), ("extractive", Some(256)));
    }

    #[tokio::test(start_paused = true)]
    async fn slots_of_which_others_have_told_stay_as_many() {
        let (attempt, _) = failing(1, WorkerErrorKind::Transient);
        let connected =
            connect(|| Ok(Absent { are_known: true, ..absent() }), attempt).await.expect("it is tried again");
        while !connected.worker.health().await.is_ready() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_eq!(connected.worker.slots().map(|slots| slots.total()), Some(1));
    }

    #[tokio::test(start_paused = true)]
    async fn nobody_asks_when_nobody_holds_the_worker() {
        let (connected, calls) = lazy(usize::MAX).await;
        drop(connected);
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn settings_that_cannot_be_used_are_not_tried_again() {
        let (attempt, calls) = failing(1, WorkerErrorKind::InvalidRequest);
        assert!(connect(|| Ok(absent()), attempt).await.is_err());
        assert_eq!(calls.load(Ordering::SeqCst), 1);
    }
}
