use std::any::Any;
use std::error::Error;
use std::io;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::process::ExitCode;
use std::sync::{Arc, OnceLock, mpsc};
use std::time::Duration;

use libtest_mimic::{Arguments, Failed, Trial};

/// How long a test may take. The slowest wait half a minute for a server that ends.
const LIMIT: Duration = Duration::from_secs(120);

/// What a test of a [`Suite`] returns.
pub type TestResult = Result<(), Box<dyn Error + Send + Sync>>;

/// What the tests of a [`Suite`] share.
pub trait Peer: Send + Sync + 'static {
    /// Returns the last lines that it has written, for the messages of failed tests.
    fn log(&self) -> String;
}

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
    peer: Arc<Shared<P>>,
    trials: Vec<Trial>,
    one_by_one: bool,
}

/// The peer that starts with the first test.
struct Shared<P> {
    start: Box<Start<P>>,
    started: OnceLock<Result<Arc<P>, String>>,
}

impl<P> Shared<P> {
    fn get(&self) -> Result<Arc<P>, Failed> {
        let started = self.started.get_or_init(|| (self.start)().map(Arc::new).map_err(|error| error.to_string()));
        started.clone().map_err(Failed::from)
    }
}

impl<P: Peer> Suite<P> {
    /// Names a suite; `missing` says what there is not to [`run`](Self::run) it with.
    pub fn new(
        name: &'static str,
        missing: Option<String>,
        start: impl Fn() -> io::Result<P> + Send + Sync + 'static,
    ) -> Self {
        let peer = Arc::new(Shared { start: Box::new(start), started: OnceLock::new() });
        Self { name, missing, peer, trials: Vec::new(), one_by_one: false }
    }

    /// Runs one test after the other, for tests that would disturb each other at the peer.
    #[must_use]
    pub fn one_by_one(mut self) -> Self {
        self.one_by_one = true;
        self
    }

    /// Adds a test. It fails with its error, its panic, or behind two minutes.
    #[must_use]
    pub fn test<F>(mut self, name: &'static str, test: F) -> Self
    where
        F: AsyncFnOnce(&P) -> TestResult + Send + 'static,
    {
        let peer = self.peer.clone();
        let missing = self.missing.clone();
        let trial = Trial::test(name, move || match missing {
            Some(missing) => Err(missing.into()),
            None => run(name, &peer.get()?, test, LIMIT),
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

/// Runs a test on a thread of its own, as one that blocks it cannot be ended otherwise.
fn run<P: Peer, F>(name: &str, peer: &Arc<P>, test: F, limit: Duration) -> Result<(), Failed>
where
    F: AsyncFnOnce(&P) -> TestResult + Send + 'static,
{
    let (done, ended) = mpsc::sync_channel(1);
    let (shared, runtime) = (peer.clone(), runtime()?);
    std::thread::Builder::new().name(name.to_owned()).spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(|| runtime.block_on(test(&shared))));
        drop(shared);
        // Behind its limit nobody waits for it.
        let _ = done.send(result);
    })?;
    let why = match ended.recv_timeout(limit) {
        Ok(Ok(Ok(()))) => return Ok(()),
        Ok(Ok(Err(error))) => error.to_string(),
        Ok(Err(panic)) => format!("it panicked: {}", said(&*panic)),
        Err(_) => format!("it had not ended after {limit:?}"),
    };
    Err(format!("{why}\n\nthe last lines of the shared peer:\n{}", peer.log()).into())
}

/// What a panic says.
fn said(panic: &(dyn Any + Send)) -> &str {
    let text = panic.downcast_ref::<&str>().copied();
    text.or_else(|| panic.downcast_ref::<String>().map(String::as_str)).unwrap_or("something that is no text")
}

fn runtime() -> io::Result<tokio::runtime::Runtime> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Writes;

    impl Peer for Writes {
        fn log(&self) -> String {
            "a line of the peer".to_owned()
        }
    }

    fn message<F>(test: F, limit: Duration) -> Option<String>
    where
        F: AsyncFnOnce(&Writes) -> TestResult + Send + 'static,
    {
        run("name", &Arc::new(Writes), test, limit).err().and_then(|failed| failed.message().map(str::to_owned))
    }

    #[test]
    fn failures_show_why_and_what_the_peer_wrote() {
        let why = [
            ("an error", message(async |_| Err("an error".into()), LIMIT)),
            ("a panic of 1", message(async |_| panic!("a panic of {}", 1), LIMIT)),
            ("not ended after 20ms", message(async |_| std::future::pending().await, Duration::from_millis(20))),
        ];
        for (expected, message) in why {
            let message = message.expect("it fails");
            assert!(message.contains(expected) && message.contains("a line of the peer"), "{message}");
        }
    }

    #[test]
    fn a_test_that_blocks_its_thread_is_ended_too() {
        let (hold, held) = mpsc::channel::<()>();
        let blocks = async move |_: &Writes| Ok(held.recv()?);
        let message = message(blocks, Duration::from_millis(20)).expect("it fails");
        drop(hold);
        assert!(message.contains("not ended"), "{message}");
    }

    #[test]
    fn a_test_that_passes_says_nothing() {
        assert_eq!(message(async |_| Ok(()), LIMIT), None);
    }
}
