//! The service of the example `embed_in_axum`, asked over real sockets: what its clients are told, and that a client that
//! leaves takes its work along, and nothing else.

use std::future::Future;
use std::time::{Duration, Instant};

#[path = "../../examples/embed_in_axum/app.rs"]
mod app;
#[path = "../../examples/embed_in_axum/ask.rs"]
mod ask;
mod client;
mod crowd;
mod leaving;
mod service;
mod stopping;
mod told;

/// How long of real time a test waits for what must come.
const PATIENCE: Duration = Duration::from_secs(60);

/// Waits, though not for ever; by Tokio's clock, which no test moves that far.
async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(600), future).await.expect("it comes")
}

/// Lets others run until `holds`.
async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let started = Instant::now();
    while !holds() {
        assert!(started.elapsed() < PATIENCE, "never came true: {what}");
        tokio::task::yield_now().await;
    }
}

/// Runs a test on a paused clock that moves only where the test moves it.
///
/// By itself a paused clock jumps ahead whenever every task waits, be it for a socket.
async fn by_hand(test: impl Future<Output = ()>) {
    tokio::time::pause();
    tokio::select! {
        () = test => {}
        () = until("the test ends", || false) => {}
    }
}

/// Moves the clock of such a test without letting others run.
fn tick(by: Duration) {
    // It has moved with the first poll; the rest is a turn for the others.
    let _ = futures_util::FutureExt::now_or_never(tokio::time::advance(by));
}
