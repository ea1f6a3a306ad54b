//! A client that speaks HTTP/2 from the first byte on.

use std::net::SocketAddr;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http2::{SendRequest, handshake};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;
use tokio_util::task::AbortOnDropHandle;

use crate::rig::CHAT;

/// A connection; clones of `requests` use it, too. It is closed with this.
pub(crate) struct Http2 {
    pub(crate) requests: SendRequest<Full<Bytes>>,
    pub(crate) connection: AbortOnDropHandle<hyper::Result<()>>,
}

impl Http2 {
    pub(crate) async fn connect(address: SocketAddr) -> Self {
        let stream = TcpStream::connect(address).await.expect("the server listens");
        let (requests, connection) =
            handshake(TokioExecutor::new(), TokioIo::new(stream)).await.expect("it speaks HTTP/2");
        let connection: JoinHandle<_> = tokio::spawn(connection);
        Self { requests, connection: AbortOnDropHandle::new(connection) }
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
