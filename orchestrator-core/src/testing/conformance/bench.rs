use std::error::Error;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::error::WorkerError;
use crate::testing::conformance::any::{request, until};
use crate::testing::conformance::reading::{Reading, read};
use crate::testing::conformance::report::Judged;
use crate::testing::conformance::secrets::Secrets;
use crate::testing::conformance::{ConformanceReport, Dialect, Finding, Target, Verdict};
use crate::testing::server::{Exchange, Reply, Request, ScriptedServer, Seen};
use crate::token::{TokenEvent, TokenStream};
use crate::worker::{InferenceRequest, ModelWorker, Timeouts};

/// Makes the worker that is held to the contract.
pub(super) type Make = dyn Fn(Target) -> Pin<Box<dyn Future<Output = Arc<dyn ModelWorker>>>>;

/// How soon a server must see that its client has left, and how soon everything must be gone behind a check.
pub(super) const SOON: Duration = Duration::from_secs(1);

/// Where the checks of a suite are made, one after the other, and what they found.
pub(super) struct Bench {
    pub(super) dialect: Dialect,
    make: Box<Make>,
    pub(super) secrets: Secrets,
    findings: Mutex<Vec<Finding>>,
    left_behind: Mutex<Vec<String>>,
    worker: Mutex<String>,
}

impl Bench {
    pub(super) fn new(dialect: Dialect, make: Box<Make>, secrets: Secrets) -> Self {
        Self {
            dialect,
            make,
            secrets,
            findings: Mutex::default(),
            left_behind: Mutex::default(),
            worker: Mutex::default(),
        }
    }

    /// Makes a check and writes down what it found.
    pub(super) async fn judge(&self, check: impl Into<String>, judged: impl Future<Output = Judged>) {
        let verdict = judged.await.into();
        locked(&self.findings).push(Finding { check: check.into(), verdict });
    }

    /// Runs a check on a new worker and a new server, which answers every inference with what `reply` makes.
    pub(super) async fn rig(
        &self,
        timeouts: Timeouts,
        reply: impl Fn() -> Reply + Send + Sync + 'static,
        check: impl AsyncFnOnce(&Rig<'_>) -> Judged,
    ) -> Judged {
        self.rig_with(timeouts, move |_| reply(), check).await
    }

    /// The same, where the reply depends on the request.
    pub(super) async fn rig_with(
        &self,
        timeouts: Timeouts,
        reply: impl Fn(&Request) -> Reply + Send + Sync + 'static,
        check: impl AsyncFnOnce(&Rig<'_>) -> Judged,
    ) -> Judged {
        let tasks = alive_tasks();
        let side = self.dialect.clone();
        let script = move |request: &Request| side.side_reply(request).unwrap_or_else(|| reply(request));
        let server = ScriptedServer::start(script).await.map_err(|e| Verdict::left_out(format!("no server: {e}")))?;
        let target = Target { base_url: server.base_url(), timeouts, key: self.secrets.key().to_owned() };
        let worker = (self.make)(target.clone()).await;
        let rig = Rig { bench: self, server, worker, target };
        let judged = check(&rig).await;
        rig.clear(tasks).await;
        judged
    }

    /// Keeps the worker's name for the report.
    pub(super) fn name(&self, worker: &str) {
        worker.clone_into(&mut locked(&self.worker));
    }

    /// Adds what is known only behind all checks, and reports.
    pub(super) fn report(self) -> ConformanceReport {
        let last = [
            ("no connection and no task is left behind", nothing(&locked(&self.left_behind))),
            ("errors hold no secret", self.secrets.errors()),
            ("spans and events hold no secret", self.secrets.traces()),
        ];
        let mut findings = std::mem::take(&mut *locked(&self.findings));
        findings.extend(last.map(|(check, judged)| Finding { check: check.to_owned(), verdict: judged.into() }));
        ConformanceReport::new(std::mem::take(&mut *locked(&self.worker)), findings)
    }
}

/// One worker and its server.
pub(super) struct Rig<'a> {
    bench: &'a Bench,
    pub(super) server: ScriptedServer,
    pub(super) worker: Arc<dyn ModelWorker>,
    target: Target,
}

impl Rig<'_> {
    /// Makes another worker of the same server.
    pub(super) async fn another(&self) -> Arc<dyn ModelWorker> {
        (self.bench.make)(self.target.clone()).await
    }

    /// Makes a call.
    pub(super) async fn infer(&self) -> Result<TokenStream, WorkerError> {
        self.worker.infer(request()).await.inspect_err(|error| self.look_at(error))
    }

    /// Makes a call and reads all of it.
    pub(super) async fn ask(&self) -> Result<Reading, Verdict> {
        self.ask_for(request()).await
    }

    /// The same, with a request of one's own.
    pub(super) async fn ask_for(&self, request: InferenceRequest) -> Result<Reading, Verdict> {
        let reading = read(self.worker.infer(request)).await?;
        if let Some(error) = &reading.error {
            self.look_at(error);
        }
        Ok(reading)
    }

    /// Reads on in a stream.
    pub(super) async fn next(&self, stream: &mut TokenStream) -> Option<Result<TokenEvent, WorkerError>> {
        let item = stream.next().await;
        if let Some(Err(error)) = &item {
            self.look_at(error);
        }
        item
    }

    /// Looks for secrets in an error: every error of every check comes by here.
    pub(super) fn look_at(&self, error: &(dyn Error + 'static)) {
        self.bench.secrets.look_at(error);
    }

    /// Makes a call and reads its first event.
    pub(super) async fn started(&self) -> Result<TokenStream, Verdict> {
        let failed = |error: WorkerError| Verdict::failed(format!("it failed before its first text: {error}"));
        let mut stream = self.infer().await.map_err(failed)?;
        match self.next(&mut stream).await {
            Some(Ok(_)) => Ok(stream),
            Some(Err(error)) => Err(failed(error)),
            None => Err(Verdict::failed("the stream ended before its first text")),
        }
    }

    /// The inferences among what the server has seen.
    pub(super) fn calls<'s>(&self, seen: &'s Seen) -> impl Iterator<Item = &'s Exchange> {
        let dialect = &self.bench.dialect;
        seen.exchanges.iter().filter(|exchange| dialect.side_reply(&exchange.request).is_none())
    }

    /// Waits until the server has an inference for which `condition` holds.
    pub(super) async fn call_with(&self, what: &str, limit: Duration, condition: impl Fn(&Exchange) -> bool) -> Judged {
        let found = self.server.wait_within(limit, |seen| self.calls(seen).any(&condition)).await;
        found.map(drop).map_err(|_| Verdict::failed(format!("the server did not see {what} within {limit:?}")))
    }

    /// Drops the worker and the server, and waits until nothing is left of them.
    async fn clear(self, tasks: usize) {
        let Self { bench, server, worker, .. } = self;
        bench.secrets.look_at_requests(&server.seen());
        drop(worker);
        if !locked(&bench.left_behind).is_empty() {
            // One finding is enough: whatever leaves something behind does so each time, and each time takes a second.
            return;
        }
        let check = locked(&bench.findings).len() + 1;
        let mut left_behind = Vec::new();
        if let Err(seen) = server.wait_within(SOON, |seen| seen.connections.now == 0).await {
            left_behind.push(format!("check {check} left {} connections open", seen.connections.now));
        }
        drop(server);
        if !until(SOON, || alive_tasks() <= tasks).await {
            left_behind.push(format!("check {check} left {} tasks running", alive_tasks() - tasks));
        }
        locked(&bench.left_behind).extend(left_behind);
    }
}

fn nothing(left_behind: &[String]) -> Judged {
    if left_behind.is_empty() { Ok(()) } else { Err(Verdict::failed(left_behind.join("; "))) }
}

fn alive_tasks() -> usize {
    tokio::runtime::Handle::current().metrics().num_alive_tasks()
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
