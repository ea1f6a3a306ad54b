use std::io;
use std::net::{SocketAddr, TcpListener as StdListener};
use std::sync::Arc;
use std::time::Duration;

use hyper_util::rt::TokioTimer;
use hyper_util::server::conn::auto::Builder;
use orchestrator_config::file::Limits;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::connection;
use super::socket::Times;
use super::streams::Streams;
use super::way::Way;
use crate::gateway::Gateway;

/// How much the system takes of a connection whose client does not read; Linux takes twice as much. Left to itself it takes
/// megabytes.
const SEND_BUFFER: u32 = 256 * 1024;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 1024;

/// How much of a stream over HTTP/2 waits in this process for its client to make room.
const STREAM_BUFFER: usize = 64 * 1024;

/// How much of a body a client may send ahead over HTTP/2.
const STREAM_WINDOW: u32 = 256 * 1024;

/// How many requests there may be at once on one connection over HTTP/2.
pub(super) const STREAMS: u32 = 256;

/// What a client is told for whom there is no room.
const NO_ROOM: &[u8] =
    b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\nconnection: close\r\ncontent-length: 0\r\n\r\n";

/// What all connections share.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) gateway: Gateway,
    pub(super) way: Way,
    pub(super) http: Arc<Builder<Streams>>,
    pub(super) times: Times,
    /// Connections that there may still be.
    room: Arc<Semaphore>,
    /// All tasks: listeners, connections and streams.
    pub(super) tasks: TaskTracker,
    /// Requests that were there before the server was told to end.
    pub(super) work: TaskTracker,
    /// Take no connections, and close those that there are as soon as nothing is asked on them.
    pub(super) leave: CancellationToken,
    /// End now.
    pub(super) kill: CancellationToken,
}

impl Shared {
    pub(super) fn new(gateway: Gateway, limits: &Limits) -> Self {
        let room = Arc::new(Semaphore::new(limits.connections.get().min(Semaphore::MAX_PERMITS)));
        let (tasks, times, kill) = (TaskTracker::new(), Times::new(limits), CancellationToken::new());
        let http = Arc::new(http(limits, Streams::new(tasks.clone(), times.stall)));
        Self {
            gateway,
            way: Way::Here,
            http,
            times,
            room,
            tasks,
            work: TaskTracker::new(),
            leave: kill.child_token(),
            kill,
        }
    }
}

/// HTTP/1 needs no timer: its headers, and the time between requests, are the socket's.
fn http(limits: &Limits, streams: Streams) -> Builder<Streams> {
    let mut http = Builder::new(streams);
    // The size bounds what waits to be written as well. That is written from one buffer: handing the system several costs more
    // than to copy an event.
    http.http1().header_read_timeout(None).max_buf_size(limits.headers.get().max(8192)).writev(false);
    http.http2()
        .timer(TokioTimer::new())
        .max_header_list_size(u32::try_from(limits.headers.get()).unwrap_or(u32::MAX))
        .max_concurrent_streams(STREAMS)
        .max_send_buf_size(STREAM_BUFFER)
        .initial_stream_window_size(STREAM_WINDOW)
        .keep_alive_interval(Duration::from(limits.idle_time));
    http
}

/// Listens at an address.
pub(super) fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    open(address, |_| Ok(()))
}

/// Listens at an address beside others of this process; the system gives each connection to one of them.
pub(super) fn share(address: SocketAddr) -> io::Result<StdListener> {
    open(address, share_port)?.into_std()
}

#[cfg(unix)]
fn share_port(socket: &TcpSocket) -> io::Result<()> {
    socket.set_reuseport(true)
}

#[cfg(not(unix))]
fn share_port(_socket: &TcpSocket) -> io::Result<()> {
    Err(io::Error::new(io::ErrorKind::Unsupported, "listeners do not share a port on this system"))
}

/// Listens; an error names the address.
fn open(address: SocketAddr, prepare: impl FnOnce(&TcpSocket) -> io::Result<()>) -> io::Result<TcpListener> {
    let named = |error: io::Error| io::Error::new(error.kind(), format!("cannot listen at {address}: {error}"));
    opened(address, prepare).map_err(named)
}

fn opened(address: SocketAddr, prepare: impl FnOnce(&TcpSocket) -> io::Result<()>) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    // Elsewhere it would let others take the address.
    #[cfg(unix)]
    socket.set_reuseaddr(true)?;
    socket.set_send_buffer_size(SEND_BUFFER)?;
    prepare(&socket)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

/// Accepts connections until the server leaves.
pub(super) async fn accept(listener: TcpListener, shared: Shared) {
    while let Some(accepted) = shared.leave.run_until_cancelled(listener.accept()).await {
        match accepted {
            Ok((stream, _)) => take(stream, &shared),
            Err(error) => pause(&error).await,
        }
    }
}

/// Serves a connection where there is room for it, and refuses it where not.
fn take(stream: TcpStream, shared: &Shared) {
    let Ok(room) = shared.room.clone().try_acquire_owned() else {
        // The buffer of a new connection has room for it; if not, the client sees that the connection ends.
        drop(stream.try_write(NO_ROOM));
        shared.gateway.refuses_connection();
        return;
    };
    hurry(&stream);
    let shared = shared.clone();
    shared.tasks.clone().spawn(async move {
        connection::serve(stream, shared).await;
        drop(room);
    });
}

/// Has what is written leave at once. Where that cannot be set, the connection is slower, and no worse.
fn hurry(stream: &TcpStream) {
    drop(stream.set_nodelay(true));
}

/// A connection that is gone again is nobody's fault; where the system has no room, it is asked again in a moment.
async fn pause(error: &io::Error) {
    use io::ErrorKind as K;
    if !matches!(error.kind(), K::ConnectionAborted | K::ConnectionReset | K::Interrupted) {
        tracing::warn!(%error, "connections cannot be accepted now");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn what_is_written_to_a_connection_leaves_at_once() {
        let listener = listen("127.0.0.1:0".parse().expect("an address")).expect("a listener");
        let client = TcpStream::connect(listener.local_addr().expect("an address"));
        let (_client, taken) = tokio::join!(client, listener.accept());
        let (stream, _) = taken.expect("a connection");
        assert!(!stream.nodelay().expect("the system tells"), "else it shows nothing");
        hurry(&stream);
        assert!(stream.nodelay().expect("the system tells"));
    }

    #[tokio::test]
    async fn an_address_that_is_taken_is_named() {
        let listener = listen("127.0.0.1:0".parse().expect("an address")).expect("a listener");
        let address = listener.local_addr().expect("an address");
        for error in [listen(address).map(drop), share(address).map(drop)].map(Result::unwrap_err) {
            assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
            assert!(error.to_string().contains(&address.to_string()), "{error}");
        }
    }
}
