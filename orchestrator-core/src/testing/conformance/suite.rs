use std::fmt;
use std::future::Future;
use std::sync::Arc;

use crate::testing::conformance::bench::{Bench, Make};
use crate::testing::conformance::secrets::Secrets;
use crate::testing::conformance::{ConformanceReport, Dialect, answers, faults, flow, leaving, limits, refusal};
use crate::worker::{ModelWorker, Timeouts};

/// What a [`Suite`] points a worker at.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Target {
    /// The address of the server: `http://127.0.0.1:PORT`, without a path.
    pub base_url: String,
    /// The limits that the worker is to keep; those for connecting are its own.
    pub timeouts: Timeouts,
    /// A secret that the worker is to send as its key, and to tell nobody else.
    pub key: String,
}

/// Holds workers to the contract that talk to a server; see the [module](crate::testing::conformance).
#[must_use]
pub struct Suite {
    dialect: Dialect,
    make: Box<Make>,
}

impl Suite {
    /// Holds the workers that `make` makes to the contract. Each check has a worker of its own.
    pub fn new<W, Fut>(dialect: Dialect, make: impl Fn(Target) -> Fut + 'static) -> Self
    where
        W: ModelWorker,
        Fut: Future<Output = W> + 'static,
    {
        let make: Box<Make> = Box::new(move |target| {
            let made = make(target);
            Box::pin(async move { Arc::new(made.await) as Arc<dyn ModelWorker> })
        });
        Self { dialect, make }
    }

    /// Makes all checks, one after the other.
    ///
    /// # Panics
    ///
    /// Panics outside of a Tokio runtime with I/O and time.
    pub async fn run(self) -> ConformanceReport {
        let (secrets, _listening) = Secrets::listen();
        let bench = Bench::new(self.dialect, self.make, secrets);
        answers::run(&bench).await;
        leaving::run(&bench).await;
        limits::run(&bench).await;
        faults::run(&bench).await;
        refusal::run(&bench).await;
        flow::run(&bench).await;
        bench.report()
    }
}

impl fmt::Debug for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Suite").field("dialect", &self.dialect).finish_non_exhaustive()
    }
}
