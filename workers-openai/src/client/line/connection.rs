use std::future::{Future, poll_fn};
use std::io;
use std::pin::{Pin, pin};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http::Response;
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, Connection, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::Sent;

/// Why a request got no response.
#[derive(Debug)]
pub(in crate::client) enum LineError {
    /// There was no connection.
    Connect(io::Error),
    /// There was no connection in time.
    ConnectTimeout(Duration),
    /// The connection broke, or what came is no HTTP.
    Broken(hyper::Error),
}

/// A connection, driven by whoever waits for what comes over it.
pub(super) struct Line {
    sender: SendRequest<Full<Bytes>>,
    driver: Driver,
}

/// What reads and writes; `None` once the connection has ended.
type Driver = Option<Pin<Box<Connection<TokioIo<TcpStream>, Full<Bytes>>>>>;

/// A request without a response.
pub(super) struct Unanswered {
    pub(super) error: hyper::Error,
    /// Where nothing of it was sent.
    pub(super) request: Option<Sent>,
}

impl Line {
    pub(super) async fn connect(host: &str, port: u16, limit: Duration) -> Result<Self, LineError> {
        let connecting = tokio::time::timeout(limit, TcpStream::connect((host, port)));
        let stream = connecting.await.map_err(|_| LineError::ConnectTimeout(limit))?.map_err(LineError::Connect)?;
        // Where it cannot be set, the connection is slower, and no worse.
        drop(stream.set_nodelay(true));
        let (sender, driver) = http1::handshake(TokioIo::new(stream)).await.map_err(LineError::Broken)?;
        Ok(Self { sender, driver: Some(Box::pin(driver)) })
    }

    /// Sends a request and waits for the head of its response.
    pub(super) async fn send(&mut self, request: Sent) -> Result<Response<Incoming>, Unanswered> {
        let mut answer = pin!(self.sender.try_send_request(request));
        let driver = &mut self.driver;
        let answered = poll_fn(|cx| {
            if let Poll::Ready(answered) = answer.as_mut().poll(cx) {
                return Poll::Ready(answered);
            }
            drive(driver, cx);
            answer.as_mut().poll(cx)
        });
        answered.await.map_err(|mut failed| {
            let request = failed.take_message();
            Unanswered { error: failed.into_error(), request }
        })
    }

    /// Reads and writes what can be; tells whether the connection still stands.
    pub(super) fn drive(&mut self, cx: &mut Context<'_>) -> bool {
        drive(&mut self.driver, cx);
        self.driver.is_some()
    }

    /// Whether it may take a request, as far as that can be seen now.
    pub(super) fn is_ready(&mut self, cx: &mut Context<'_>) -> bool {
        self.drive(cx) && matches!(self.sender.poll_ready(cx), Poll::Ready(Ok(())))
    }
}

fn drive(driver: &mut Driver, cx: &mut Context<'_>) {
    // How it ended, the request and the body tell.
    if driver.as_mut().is_some_and(|driver| driver.as_mut().poll(cx).is_ready()) {
        *driver = None;
    }
}
