//! A client that speaks HTTP/2 from the first byte on.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hub_rig::CHAT;
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper::rt::Executor;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;

/// A connection; clones of `requests` use it, too. It is closed with this.
pub(crate) struct Http2 {
    pub(crate) requests: SendRequest<Full<Bytes>>,
    tasks: Tasks,
}

/// What a connection consists of.
#[derive(Clone, Default)]
struct Tasks(Arc<Mutex<JoinSet<()>>>);

impl<F: Future<Output = ()> + Send + 'static> Executor<F> for Tasks {
    fn execute(&self, task: F) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).spawn(task);
    }
}

impl Drop for Http2 {
    fn drop(&mut self) {
        // The tasks hold clones of this.
        self.tasks.0.lock().unwrap_or_else(PoisonError::into_inner).abort_all();
    }
}

impl Http2 {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        let tasks = Tasks::default();
        let (requests, connection) = handshake(tasks.clone(), TokioIo::new(stream)).await.expect("it speaks HTTP/2");
        tasks.execute(async move { drop(connection.await) });
        Self { requests, tasks }
    }

    /// Whether it is there for more requests.
    pub(crate) fn is_open(&self) -> bool {
        !self.requests.is_closed()
    }

    pub(crate) async fn ask(&self, body: String) -> hyper::Result<Response<Incoming>> {
        self.requests.clone().send_request(post(body)).await
    }
}

/// A request for a chat.
pub(crate) fn post(body: String) -> Request<Full<Bytes>> {
    let request = Request::post(format!("http://test{CHAT}"));
    request.body(Full::new(body.into())).expect("a request")
}
