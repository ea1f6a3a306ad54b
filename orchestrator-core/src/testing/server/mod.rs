//! A model server that does what a test says, byte by byte.
//!
//! [`ScriptedServer`] listens on a loopback port. A function of the test turns each [`Request`] into a [`Reply`]: a row of
//! steps on raw bytes, so that it can also say what no proper server says: half a chunk, garbage, a reset in the middle of a
//! line. What it has seen and how each exchange ended is read from [`Seen`], and waited for with [`ScriptedServer::wait_for`];
//! no test needs to sleep.
//!
//! # Time
//!
//! Delays run on Tokio's clock. **Do not let a paused clock advance by itself beside real sockets**: whenever no task can go
//! on, and that is so after every write until the driver is asked for the reader's bytes, it jumps to the next timer, and
//! limits pass that should not. Two ways are sound:
//!
//! - the running clock, with limits scaled down (tens of milliseconds) where one shall pass and long ones (seconds) where none
//!   shall: a reply that [stalls](Reply::stall) never comes too early, however slow the machine is;
//! - [`HeldClock`](crate::testing::HeldClock): it stands still while bytes flow, and moves only when the test says so, so that
//!   limits of minutes can be tested to the millisecond.

mod connection;
mod reply;
mod request;
mod seen;
mod signal;
#[cfg(test)]
mod tests;

pub use reply::Reply;
pub use request::Request;
pub use seen::{Exchange, Gauge, Outcome, Seen};
pub use signal::Signal;

use std::fmt;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_util::task::AbortOnDropHandle;

/// How long [`ScriptedServer::wait_for`] waits.
const PATIENCE: Duration = Duration::from_secs(10);

/// How much the system takes of a connection whose client does not read, about: little, so that
/// [`Exchange::written`] tells what the client takes.
const SEND_BUFFER: u32 = 256 * 1024;

/// How many connections may wait to be taken.
const BACKLOG: u32 = 128;

/// What a test's server answers.
type Script = dyn Fn(&Request) -> Reply + Send + Sync;

/// An HTTP/1.1 server that follows a script; its connections end with it.
///
/// ```
/// use orchestrator_core::testing::server::{Outcome, Reply, ScriptedServer};
/// use tokio::io::{AsyncReadExt, AsyncWriteExt};
/// use tokio::net::TcpStream;
///
/// # tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(async {
/// let server = ScriptedServer::start(|request| match request.path() {
///     "/health" => Reply::json(200, r#"{"status":"ok"}"#),
///     _ => Reply::chunked(200, "text/event-stream").chunk("data: half a").reset(),
/// })
/// .await?;
///
/// let mut client = TcpStream::connect(server.address()).await?;
/// client.write_all(b"GET /health HTTP/1.1\r\nconnection: close\r\n\r\n").await?;
/// let mut answer = String::new();
/// client.read_to_string(&mut answer).await?;
/// assert!(answer.ends_with(r#"{"status":"ok"}"#));
/// assert_eq!(server.seen().exchanges[0].outcome, Some(Outcome::Answered));
/// # Ok::<_, std::io::Error>(()) }).expect("runs");
/// ```
pub struct ScriptedServer {
    address: SocketAddr,
    seen: Arc<watch::Sender<Seen>>,
    _listening: AbortOnDropHandle<()>,
}

impl ScriptedServer {
    /// Listens on a port of the system's choice and answers each request with what `script` makes of it.
    ///
    /// # Errors
    ///
    /// Fails where no port can be bound.
    ///
    /// # Panics
    ///
    /// Panics outside a Tokio runtime with I/O and time.
    pub async fn start(script: impl Fn(&Request) -> Reply + Send + Sync + 'static) -> io::Result<Self> {
        let socket = TcpSocket::new_v4()?;
        socket.set_send_buffer_size(SEND_BUFFER)?;
        socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
        let listener = socket.listen(BACKLOG)?;
        let address = listener.local_addr()?;
        let seen = Arc::new(watch::Sender::new(Seen::default()));
        let listening = tokio::spawn(listen(listener, Arc::new(script), seen.clone()));
        Ok(Self { address, seen, _listening: AbortOnDropHandle::new(listening) })
    }

    /// Returns where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns its address as `http://127.0.0.1:PORT`, without a path.
    #[must_use]
    pub fn base_url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Returns what it has seen so far.
    #[must_use]
    pub fn seen(&self) -> Seen {
        self.seen.borrow().clone()
    }

    /// Waits until `condition` holds of what it has seen, and returns that.
    ///
    /// # Panics
    ///
    /// Panics, with what was seen, when it does not hold after ten seconds. `what` says what was waited for.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_for(&self, what: &str, condition: impl FnMut(&Seen) -> bool) -> Seen {
        match self.wait_within(PATIENCE, condition).await {
            Ok(seen) => seen,
            Err(seen) => panic!("waited {PATIENCE:?} for {what}; seen: {seen:#?}"),
        }
    }

    /// Waits until `condition` holds, at most `limit`.
    ///
    /// # Errors
    ///
    /// Returns what it has seen until then when the condition does not hold in time.
    ///
    /// # Cancel safety
    ///
    /// Cancel safe.
    pub async fn wait_within(&self, limit: Duration, condition: impl FnMut(&Seen) -> bool) -> Result<Seen, Seen> {
        let mut receiver = self.seen.subscribe();
        let waited = tokio::time::timeout(limit, receiver.wait_for(condition)).await;
        match waited {
            Ok(seen) => Ok(seen.expect("the sender lives in `self`").clone()),
            Err(_) => Err(self.seen()),
        }
    }
}

impl fmt::Debug for ScriptedServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ScriptedServer").field("address", &self.address).finish_non_exhaustive()
    }
}

/// Takes connections until it is aborted, and they with it.
async fn listen(listener: TcpListener, script: Arc<Script>, seen: Arc<watch::Sender<Seen>>) {
    let mut connections = JoinSet::new();
    // A failed accept concerns the one connection that is gone already.
    loop {
        let accepted = listener.accept().await;
        while connections.try_join_next().is_some() {}
        if let Ok((stream, _)) = accepted {
            connections.spawn(connection::serve(stream, script.clone(), seen.clone()));
        }
    }
}
