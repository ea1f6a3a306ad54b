use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::{TokioExecutor, TokioTimer};
use hyper_util::server::conn::auto::Builder;
use orchestrator_config::file::Limits;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection;
use crate::gateway::Gateway;

/// What all connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) gateway: Gateway,
    pub(super) http: Arc<Builder<TokioExecutor>>,
    /// Connections that there may still be.
    room: Arc<Semaphore>,
    /// Take nothing new.
    pub(super) stop: CancellationToken,
    /// End now.
    pub(super) kill: CancellationToken,
}

impl Shared {
    pub(super) fn new(gateway: Gateway, limits: &Limits, stop: CancellationToken, kill: CancellationToken) -> Self {
        let room = Arc::new(Semaphore::new(limits.connections.get().min(Semaphore::MAX_PERMITS)));
        Self { gateway, http: Arc::new(http(limits)), room, stop, kill }
    }
}

fn http(limits: &Limits) -> Builder<TokioExecutor> {
    let mut http = Builder::new(TokioExecutor::new());
    http.http1()
        .timer(TokioTimer::new())
        .header_read_timeout(Duration::from(limits.header_time))
        .max_buf_size(limits.headers.get().max(8192));
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.headers.get()).unwrap_or(u32::MAX))
        .keep_alive_interval(Duration::from(limits.idle_time));
    http
}

/// Accepts connections until the server stops.
pub(super) async fn accept(listener: TcpListener, shared: Shared, connections: TaskTracker) {
    while let Some(Ok(room)) = shared.stop.run_until_cancelled(shared.room.clone().acquire_owned()).await {
        let Some(accepted) = shared.stop.run_until_cancelled(listener.accept()).await else { break };
        match accepted {
            Ok((stream, _)) => {
                let shared = shared.clone();
                connections.spawn(async move {
                    connection::serve(stream, shared).await;
                    drop(room);
                });
            }
            Err(error) => pause(&error).await,
        }
    }
}

/// A connection that is gone again is nobody's fault; where the system has no room, it is asked again in a moment.
async fn pause(error: &std::io::Error) {
    use std::io::ErrorKind as K;
    if !matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::Interrupted) {
        tracing::warn!(%error, "connections cannot be accepted now");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

/// Sets what all connections have in common.
pub(super) fn prepare(stream: &TcpStream) {
    // Where it cannot be set, the connection is slower, and no worse.
    drop(stream.set_nodelay(true));
}
