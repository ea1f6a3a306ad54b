use std::error::Error;
use std::io;
use std::process::ExitCode;
use std::sync::{Arc, OnceLock};

use libtest_mimic::{Arguments, Failed, Trial};

/// What a test of a [`Suite`] returns.
pub type TestResult = Result<(), Box<dyn Error + Send + Sync>>;

/// Starts a suite's peer.
type Start<P> = dyn Fn() -> io::Result<P> + Send + Sync;

/// The tests of one target that talk to a real peer `P`, which they share.
///
/// The peer starts with the first test that runs and ends behind the last. Tests that need one of their own, to kill it for
/// instance, start it themselves. Each test has a Tokio runtime of its own, on its own thread. The command line is that of
/// any Rust test target; with [`one_by_one`](Self::one_by_one) `--test-threads` is one unless it is given.
///
/// ```no_run
/// use test_peers::{LlamaServer, Suite};
///
/// fn main() -> std::process::ExitCode {
///     Suite::new("worker", LlamaServer::missing(), || LlamaServer::builder().start())
///         .test("has_an_address", async |server| {
///             assert!(server.base_url().starts_with("http://127.0.0.1:"));
///             Ok(())
///         })
///         .run()
/// }
/// ```
pub struct Suite<P> {
    name: &'static str,
    missing: Option<String>,
    peer: Arc<Peer<P>>,
    trials: Vec<Trial>,
    one_by_one: bool,
}

struct Peer<P> {
    start: Box<Start<P>>,
    started: OnceLock<Result<Arc<P>, String>>,
}

impl<P> Peer<P> {
    fn get(&self) -> Result<Arc<P>, Failed> {
        let started = self.started.get_or_init(|| (self.start)().map(Arc::new).map_err(|error| error.to_string()));
        started.clone().map_err(Failed::from)
    }
}

impl<P: Send + Sync + 'static> Suite<P> {
    /// Names a suite; `missing` says what there is not to [`run`](Self::run) it with.
    pub fn new(
        name: &'static str,
        missing: Option<String>,
        start: impl Fn() -> io::Result<P> + Send + Sync + 'static,
    ) -> Self {
        let peer = Arc::new(Peer { start: Box::new(start), started: OnceLock::new() });
        Self { name, missing, peer, trials: Vec::new(), one_by_one: false }
    }

    /// Runs one test after the other, for tests that would disturb each other at the peer.
    #[must_use]
    pub fn one_by_one(mut self) -> Self {
        self.one_by_one = true;
        self
    }

    /// Adds a test. It fails with its error or its panic.
    #[must_use]
    pub fn test<F>(mut self, name: &'static str, test: F) -> Self
    where
        F: AsyncFnOnce(&P) -> TestResult + Send + 'static,
    {
        let peer = self.peer.clone();
        let missing = self.missing.clone();
        let trial = Trial::test(name, move || match missing {
            Some(missing) => Err(missing.into()),
            None => {
                let peer = peer.get()?;
                runtime()?.block_on(test(&peer)).map_err(|error| error.to_string().into())
            }
        });
        let left_out = self.missing.is_some() && !required();
        self.trials.push(trial.with_ignored_flag(left_out));
        self
    }

    /// Runs the tests that the command line selects, and ends the peer.
    #[must_use]
    pub fn run(self) -> ExitCode {
        let mut arguments = Arguments::from_args();
        if self.one_by_one {
            arguments.test_threads.get_or_insert(1);
        }
        if let Some(missing) = self.missing.as_ref().filter(|_| !arguments.list && !required()) {
            eprintln!("\n!!! LEFT OUT: all tests of `{}` need a real server: {missing}", self.name);
        }
        libtest_mimic::run(&arguments, self.trials).exit_code()
    }
}

impl<P> std::fmt::Debug for Suite<P> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Suite").field("name", &self.name).field("missing", &self.missing).finish_non_exhaustive()
    }
}

/// Whether a missing peer is a failure.
fn required() -> bool {
    std::env::var("REQUIRE_PEERS").is_ok_and(|value| value == "1")
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}
