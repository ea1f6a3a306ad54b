//! The example's service on a port of its own, and a worker that can be held.

use std::net::SocketAddr;
use std::num::NonZeroUsize;

use prompt_orchestrator::pipeline::DrainReport;
use prompt_orchestrator::prelude::*;
use prompt_orchestrator::testing::{MockWorker, Script};
use tokio::net::TcpListener;
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

use crate::app::{self, AppState};
use crate::ask::{self, Assistant};
use crate::{soon, until};

/// The service, and what stands behind it.
pub(crate) struct Service {
    pub(crate) address: SocketAddr,
    pub(crate) assistant: Assistant,
    pub(crate) worker: Held,
    pub(crate) stop: oneshot::Sender<()>,
    pub(crate) running: JoinHandle<std::io::Result<DrainReport>>,
}

impl Service {
    /// Starts it with the example's own pipeline, whose door takes `waiting` requests.
    pub(crate) async fn start(worker: Held, waiting: usize) -> Self {
        let docs = Bm25Index::from_passages([Passage::new("Tea is brewed in a pot.", Source::new("tea.md"), 1.0)]);
        let assistant = ask::assistant(docs.expect("one passage"), worker.clone(), waiting).expect("builds");
        Self::with(assistant, worker).await
    }

    /// Starts it with another pipeline.
    pub(crate) async fn with(assistant: Assistant, worker: Held) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let state = AppState::new(assistant.clone());
        let running = tokio::spawn(app::run(listener, state, async { drop(stopped.await) }));
        Self { address, assistant, worker, stop, running }
    }

    /// Waits until nothing is left of any request: not in the pipeline, not at the worker, and no slot is taken.
    pub(crate) async fn until_nothing_is_left(&self) {
        let slots = self.worker.slots().expect("it has some");
        until("no work is left", || {
            let idle = self.assistant.stats().in_flight == 0 && self.worker.mock.stats().live == 0;
            idle && slots.free() == slots.total()
        })
        .await;
        let stats = self.assistant.stats();
        assert_eq!(stats.submitted, stats.refused + stats.withdrawn + stats.accepted, "{stats:#?}");
        assert_eq!(stats.accepted, stats.answered + stats.failed + stats.shed + stats.cancelled, "{stats:#?}");
        assert!(stats.stages.iter().all(|stage| stage.depth == 0), "{stats:#?}");
    }

    /// Stops it and waits for what it says of that.
    pub(crate) async fn stop(self) -> DrainReport {
        self.stop.send(()).expect("it runs");
        soon(self.running).await.expect("no panic").expect("no error")
    }
}

/// A scripted worker behind a gate that can be shut: as long as it is, calls wait in `infer`.
#[derive(Clone)]
pub(crate) struct Held {
    pub(crate) mock: MockWorker,
    open: watch::Sender<bool>,
}

impl Held {
    /// Follows `script`, and is open.
    pub(crate) fn open(slots: usize, script: impl Fn(&InferenceRequest) -> Script + Send + Sync + 'static) -> Self {
        let slots = Slots::new(NonZeroUsize::new(slots).expect("some"));
        Self { mock: MockWorker::with(script).slots(slots), open: watch::Sender::new(true) }
    }

    pub(crate) fn set_open(&self, open: bool) {
        self.open.send_replace(open);
    }
}

#[async_trait]
impl ModelWorker for Held {
    async fn infer(&self, request: InferenceRequest) -> Result<TokenStream, WorkerError> {
        self.open.subscribe().wait_for(|open| *open).await.expect("the sender is this worker's own");
        self.mock.infer(request).await
    }

    fn slots(&self) -> Option<Slots> {
        ModelWorker::slots(&self.mock)
    }
}
