use std::time::{Duration, Instant};

use orchestrator_core::error::{Phase, WorkerErrorKind};
use orchestrator_core::prelude::*;
use orchestrator_core::worker::Timeouts;
use test_peers::{LlamaServer, Model, TestResult};
use workers_llamacpp::{LlamaCpp, Route};

use crate::rig::{call, long};

/// Instead of half a minute.
const SILENCE: Duration = Duration::from_millis(400);

struct Broken {
    server: LlamaServer,
    worker: LlamaCpp,
    error: WorkerError,
    /// From the fault to the error.
    took: Duration,
}

/// Starts a server and a stream, does something to the server in the middle of it, and reads on.
async fn broken(route: Route, fault: impl Fn(&mut LlamaServer) -> std::io::Result<()>) -> Result<Broken, BoxError> {
    let mut server = LlamaServer::builder().model(Model::Slow).start()?;
    let limits = Timeouts::default().first_token(Duration::from_secs(20)).between_tokens(SILENCE);
    let worker = LlamaCpp::builder(server.base_url()).route(route).timeouts(limits).connect().await?;
    let mut stream = worker.infer(call(long(PromptRequest::new("tell me")), None)).await?;
    for _ in 0..3 {
        stream.next().await.expect("a token")?;
    }
    fault(&mut server)?;
    let started = Instant::now();
    loop {
        match stream.next().await.expect("an end") {
            Ok(event) => assert!(!event.is_terminal(), "it cannot have come to its end"),
            Err(error) => return Ok(Broken { server, worker, error, took: started.elapsed() }),
        }
    }
}

pub(crate) async fn a_killed_server_cuts_the_stream(_shared: &LlamaServer) -> TestResult {
    for route in [Route::Chat, Route::Native] {
        let broken = broken(route, LlamaServer::kill).await?;
        assert_eq!(broken.error.kind(), WorkerErrorKind::StreamCut, "{:?}", broken.error);
        assert!(broken.took < SILENCE, "{:?}", broken.took);
        let next = broken.worker.infer(call(PromptRequest::new("?"), None)).await.expect_err("it is gone");
        assert_eq!(next.kind(), WorkerErrorKind::Transient, "{next:?}");
        assert!(!broken.worker.health().await.is_ready());
    }
    Ok(())
}

/// Asked to end, the server says nothing more for half a minute; now and then it breaks off at once instead.
pub(crate) async fn a_server_that_ends_is_given_up(_shared: &LlamaServer) -> TestResult {
    for route in [Route::Chat, Route::Native] {
        let broken = broken(route, LlamaServer::terminate).await?;
        if broken.error.kind() == WorkerErrorKind::StreamCut {
            assert!(broken.took < SILENCE * 5, "{:?}", broken.took);
        } else {
            is_silence(&broken);
        }
    }
    Ok(())
}

pub(crate) async fn a_frozen_server_is_given_up(_shared: &LlamaServer) -> TestResult {
    for route in [Route::Chat, Route::Native] {
        let mut broken = broken(route, LlamaServer::freeze).await?;
        is_silence(&broken);
        broken.server.thaw()?;
        // It notices that nobody reads any more, and goes on with others.
        let mut again = broken.worker.infer(call(PromptRequest::new("?"), None)).await?;
        again.next().await.expect("a token")?;
    }
    Ok(())
}

fn is_silence(broken: &Broken) {
    assert_eq!(broken.error.kind(), WorkerErrorKind::Timeout(Phase::BetweenTokens), "{:?}", broken.error);
    // What had been written before still came.
    assert!(broken.took >= SILENCE && broken.took < SILENCE * 5, "{:?}", broken.took);
}
